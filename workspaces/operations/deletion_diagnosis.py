"""What holds up the deletion of a control plane, a data store or a namespace: asked of the world, told with evidence.

Nothing here changes anything. Above all no finalizer is taken away: Kamaji's drop the tenant's data in a data store
that others share, and without them it would stay there for ever, unseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from workspaces.operations import diagnosis
from workspaces.operations.diagnosis import Finding
from workspaces.operations.engine import Context
from workspaces.providers import managed_fields
from workspaces.providers.errors import ProviderError
from workspaces.providers.kamaji import ControlPlane, Kamaji
from workspaces.providers.kamaji_remains import NamespaceSeen, Remains, StoreSeen

_KAMAJIS: Final = "finalizer.kamaji.clastix.io"
_ON_STORES: Final = "kamaji.clastix.io/"
_PAUSE: Final = ("metadata", "annotations", "kamaji.clastix.io/paused")
_WAITS: Final = Finding("", "the control plane is being deleted: Kamaji drops its data", diagnosis.LOG_OF_KAMAJI)


def of_deletion(context: Context, kamaji: Kamaji, remains: Remains, seen: ControlPlane) -> Finding:
    """Why a control plane whose deletion was asked for is still there; without a cause while it is too early to say."""
    if seen.paused:
        return _paused(seen)
    if finding := _data_store(remains, seen):
        return finding
    if finding := _foreign(seen.finalizers):
        return finding
    if context.waited < diagnosis.PATIENCE:
        return _WAITS
    return _pods(kamaji, seen) or _kamajis(seen) or _WAITS


def _paused(seen: ControlPlane) -> Finding:
    """Kamaji leaves one that is paused as it is, its deletion included."""
    owner = managed_fields.owner_of(managed_fields.owners(seen.managed), _PAUSE)
    by = f", set by {owner.manager}{f' at {owner.at:%Y-%m-%d %H:%M} UTC' if owner.at else ''}" if owner else ""
    return Finding(
        "paused",
        f"the control plane carries the annotation kamaji.clastix.io/paused{by}, so Kamaji does not delete it",
        diagnosis.PAUSED.who_can_fix,
    )


def _data_store(remains: Remains, seen: ControlPlane) -> Finding | None:
    """Kamaji drops the tenant's data before it lets the control plane go, and cannot without its data store."""
    if not seen.data_store:
        return None
    try:
        store = remains.store(seen.data_store)
    except ProviderError:
        return None
    if store is not None and store.ready:
        return None
    return Finding(
        "data_store_not_ready",
        f"data store {seen.data_store} {'does not exist' if store is None else 'is not ready'}, and Kamaji has to drop "
        "the tenant's data in it first",
        "The operator of the management cluster, by bringing the data store back.",
    )


def _foreign(finalizers: Sequence[str]) -> Finding | None:
    """What others have to do before it may go: only they know how."""
    others = [name for name in finalizers if not name.startswith(_KAMAJIS)]
    if not others:
        return None
    return Finding(
        "foreign_finalizer",
        f"finalizer {', '.join(others)} is on the control plane, which is not Kamaji's: whoever set it has work to do",
        "Whoever runs the controller that the finalizer is named after.",
    )


def _pods(kamaji: Kamaji, seen: ControlPlane) -> Finding | None:
    """Pods that do not end, or cannot begin."""
    try:
        pods = kamaji.control_plane_pods(seen.namespace, seen.name)
    except ProviderError:
        return None
    return next((finding for pod in pods if (finding := diagnosis.of_pod(pod))), None)


def _kamajis(seen: ControlPlane) -> Finding | None:
    """Kamaji's own finalizers: its controller has not come to them."""
    own = [name for name in seen.finalizers if name.startswith(_KAMAJIS)]
    if not own:
        return None
    return Finding(
        "finalizer_hangs",
        f"Kamaji has not lifted its finalizer {', '.join(own)}: its controller or its webhook is down, or it cannot "
        "drop the tenant's data",
        diagnosis.LOG_OF_KAMAJI,
    )


def of_store(store: StoreSeen) -> Finding:
    """Why a data store whose deletion was asked for is still there."""
    if store.used_by:
        return Finding(
            "data_store_in_use",
            f"data store {store.name} is still told to be used by {', '.join(store.used_by)}, which is gone",
            diagnosis.LOG_OF_KAMAJI,
        )
    held = ", ".join(store.finalizers)
    others = [name for name in store.finalizers if not name.startswith(_ON_STORES)]
    cause = "foreign_finalizer" if others else ""
    return Finding(
        cause, f"data store {store.name} is being deleted{f', held by {held}' if held else ''}", diagnosis.LOG_OF_KAMAJI
    )


def of_namespace(seen: NamespaceSeen) -> Finding:
    """Why a namespace that is being deleted is still there: Kubernetes' own words."""
    return Finding(
        "namespace_hangs" if seen.message else "",
        seen.message.rstrip(".") or f"namespace {seen.name} is being emptied",
        "The operator of the management cluster, by removing what is named there.",
    )
