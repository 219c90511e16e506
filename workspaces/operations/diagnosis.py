"""Why a step does not get on: asked of the world while it waits, told with evidence and with who can fix it.

Nothing here fails a step: what cannot be asked is left out. Causes are `Step.cause`; beside those here there are the
codes of `providers/errors`: package_lock, unreachable, credential, rate_limit and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from workspaces.models import Host
from workspaces.operations import connections
from workspaces.operations.engine import Context
from workspaces.providers import reach
from workspaces.providers.cluster import Blocked, Budget, Cluster
from workspaces.providers.errors import ProviderError
from workspaces.providers.kamaji import ControlPlane, ControlPlanePod, Kamaji

# A step that has waited for less is not held up yet.
PATIENCE: Final = 8.0
LOG_OF_KAMAJI: Final = "The operator of the management cluster: Kamaji's log says why."


@dataclass(frozen=True)
class Finding:
    """What holds a step up: a code, the sentence with the evidence (it follows a colon), and who can fix it."""

    cause: str
    message: str
    who_can_fix: str


PAUSED: Final = Finding(
    "paused",
    "The control plane carries the annotation kamaji.clastix.io/paused, so Kamaji does not move it",
    "The operator of the platform, by removing the annotation.",
)


# --- Control plane ----------------------------------------------------------------------------------------------------
def of_control_plane(context: Context, kamaji: Kamaji, seen: ControlPlane) -> Finding | None:
    """What keeps Kamaji from rolling out; None while it is too early to say, or nothing shows."""
    if seen.paused:
        return PAUSED
    if context.waited < PATIENCE:
        return None
    return _data_store(kamaji, seen) or _pods(kamaji, seen) or _tenant(context, seen)


def _data_store(kamaji: Kamaji, seen: ControlPlane) -> Finding | None:
    """Without its data store Kamaji queues the control plane again each second, and says nothing."""
    if not seen.data_store:
        return None
    try:
        found = kamaji.data_store(seen.data_store)
    except ProviderError:
        return None
    if found is not None and found.ready:
        return None
    what = "does not exist" if found is None else "is not ready"
    return Finding(
        "data_store_not_ready",
        f"data store {seen.data_store} {what}, and Kamaji waits for it",
        "The operator of the management cluster, by bringing the data store back.",
    )


def _pods(kamaji: Kamaji, seen: ControlPlane) -> Finding | None:
    """What the control plane's pods wait for; the newest first, they are those of the new version."""
    try:
        pods = kamaji.control_plane_pods(seen.namespace, seen.name)
    except ProviderError:
        return None
    newest = sorted(pods, key=lambda pod: pod.created, reverse=True)
    return next((finding for pod in newest if (finding := of_pod(pod))), None)


def cannot_pull(kamaji: Kamaji, seen: ControlPlane) -> bool:
    """Whether an image of the version asked for cannot be pulled: that version never starts."""
    found = _pods(kamaji, seen)
    return found is not None and found.cause == "image_cannot_be_pulled"


def of_pod(pod: ControlPlanePod) -> Finding | None:
    """What keeps a pod of a control plane from serving."""
    if pod.unschedulable:
        return Finding(
            "surge_pods_pending",
            f"pod {pod.name} finds no place on the management cluster: {pod.unschedulable}",
            "The operator of the management cluster, by adding capacity. Kamaji goes on by itself.",
        )
    for waiting in pod.waiting:
        if "Image" in waiting.reason or waiting.reason == "ErrImagePull":
            return Finding(
                "image_cannot_be_pulled",
                f"{waiting.image} cannot be pulled ({waiting.reason} in pod {pod.name})",
                "Support staff, by withdrawing this version; an administrator then goes to another patch of the minor.",
            )
        if waiting.reason == "CrashLoopBackOff":
            return Finding(
                "control_plane_crashes",
                f"container {waiting.container} of pod {pod.name} crashes again and again",
                "The operator of the management cluster: the container's log says why.",
            )
    return None


def _tenant(context: Context, seen: ControlPlane) -> Finding | None:
    """Kamaji asks the tenant's API before it rolls anything out: one that does not answer never moves."""
    try:
        with connections.tenant(context.workspace) as cluster:
            cluster.version()
    except ProviderError as error:
        return Finding(
            "tenant_unreachable",
            f"the tenant's API does not answer ({error.message}), and Kamaji asks it before it rolls out",
            "The operator of the management cluster, by bringing the tenant's API server back.",
        )
    return None


# --- Hosts ------------------------------------------------------------------------------------------------------------
def of_drain(cluster: Cluster, blocked: Blocked) -> Finding:
    """Whether the budget that refuses an eviction can ever yield. `blocked.budget` is "namespace/name"."""
    try:
        budgets = {f"{one.namespace}/{one.name}": one for one in cluster.budgets()}
    except ProviderError:
        budgets = {}
    budget = budgets.get(blocked.budget)
    owners = f"The owners of {blocked.budget}"
    if budget is not None and budget.expected and budget.desired_healthy >= budget.expected:
        return Finding(
            "budget_never_yields",
            f"disruption budget {blocked.budget} asks for all of its {_pods_in_words(budget)}, so it never yields",
            f"{owners}: add a replica or allow one disruption.",
        )
    missing = f": {budget.current_healthy} of {_pods_in_words(budget)} healthy" if budget else ""
    return Finding(
        "budget_blocks",
        f"disruption budget {blocked.budget} allows no eviction now{missing}",
        f"Nobody, if its pods become healthy by themselves; else {owners.lower()}.",
    )


def _pods_in_words(budget: Budget) -> str:
    return f"{budget.expected} pod{'' if budget.expected == 1 else 's'}"


def of_host(host: Host) -> str:
    """Whether the machine itself is there, for a node that does not come back; "" for one without an address."""
    address = str(host.ansible.get("ansible_host") or "")
    if not address:
        return ""
    silent = reach.ssh_banner(address, int(host.ansible.get("ansible_port") or 22))
    return f"The machine does not answer on SSH: {silent}" if silent else "The machine answers on SSH."
