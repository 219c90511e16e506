"""One workspace and one version of the catalogue: what is known of them, and why the one may not go to the other.

Kamaji compares with the version last *asked for*, whether or not that one ever came up. A half-upgraded cluster runs
the target already while hosts lag behind; asking for the same version again is then no mistake: it finishes the
workers. Several versions at a time (targets, routes) are `upgrades`; versions without a workspace are `reach`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from workspaces.rules import lifecycle
from workspaces.rules.reach import (
    as_kamaji_compares,
    refuse_limits,
    refuse_newer_workers,
    refuse_old_workers,
    refuse_step,
    unreachable,
)
from workspaces.rules.refusal import Refused
from workspaces.rules.versions import is_version, minor_of, precedence


@dataclass(frozen=True, slots=True)
class CatalogueVersion:
    """A row of the version catalogue. `upgrade_from` is in the grammar of `versions`."""

    version: str
    active: bool
    upgrade_from: str = "any"
    security: bool = False
    released_on: date | None = None
    end_of_life_on: date | None = None
    notes: str = ""
    withdrawn_reason: str = ""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known about one workspace, as last seen.

    `kubelet_versions` has one entry per host that is or should be a node; one that cannot be read counts as too old.
    `kamaji_max` is the highest minor the management cluster accepts ("1.36"). `control_plane_wanted` is the version
    last asked of the control plane. `open_operation` is its id and title. An empty text counts as None.
    `state_reason` is a sentence, if there is one.
    """

    workspace_type: str
    state: str
    running_version: str | None = None
    kubelet_versions: tuple[str, ...] = ()
    kamaji_max: str = ""
    control_plane_wanted: str | None = None
    open_operation: tuple[str, str] | None = None
    state_reason: str = ""


def find(target: str, catalogue: Iterable[CatalogueVersion]) -> CatalogueVersion | Refused:
    """The catalogue's row for `target`, written with or without "v"."""
    wanted = precedence(target) if is_version(target) else None
    for row in catalogue:
        if precedence(row.version) == wanted:
            return row
    return Refused("unknown_version", f"“{target}” is not in the version catalogue.", {"target": target})


def refuse_state(situation: Situation) -> Refused | None:
    """gated, not_active: whether anything may be changed at all, on Kubernetes and baremetal workspaces alike."""
    if situation.state == "gated":
        return Refused(
            "gated", "Reconciliation holds changes back until the workspace has converged. It lifts the gate by itself."
        )
    if situation.state in lifecycle.LEAVING:
        return refuse_leaving(situation.state, situation.state_reason)
    if situation.state != "active":
        return _not_active(situation.state)
    return None


def refuse_leaving(state: str, reason: str = "") -> Refused | None:
    """not_active: whether its end has been asked for, so that nothing else begins on it."""
    if state not in lifecycle.LEAVING:
        return None
    if state in lifecycle.GONE:
        return _not_active(state)
    said = " ".join(filter(None, ("The deletion of the workspace is scheduled.", reason, "Undo it first.")))
    return Refused("not_active", said, {"state": state})


def _not_active(state: str) -> Refused:
    look = lifecycle.WORKSPACE.get(state)
    said = f"The workspace is not active. Its state: {look.label if look else state}."
    return Refused("not_active", said, {"state": state})


def refuse_type(situation: Situation) -> Refused | None:
    """not_kubernetes."""
    if situation.workspace_type == "kubernetes":
        return None
    return Refused("not_kubernetes", "This workspace has no Kubernetes. Its hosts are updated in maintenance windows.")


def refuse_beside(situation: Situation) -> Refused | None:
    """operation_running."""
    if not situation.open_operation:
        return None
    pk, title = situation.open_operation
    return Refused("operation_running", f"{title} is running. Wait for it to end, or stop it.", {"operation": pk})


def refuse_version(situation: Situation, target: CatalogueVersion) -> Refused | None:
    """inactive_version, same_version, not_reachable."""
    running = situation.running_version
    if not target.active:
        withdrawn = f"Withdrawn by the operator: {target.withdrawn_reason}" if target.withdrawn_reason else ""
        return Refused("inactive_version", withdrawn or f"{target.version} is known, but not active in the catalogue.")
    if not running or not is_version(running):
        return Refused("not_reachable", "The running version is not known yet. Reconciliation reads it.")
    if runs(situation, target.version):
        if _workers_lag(situation):
            return None
        return Refused("same_version", f"The workspace already runs {target.version}.", {"running": running})
    return (
        refuse_limits(running, target.version, situation.kamaji_max)
        or refuse_step(running, target.version, target.upgrade_from)
        or refuse_from_wanted(situation, target.version)
        or refuse_newer_workers(running, target.version, situation.kubelet_versions)
    )


def runs(situation: Situation, version: str) -> bool:
    """Whether the control plane runs it, as numbers."""
    running = situation.running_version
    return bool(running) and is_version(str(running)) and precedence(str(running)) == precedence(version)


def _workers_lag(situation: Situation) -> bool:
    """Whether the control plane has arrived and a host has not, so that the same target means: finish the workers."""
    running, wanted = situation.running_version, situation.control_plane_wanted
    if not running or (wanted and not runs(situation, wanted)):
        return False
    return any(
        precedence(kubelet) < precedence(running) for kubelet in situation.kubelet_versions if is_version(kubelet)
    )


def refuse_from_wanted(situation: Situation, target: str) -> Refused | None:
    """Kamaji compares with the version last asked for, also when that one never came up."""
    if refused := refuse_below_wanted(situation, target):
        return refused
    wanted = _wanted(situation)
    if not wanted or minor_of(target)[1] <= minor_of(wanted)[1] + 1:
        return None
    message = f"The control plane is still asked for {wanted}. Kamaji goes one minor at a time from there."
    return unreachable(message, str(situation.running_version), target)


def refuse_below_wanted(situation: Situation, target: str) -> Refused | None:
    """The part of it that more hops do not get around."""
    wanted = _wanted(situation)
    if not wanted or as_kamaji_compares(target) >= as_kamaji_compares(wanted):
        return None
    message = f"The control plane has been asked for {wanted} already. Kamaji does not go back to {target}."
    return unreachable(message, str(situation.running_version), target)


def _wanted(situation: Situation) -> str:
    """The version last asked for; empty where it is not known."""
    wanted = (situation.control_plane_wanted or "").removeprefix("v")
    return wanted if is_version(wanted) else ""


def refuse_old_kubelets(situation: Situation, target: str) -> Refused | None:
    """workers_too_old. Bringing hosts up to the running version moves no control plane, so it always may."""
    if runs(situation, target):
        return None
    return refuse_old_workers(str(situation.running_version), target, situation.kubelet_versions)
