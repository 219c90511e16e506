"""When maintenance windows open and what each would do: the planner behind the scheduler, the pages and the what-if.

The routine lane opens at the weekday's hour and does what the plan's two flags allow: operating system updates, and the
furthest Kubernetes patch. The priority lane opens daily at the priority hour and does only what an operator flagged:
advisories, and catalogue versions marked security. An enforced advisory applies whatever the two flags say; the master
switch and holds stop it like everything else. Both lanes may open in the same hour: the priority lane goes first.

Work that its hour and the overrun were too short for is paused, and goes on in the next window of its lane. When the
other lane has work before that, the paused work makes way: what is left of it is found again by the next run.

A forecast is made of what is known now. Work it plans for one window is taken as done for the windows after it. Nothing
here looks at the world, stores a decision or starts an operation (`operations/maintenance`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from workspaces.rules.maintenance import Plan
from workspaces.rules.situation import refuse_leaving
from workspaces.rules.upgrades import CatalogueVersion, Situation, patch_target, refuse_state, refuse_target
from workspaces.rules.versions import is_version, minor_of

Lane = Literal["routine", "priority"]

_HOURS: Final = tuple(timedelta(hours=hour) for hour in range(24))
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Window:
    """One hour in which a lane may start work: `opens_at` inclusive, `closes_at` exclusive, both UTC."""

    lane: Lane
    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something happens or does not: a stable code and a sentence."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Automatic work is stopped from `starts_at` (None: already) to `ends_at` (None: until lifted).

    `place` says what is held when that is more than the workspace: an organization, a project, the platform.
    """

    reason: str
    ends_at: datetime | None = None
    starts_at: datetime | None = None
    place: str = ""

    def covers(self, moment: datetime) -> bool:
        """Whether the hold is in force at `moment`."""
        return (self.starts_at is None or self.starts_at <= moment) and (self.ends_at is None or moment < self.ends_at)

    @property
    def sentence(self) -> str:
        """Since nothing runs under it, what it says to whoever waits."""
        until = f"until {_utc(self.ends_at):%a %d %b %H:%M} UTC" if self.ends_at else "until it is lifted"
        return f"{self.place} is held {until}: {self.reason}" if self.place else f"Held {until}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Advisory:
    """Something an operator flagged for the priority hour: packages, Kubernetes versions, or both.

    `packages` is empty when the workspace's hosts have them already; `("*",)` is every security update.
    """

    name: str
    packages: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    enforced: bool = False


@dataclass(frozen=True, slots=True)
class Paused:
    """Automatic work that waits for the next window of its `lane`; `to` is its Kubernetes target, or empty."""

    lane: Lane
    title: str
    reason: str
    to: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known about a workspace. `hosts_manageable` of `hosts_total` can be reached over SSH.

    `holds` are those that touch the workspace, `advisories` the open ones that apply to it. `paused` is no open
    operation of the situation. `decided` are windows of this hour that the scheduler has looked at: None when it is
    done with them, else what their work waits for.
    """

    situation: Situation
    catalogue: Sequence[CatalogueVersion]
    hosts_manageable: int
    hosts_total: int
    holds: Sequence[Hold] = ()
    advisories: Sequence[Advisory] = ()
    paused: Paused | None = None
    decided: Mapping[tuple[Lane, datetime], Reason | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """One thing a window would do: updates (`packages` limits them), a Kubernetes hop, or going on with paused work.

    `from_` and `to` are versions and set for `kubernetes` only; they are equal when only hosts are behind.
    """

    kind: Literal["os", "kubernetes", "continue"]
    sentence: str
    advisories: tuple[str, ...] = ()
    from_: str = ""
    to: str = ""
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a window would do and why. None of it happens while `blocked_by` is not empty."""

    window: Window
    work: tuple[Work, ...]
    reasons: tuple[Reason, ...]
    blocked_by: tuple[Reason, ...]

    @property
    def would(self) -> tuple[str, ...]:
        """The work as sentences."""
        return tuple(work.sentence for work in self.work)


def windows(plan: Plan, start: datetime, end: datetime) -> Iterator[Window]:
    """The windows that open at `start` or later and before `end`, in order, priority first within an hour.

    The schedule alone counts: a plan that is switched off has the same windows, and nothing happens in them.
    """
    start, end = _utc(start), _utc(end)
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        routine = plan.hours[day.weekday()]
        lanes: list[tuple[Lane, int]] = [("priority", plan.priority_hour)]
        if routine is not None:
            lanes.insert(0 if routine < plan.priority_hour else 1, ("routine", routine))
        for lane, hour in lanes:
            opens_at = day + _HOURS[hour]
            if start <= opens_at < end:
                yield Window(lane, opens_at, opens_at + _HOUR)
        day += _DAY


def next_window(plan: Plan, now: datetime, lane: Lane | None = None) -> Window | None:
    """The first window (of `lane`, when given) that opens at or after `now`; None when the plan is off or has none."""
    if not plan.enabled:
        return None
    now = _utc(now)  # before adding days: on a local clock a day may have 23 hours
    ahead = windows(plan, now, now + timedelta(days=7))
    return next((window for window in ahead if lane is None or window.lane == lane), None)


def is_open(window: Window, now: datetime, last_minutes: int = 10) -> bool:
    """Whether work may start: inside the hour and not in its last minutes."""
    return window.opens_at <= now < window.closes_at - timedelta(minutes=last_minutes)


def hour_of(moment: datetime) -> datetime:
    """The beginning of the hour of UTC that `moment` is in."""
    return _utc(moment).replace(minute=0, second=0, microsecond=0)


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("A time without a zone has no place here.")
    return moment.astimezone(UTC)


def forecast(plan: Plan, facts: Facts, now: datetime, days: int = 7) -> list[Forecast]:
    """Every window of the coming days in order, first those of this hour in which work may still start."""
    return list(_ahead(plan, facts, _utc(now), timedelta(days=days)))


def due(plan: Plan, facts: Facts, now: datetime) -> list[Forecast]:
    """The windows that are open now and not decided: what the scheduler acts on. The start of `forecast`."""
    return list(_ahead(plan, facts, _utc(now), timedelta(microseconds=1)))


def judge(ahead: Forecast) -> tuple[Literal["blocked", "nothing", "waiting"], Reason]:
    """What an open window comes to, and the reason that decides it. An operation that runs may end within the hour."""
    lasting = [reason for reason in ahead.blocked_by if reason.code != "operation_running"]
    if lasting:
        return "blocked", lasting[0]
    if not ahead.work:
        return "nothing", ahead.reasons[0]
    if ahead.blocked_by:
        return "waiting", ahead.blocked_by[0]
    return "waiting", Reason("place", "Waits for a free place.")


def _ahead(plan: Plan, facts: Facts, now: datetime, length: timedelta) -> Iterator[Forecast]:
    blocks = _standing_blocks(plan, facts)
    lanes: dict[Lane, tuple[tuple[Work, ...], tuple[Reason, ...]]] = {}
    steady: set[Lane] = set()  # lanes whose work changes none of the facts
    for window in windows(plan, hour_of(now), now + length):
        waits_for = facts.decided.get((window.lane, window.opens_at), _UNDECIDED) if facts.decided else _UNDECIDED
        if waits_for is None or (window.opens_at < now and not is_open(window, now)):
            continue
        if window.lane not in lanes:
            lanes[window.lane] = _work(plan, facts, window.lane)
        work, reasons = lanes[window.lane]
        if waits_for is not _UNDECIDED:
            reasons = (*reasons, waits_for)
        may_pass = facts.holds or facts.situation.open_operation
        blocked_by = (*blocks, *_passing_blocks(facts, window, now)) if may_pass else blocks
        yield Forecast(window, work, reasons, blocked_by)
        if blocked_by or window.lane in steady:
            continue
        done = _after(facts, window.lane, work)
        if done is facts:
            steady.add(window.lane)
        else:
            facts = done
            lanes.clear()
            steady.clear()


_UNDECIDED: Final = Reason("undecided", "")


def _standing_blocks(plan: Plan, facts: Facts) -> tuple[Reason, ...]:
    """What stops every window until a person, or reconciliation, changes it."""
    blocks = []
    if not plan.enabled:
        blocks.append(Reason("maintenance_off", "Maintenance is off. An administrator can switch it on."))
    if refused := refuse_state(facts.situation):
        blocks.append(Reason(refused.code, refused.message))
    return tuple(blocks)


def _passing_blocks(facts: Facts, window: Window, now: datetime) -> Iterator[Reason]:
    """What stops this window only: holds, and an operation that is open while the window is."""
    for hold in facts.holds:
        if hold.covers(max(window.opens_at, now)):
            yield Reason("hold", hold.sentence)
    if facts.situation.open_operation and window.opens_at <= now:
        yield Reason("operation_running", f"{facts.situation.open_operation[1]} is running.")


def _work(plan: Plan, facts: Facts, lane: Lane) -> tuple[tuple[Work, ...], tuple[Reason, ...]]:
    """What a window of the lane would do, and why. A workspace that is leaving gets no work, not even once it may."""
    if leaving := refuse_leaving(facts.situation.state, facts.situation.state_reason):
        return (), (Reason(leaving.code, leaving.message),)
    paused = facts.paused
    if paused and paused.lane == lane:
        work = Work("continue", f"Continue: {paused.title}", to=paused.to)
        return (work,), (Reason("continues", paused.reason or "It was paused when its time was over."),)
    found, reasons = _routine(plan, facts) if lane == "routine" else _priority(plan, facts)
    if paused and found:
        reasons = (*reasons, Reason("makes_way", f"{paused.title}, which is paused, makes way."))
    return found, reasons


def _routine(plan: Plan, facts: Facts) -> tuple[tuple[Work, ...], tuple[Reason, ...]]:
    work: list[Work] = []
    reasons: list[Reason] = []
    if not plan.compute_auto_update:
        reasons.append(Reason("compute_auto_update_off", "Operating system updates are off."))
    elif _manageable(facts, reasons):
        work.append(Work("os", f"Operating system updates on {_hosts(facts)}"))
        reasons.append(Reason("compute_auto_update", "Operating system updates are on."))
    if plan.kubernetes_auto_upgrade is False:
        reasons.append(Reason("kubernetes_auto_upgrade_off", "Kubernetes patch releases are off."))
    elif plan.kubernetes_auto_upgrade:
        work += _patch(facts, patch_target(facts.situation, facts.catalogue), (), reasons)
    return tuple(work), tuple(reasons)


def _priority(plan: Plan, facts: Facts) -> tuple[tuple[Work, ...], tuple[Reason, ...]]:
    reasons: list[Reason] = []
    work = [*_flagged_packages(plan, facts, reasons), *_flagged_versions(plan, facts, reasons)]
    if not work and not reasons:
        reasons.append(Reason("nothing_flagged", "Nothing is flagged for the priority hour."))
    return tuple(work), tuple(reasons)


def _flagged_packages(plan: Plan, facts: Facts, reasons: list[Reason]) -> Iterator[Work]:
    flagged = [advisory for advisory in facts.advisories if advisory.packages]
    applied = _applied(flagged, plan.compute_auto_update, "operating system updates", reasons)
    if applied and _manageable(facts, reasons):
        names = tuple(advisory.name for advisory in applied)
        packages = tuple(sorted({package for advisory in applied for package in advisory.packages}))
        yield Work("os", f"Security updates {', '.join(names)} on {_hosts(facts)}", names, packages=packages)


def _flagged_versions(plan: Plan, facts: Facts, reasons: list[Reason]) -> Iterator[Work]:
    """The furthest flagged patch: flagged by an advisory or, with the flag on, by the catalogue's security mark."""
    if plan.kubernetes_auto_upgrade is None:
        return
    flagged = [
        advisory
        for advisory in facts.advisories
        if advisory.versions and patch_target(facts.situation, _named(facts, (advisory,)))
    ]
    applied = _applied(flagged, plan.kubernetes_auto_upgrade, "Kubernetes patch releases", reasons)
    versions = _named(facts, applied)
    if plan.kubernetes_auto_upgrade:
        versions += [row for row in facts.catalogue if row.security]
    if target := patch_target(facts.situation, versions):
        if target.security:
            reasons.append(Reason("security_release", f"{target.version} is marked as a security release."))
        yield from _patch(facts, target, applied, reasons)


def _named(facts: Facts, advisories: Sequence[Advisory]) -> list[CatalogueVersion]:
    names = {version for advisory in advisories for version in advisory.versions}
    return [row for row in facts.catalogue if row.version in names]


def _applied(flagged: Sequence[Advisory], flag: bool, what: str, reasons: list[Reason]) -> list[Advisory]:
    """The advisories that apply, with the reason for each: all of them, or with the flag off the enforced ones."""
    for advisory in flagged:
        if flag:
            reasons.append(Reason("flagged", f"{advisory.name} is flagged by the operator."))
        elif advisory.enforced:
            enforced = f"{advisory.name} is enforced by the operator, although {what} are off."
            reasons.append(Reason("enforced", enforced))
        else:
            reasons.append(Reason("flagged_but_off", f"{advisory.name} is flagged, but {what} are off."))
    return [advisory for advisory in flagged if flag or advisory.enforced]


def _patch(
    facts: Facts, target: CatalogueVersion | None, advisories: Sequence[Advisory], reasons: list[Reason]
) -> Iterator[Work]:
    """The hop to `target`. A host that cannot be managed holds it back: its kubelet would stay behind."""
    running = facts.situation.running_version
    if not running:
        reasons.append(Reason("version_unknown", "The running Kubernetes version is not known yet."))
    elif target is None and not advisories and (row := _left_behind(facts)):
        reasons.append(Reason("hosts_behind", f"The control plane runs {row.version}, some hosts do not yet."))
        yield Work("kubernetes", f"Kubernetes {row.version} on the hosts left behind", (), row.version, row.version)
    elif target is None:
        reasons.append(Reason("no_newer_patch", f"No newer patch than {running} can be reached."))
    elif facts.hosts_manageable < facts.hosts_total:
        waits = f"Kubernetes {running} to {target.version} waits: {_unmanageable(facts)}."
        reasons.append(Reason("hosts_not_manageable", waits))
    else:
        reasons.append(Reason("newer_patch", f"{target.version} is the furthest patch that {running} may go to now."))
        names = tuple(advisory.name for advisory in advisories if target.version in advisory.versions)
        yield Work("kubernetes", f"Kubernetes {running} to {target.version}", names, running, target.version)


def _left_behind(facts: Facts) -> CatalogueVersion | None:
    """The running version when hosts are patches behind it and may follow. A lag of a minor is a person's decision."""
    situation = facts.situation
    running = str(situation.running_version)
    behind = {kubelet.removeprefix("v") for kubelet in situation.kubelet_versions} - {running}
    if not behind or facts.hosts_manageable < facts.hosts_total or not is_version(running):
        return None
    if any(not is_version(kubelet) or minor_of(kubelet) != minor_of(running) for kubelet in behind):
        return None
    row = next((row for row in facts.catalogue if row.version == running), None)
    return row if row and not refuse_target(situation, row) else None


def _manageable(facts: Facts, reasons: list[Reason]) -> bool:
    """Whether there is a host to update; says so when some or all of them cannot be managed."""
    if not facts.hosts_total:
        reasons.append(Reason("no_hosts", "The workspace has no hosts."))
    elif facts.hosts_manageable < facts.hosts_total:
        reasons.append(Reason("hosts_not_manageable", f"{_unmanageable(facts)} and are left out."))
    return facts.hosts_manageable > 0


def _unmanageable(facts: Facts) -> str:
    return f"{facts.hosts_total - facts.hosts_manageable} of {facts.hosts_total} hosts cannot be managed"


def _hosts(facts: Facts) -> str:
    return "1 host" if facts.hosts_manageable == 1 else f"{facts.hosts_manageable} hosts"


def _after(facts: Facts, lane: Lane, work: tuple[Work, ...]) -> Facts:
    """The facts once `work` is done; the same object when nothing changes."""
    if work and facts.paused:
        facts = replace(facts, paused=None)
    for item in work:
        if item.kind != "os" and not item.to:
            continue
        if item.kind != "os":
            situation = replace(
                facts.situation,
                running_version=item.to,
                control_plane_wanted=item.to,
                kubelet_versions=(item.to,) * len(facts.situation.kubelet_versions),
            )
            facts = replace(facts, situation=situation)
        elif any(_installed(advisory, lane, item) for advisory in facts.advisories):
            facts = replace(facts, advisories=list(_left_of(facts.advisories, lane, item)))
    return facts


def _left_of(advisories: Sequence[Advisory], lane: Lane, item: Work) -> Iterator[Advisory]:
    """The advisories, each without the packages that `item` installs; one that is done altogether is left out."""
    for advisory in advisories:
        if not _installed(advisory, lane, item):
            yield advisory
        elif advisory.versions:
            yield replace(advisory, packages=())


def _installed(advisory: Advisory, lane: Lane, item: Work) -> bool:
    """A routine run installs every update there is, the flagged ones included; a priority run only what it names."""
    return bool(advisory.packages) and (lane == "routine" or advisory.name in item.advisories)
