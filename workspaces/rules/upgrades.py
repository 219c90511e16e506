"""Where a workspace may go in the Kubernetes version catalogue: refusals, targets, multi-hop plans, the next patch.

Eligible is what is active, reachable in one hop (`reach`: Kamaji's rule and `upgrade.from`) and allowed by the hosts'
kubelets. Kamaji compares with the version last *asked for*, whether or not that one ever came up.

A half-upgraded cluster runs the target already while hosts lag behind. Asking for the same version again is then no
mistake: it finishes the workers.

`refuse_upgrade` looks in this order and answers with the first that holds: not_kubernetes, gated, not_active,
unknown_version, inactive_version, same_version, not_reachable, operation_running, workers_too_old. The first three and
operation_running are about the workspace, the others about the version; `targets`, `plan` and `patch_target` look at
the version only, so a list of targets does not empty itself while something runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from workspaces.rules import lifecycle
from workspaces.rules.reach import (
    MAX_SKEW,
    as_kamaji_compares,
    refuse_limits,
    refuse_newer_workers,
    refuse_old_workers,
    refuse_step,
    serves,
    unreachable,
)
from workspaces.rules.refusal import Refused
from workspaces.rules.versions import is_prerelease, is_version, minor_of, precedence


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
    """

    workspace_type: str
    state: str
    running_version: str | None = None
    kubelet_versions: tuple[str, ...] = ()
    kamaji_max: str = ""
    control_plane_wanted: str | None = None
    open_operation: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class NotOffered:
    """A catalogue version that cannot be reached in one hop, and why."""

    version: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Targets:
    """Both lists newest first; `recommended` is one of `eligible`.

    `finish_workers` is the running version when hosts lag behind it and the same upgrade may be started again.
    """

    eligible: tuple[CatalogueVersion, ...]
    recommended: str | None
    not_offered: tuple[NotOffered, ...]
    finish_workers: str | None


@dataclass(frozen=True, slots=True)
class Hop:
    """One upgrade of a plan. When the workers stay, `reason` says why they may."""

    from_: str
    to: str
    workers_move: bool
    reason: str


def refuse_upgrade(situation: Situation, target: str, catalogue: Sequence[CatalogueVersion]) -> Refused | None:
    """Why an upgrade to `target` may not start now, or None. The order of checks is in the module's docstring."""
    if refused := _refuse_type(situation) or refuse_state(situation):
        return refused
    found = find(target, catalogue)
    if isinstance(found, Refused):
        return found
    return (
        _refuse_version(situation, found) or _refuse_beside(situation) or _refuse_old_workers(situation, found.version)
    )


def targets(situation: Situation, catalogue: Sequence[CatalogueVersion]) -> Targets:
    """Every catalogue version except the running one, either eligible or not offered with its reason."""
    eligible: list[CatalogueVersion] = []
    not_offered: list[NotOffered] = []
    finish = None
    for version in sorted(catalogue, key=lambda row: precedence(row.version), reverse=True):
        refused = refuse_target(situation, version)
        if _runs(situation, version.version):
            finish = None if refused else version.version
        elif refused:
            not_offered.append(NotOffered(version.version, refused.code, refused.message))
        else:
            eligible.append(version)
    recommended = next((row.version for row in eligible if not is_prerelease(row.version)), None)
    return Targets(tuple(eligible), recommended, tuple(not_offered), finish)


def refuse_target(situation: Situation, target: CatalogueVersion) -> Refused | None:
    """Why `target` is not eligible, whatever the state of the workspace and whatever runs on it now."""
    return (
        _refuse_type(situation) or _refuse_version(situation, target) or _refuse_old_workers(situation, target.version)
    )


def plan(situation: Situation, to: str, catalogue: Sequence[CatalogueVersion]) -> list[Hop] | Refused:
    """The fewest hops to an active version, each as high as it can be; or why there is no route.

    Workers move at the last hop, and before it only where the next hop would leave their kubelets too far behind.
    """
    if refused := _refuse_type(situation):
        return refused
    found = find(to, catalogue)
    if isinstance(found, Refused):
        return found
    running, refused = situation.running_version or "", _refuse_version(situation, found)
    if refused and (refused.code != "not_reachable" or not is_version(running)):
        return refused
    if _runs(situation, found.version):
        return [Hop(running, found.version, True, "The control plane is there already; the workers follow.")]
    if limit := refuse_limits(running, found.version, situation.kamaji_max):
        return limit
    route = _route(situation, found, catalogue)
    if not route:
        return _no_route(running, found, catalogue)
    return _refuse_old_workers(situation, route[0]) or _hops(situation, route)


def _route(situation: Situation, to: CatalogueVersion, catalogue: Sequence[CatalogueVersion]) -> list[str]:
    """The versions to go through, ending with `to`; empty when there is no way. Built backwards from `to`."""
    running = str(situation.running_version)
    stops = [row for row in catalogue if row is to or _is_stop(situation, row, to)]
    stops.sort(key=lambda row: precedence(row.version), reverse=True)
    routes: dict[str, list[str]] = {to.version: []}
    for current in [*(row.version for row in stops if row is not to), running]:
        ways = [
            [row.version, *routes[row.version]]
            for row in stops
            if row.version in routes and not refuse_step(current, row.version, row.upgrade_from)
        ]
        if ways:
            # min() keeps the first of equals, and the highest version stands first.
            routes[current] = min(ways, key=len)
    return routes.get(running, [])


def _is_stop(situation: Situation, row: CatalogueVersion, to: CatalogueVersion) -> bool:
    running = str(situation.running_version)
    between = precedence(running) < precedence(row.version) < precedence(to.version)
    return (
        row.active
        and between
        and not is_prerelease(row.version)
        and not _refuse_after_wanted(situation, row.version)
        and not refuse_newer_workers(running, row.version, situation.kubelet_versions)
    )


def _no_route(running: str, to: CatalogueVersion, catalogue: Iterable[CatalogueVersion]) -> Refused:
    (major, minor), (_, last) = minor_of(running), minor_of(to.version)
    offered = {minor_of(row.version) for row in catalogue if row.active}
    for missing in range(minor + 1, last):
        if (major, missing) not in offered:
            why = f"the catalogue has no active {major}.{missing} version, and Kamaji does not skip a minor"
            break
    else:
        why = f"no active versions lead to it by their upgrade.from ({to.upgrade_from})"
    return unreachable(f"There is no route from {running} to {to.version}: {why}.", running, to.version)


def _hops(situation: Situation, route: list[str]) -> list[Hop]:
    hops: list[Hop] = []
    current = str(situation.running_version)
    oldest = min((kubelet.removeprefix("v") for kubelet in situation.kubelet_versions), key=precedence, default=None)
    for to, following in zip(route, [*route[1:], None], strict=True):
        if oldest is None:
            move, reason = False, "There are no hosts to move."
        elif following is None:
            move, reason = True, f"Last hop: the workers move to {to}."
        elif serves(following, oldest):
            move, reason = False, f"The workers stay: kubelet {oldest} is within {MAX_SKEW} minors of {following}."
        else:
            move, reason = True, f"The workers move: kubelet {oldest} is too old for {following}, the next hop."
        hops.append(Hop(current, to, move, reason))
        current, oldest = to, to if move else oldest
    return hops


def patch_target(situation: Situation, catalogue: Iterable[CatalogueVersion]) -> CatalogueVersion | None:
    """The furthest active patch of the running minor that one hop reaches, releases only."""
    running = situation.running_version
    if not running or not is_version(running):
        return None
    major, minor = minor_of(running)
    current, next_minor = precedence(running), (major, minor + 1)
    newer = [row for row in catalogue if current < precedence(row.version) < next_minor]
    newer.sort(key=lambda row: precedence(row.version), reverse=True)
    released = (row for row in newer if not is_prerelease(row.version))
    return next((row for row in released if not refuse_target(situation, row)), None)


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
    if situation.state != "active":
        look = lifecycle.WORKSPACE.get(situation.state)
        state = look.label if look else situation.state
        return Refused("not_active", f"The workspace is not active. Its state: {state}.", {"state": situation.state})
    return None


def _refuse_type(situation: Situation) -> Refused | None:
    if situation.workspace_type == "kubernetes":
        return None
    return Refused("not_kubernetes", "This workspace has no Kubernetes. Its hosts are updated in maintenance windows.")


def _refuse_beside(situation: Situation) -> Refused | None:
    if not situation.open_operation:
        return None
    pk, title = situation.open_operation
    return Refused("operation_running", f"{title} is running. Wait for it to end, or stop it.", {"operation": pk})


def _refuse_version(situation: Situation, target: CatalogueVersion) -> Refused | None:
    """inactive_version, same_version, not_reachable."""
    running = situation.running_version
    if not target.active:
        withdrawn = f"Withdrawn by the operator: {target.withdrawn_reason}" if target.withdrawn_reason else ""
        return Refused("inactive_version", withdrawn or f"{target.version} is known, but not active in the catalogue.")
    if not running or not is_version(running):
        return Refused("not_reachable", "The running version is not known yet. Reconciliation reads it.")
    if _runs(situation, target.version):
        if _workers_lag(situation):
            return None
        return Refused("same_version", f"The workspace already runs {target.version}.", {"running": running})
    return (
        refuse_limits(running, target.version, situation.kamaji_max)
        or refuse_step(running, target.version, target.upgrade_from)
        or _refuse_after_wanted(situation, target.version)
        or refuse_newer_workers(running, target.version, situation.kubelet_versions)
    )


def _runs(situation: Situation, version: str) -> bool:
    running = situation.running_version
    return bool(running) and is_version(str(running)) and precedence(str(running)) == precedence(version)


def _workers_lag(situation: Situation) -> bool:
    """Whether the control plane has arrived and a host has not, so that the same target means: finish the workers."""
    running, wanted = situation.running_version, situation.control_plane_wanted
    if not running or (wanted and not _runs(situation, wanted)):
        return False
    return any(
        precedence(kubelet) < precedence(running) for kubelet in situation.kubelet_versions if is_version(kubelet)
    )


def _refuse_after_wanted(situation: Situation, target: str) -> Refused | None:
    """Kamaji compares with the version last asked for, also when that one never came up."""
    wanted, running = (situation.control_plane_wanted or "").removeprefix("v"), str(situation.running_version)
    if not is_version(wanted) or as_kamaji_compares(target) >= as_kamaji_compares(wanted):
        return None
    message = f"The control plane has been asked for {wanted} already. Kamaji does not go back to {target}."
    return unreachable(message, running, target)


def _refuse_old_workers(situation: Situation, target: str) -> Refused | None:
    """Bringing hosts up to the running version moves no control plane, so it always may."""
    if _runs(situation, target):
        return None
    return refuse_old_workers(str(situation.running_version), target, situation.kubelet_versions)
