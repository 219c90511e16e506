"""Where a workspace may go in the Kubernetes version catalogue: refusals, targets, multi-hop plans, the next patch.

Eligible is what is active, reachable in one hop (`reach`: Kamaji's rule and `upgrade.from`) and allowed by the hosts'
kubelets. What is asked of one workspace and one version is `situation`.

`refuse_upgrade` looks in this order and answers with the first that holds: not_kubernetes, gated, not_active,
unknown_version, inactive_version, same_version, not_reachable, operation_running, workers_too_old. The first three and
operation_running are about the workspace, the others about the version; `targets`, `plan` and `patch_target` look at
the version only, so a list of targets does not empty itself while something runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from workspaces.rules import routes
from workspaces.rules.reach import MAX_SKEW, refuse_limits, refuse_newer_workers, refuse_step, serves, unreachable
from workspaces.rules.refusal import Refused
from workspaces.rules.situation import (
    CatalogueVersion,
    Situation,
    find,
    refuse_below_wanted,
    refuse_beside,
    refuse_from_wanted,
    refuse_old_kubelets,
    refuse_state,
    refuse_type,
    refuse_version,
    runs,
)
from workspaces.rules.versions import is_prerelease, is_version, minor_of, precedence

__all__ = [
    "CatalogueVersion",
    "Hop",
    "NotOffered",
    "Situation",
    "Targets",
    "find",
    "patch_target",
    "plan",
    "plans",
    "recommended",
    "refuse_state",
    "refuse_target",
    "refuse_upgrade",
    "route",
    "targets",
]


@dataclass(frozen=True, slots=True)
class NotOffered:
    """A catalogue version that cannot be reached in one hop, why, and the hops of the route there (0: none)."""

    version: str
    code: str
    reason: str
    hops: int = 0


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
    if refused := refuse_type(situation) or refuse_state(situation):
        return refused
    found = find(target, catalogue)
    if isinstance(found, Refused):
        return found
    return refuse_version(situation, found) or refuse_beside(situation) or refuse_old_kubelets(situation, found.version)


def route(
    situation: Situation, to: str, catalogue: Sequence[CatalogueVersion], through: Sequence[str] | None = None
) -> list[Hop] | Refused:
    """The hops of an upgrade to `to` that may start now, or why it may not.

    `through` are the versions in between that whoever asks has been shown; without it only one hop is asked for. The
    catalogue may have changed since: route_changed names the way there is now.
    """
    if not through:
        refused = refuse_upgrade(situation, to, catalogue)
        if refused and (through is None or refused.code != "not_reachable"):
            return refused
    elif refused := refuse_type(situation) or refuse_state(situation):
        return refused
    hops = plan(situation, to, catalogue)
    if isinstance(hops, Refused):
        return hops
    now = [hop.to for hop in hops[:-1]]
    if now != [text.strip().removeprefix("v") for text in through or ()]:
        way = f"through {', '.join(now)}" if now else "in one hop"
        return Refused(
            "route_changed", f"The way to {to} leads {way} now. Look at it and start again.", {"through": now}
        )
    return refuse_beside(situation) or hops


def targets(situation: Situation, catalogue: Sequence[CatalogueVersion], today: date | None = None) -> Targets:
    """Every catalogue version except the running one, either eligible or not offered with its reason.

    What has ended at `today` is recommended only where nothing else is left.
    """
    eligible: list[CatalogueVersion] = []
    not_offered: list[NotOffered] = []
    finish = None
    ways = _reached(situation, catalogue)
    for version in sorted(catalogue, key=lambda row: precedence(row.version), reverse=True):
        refused = refuse_target(situation, version)
        if runs(situation, version.version):
            finish = None if refused else version.version
        elif refused:
            hops = len(ways.get(version.version, ()))
            not_offered.append(NotOffered(version.version, refused.code, refused.message, hops))
        else:
            eligible.append(version)
    return Targets(tuple(eligible), _best(eligible, today), tuple(not_offered), finish)


def recommended(situation: Situation, catalogue: Iterable[CatalogueVersion], today: date | None = None) -> str | None:
    """The same as `targets` recommends, where nothing else of it is asked for."""
    eligible = [row for row in catalogue if not runs(situation, row.version) and not refuse_target(situation, row)]
    return _best(sorted(eligible, key=lambda row: precedence(row.version), reverse=True), today)


def _best(eligible: Iterable[CatalogueVersion], today: date | None) -> str | None:
    """Of versions from the newest to the oldest the first release, one that is still supported if there is any."""
    released = [row for row in eligible if not is_prerelease(row.version)]
    supported = [row for row in released if not (today and row.end_of_life_on and row.end_of_life_on < today)]
    return next((row.version for row in [*supported, *released]), None)


def refuse_target(situation: Situation, target: CatalogueVersion) -> Refused | None:
    """Why `target` is not eligible, whatever the state of the workspace and whatever runs on it now."""
    return refuse_type(situation) or refuse_version(situation, target) or refuse_old_kubelets(situation, target.version)


def plan(situation: Situation, to: str, catalogue: Sequence[CatalogueVersion]) -> list[Hop] | Refused:
    """The fewest hops to an active version, each as high as it can be; or why there is no route.

    Workers move at the last hop, and before it only where the next hop would leave their kubelets too far behind.
    """
    if refused := refuse_type(situation):
        return refused
    found = find(to, catalogue)
    if isinstance(found, Refused):
        return found
    running, refused = situation.running_version or "", refuse_version(situation, found)
    if refused and (refused.code != "not_reachable" or not is_version(running)):
        return refused
    if runs(situation, found.version):
        return [Hop(running, found.version, True, "The control plane is there already; the workers follow.")]
    if refused := _refuse_by_any_route(situation, found.version):
        return refused
    way = _ways(situation, catalogue).get(found.version)
    if not way:
        return _no_route(running, found, catalogue)
    return refuse_old_kubelets(situation, way[0]) or _hops(situation, way)


def plans(situation: Situation, catalogue: Sequence[CatalogueVersion]) -> dict[str, list[Hop]]:
    """The plan to every version above the running one that has one, found together."""
    return {version: _hops(situation, way) for version, way in _reached(situation, catalogue).items()}


def _reached(situation: Situation, catalogue: Sequence[CatalogueVersion]) -> dict[str, list[str]]:
    running = situation.running_version
    if not running or not is_version(running) or refuse_type(situation):
        return {}
    return {
        version: way
        for version, way in _ways(situation, catalogue).items()
        if not _refuse_by_any_route(situation, version) and not refuse_old_kubelets(situation, way[0])
    }


def _refuse_by_any_route(situation: Situation, target: str) -> Refused | None:
    """not_reachable, whatever the hops."""
    running = str(situation.running_version)
    return (
        refuse_limits(running, target, situation.kamaji_max)
        or refuse_below_wanted(situation, target)
        or refuse_newer_workers(running, target, situation.kubelet_versions)
    )


def _ways(situation: Situation, catalogue: Iterable[CatalogueVersion]) -> dict[str, list[str]]:
    """The way to every active version above the running one that hops lead to, ending with it."""
    running = str(situation.running_version)
    above = [row for row in catalogue if row.active and precedence(row.version) > precedence(running)]
    rows = {row.version: row for row in sorted(above, key=lambda row: precedence(row.version))}
    stops = {version for version in rows if _is_stop(situation, version)}

    def leads(current: str, to: str) -> bool:
        # Most pairs are several minors apart; asking `refuse_step` would write a sentence for each.
        if minor_of(to)[1] > minor_of(current)[1] + 1 or refuse_step(current, to, rows[to].upgrade_from):
            return False
        return current != running or not refuse_from_wanted(situation, to)

    return routes.shortest(running, list(rows), stops, leads)


def _is_stop(situation: Situation, version: str) -> bool:
    running = str(situation.running_version)
    return not is_prerelease(version) and not refuse_newer_workers(running, version, situation.kubelet_versions)


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
