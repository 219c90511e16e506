"""What a hold stops: windows with known work in its time, and automatic work that runs now.

The work is the planner's forecast without the hold, so that what another hold or a switch stops anyway is not counted;
it is also what starts again when the hold is lifted. Above `LOOKED_AT` workspaces only windows are counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.http import HttpRequest

from workspaces.models import Hold, MaintenancePlan, Operation, Workspace
from workspaces.models.outlook import look_at
from workspaces.models.workspace import WorkspaceQuerySet
from workspaces.rules import planner
from workspaces.views.access import visible_workspaces

LOOKED_AT = 200
SHOWN = 20
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Stopped:
    """A window that would do something: `work` are sentences, `flagged` the advisories among it."""

    workspace: UUID
    name: str
    opens_at: datetime
    is_priority: bool
    work: tuple[str, ...]
    flagged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """`windows` open in the time of the hold; `stopped` are those with known work, in order, None when not looked."""

    workspaces: int
    windows: int
    stopped: list[Stopped] | None
    running: list[Operation] = field(default_factory=list)

    @property
    def first(self) -> list[Stopped]:
        """The next ones, for a list."""
        return (self.stopped or [])[:SHOWN]

    @property
    def next(self) -> Stopped | None:
        """The first to be stopped, and the first to start again."""
        return self.stopped[0] if self.stopped else None

    @property
    def busy_workspaces(self) -> int:
        """How many workspaces have something to do."""
        return len({one.workspace for one in self.stopped or []})

    @property
    def flagged(self) -> list[str]:
        """The advisories that wait."""
        return sorted({name for one in self.stopped or [] for name in one.flagged})


def covered(request: HttpRequest, hold: Hold) -> WorkspaceQuerySet:
    """What the hold stops as far as the reader sees it: nobody learns how many workspaces others have."""
    found: WorkspaceQuerySet = hold.covered().filter(pk__in=visible_workspaces(request).values("pk"))
    return found


def effect_of(rows: WorkspaceQuerySet, hold: Hold, now: datetime) -> Effect:
    """What `hold`, stored or not, stops of `rows` from now until it ends."""
    running = Operation.objects.open().exclude(window_opens_at=None).exclude(state="paused")
    running = running.filter(workspace__in=rows.values("pk")).select_related("workspace").order_by("workspace__name")
    count = rows.count()
    if count > LOOKED_AT:
        return Effect(count, _windows(rows, hold, now), None, list(running[:SHOWN]))
    known = {workspace.pk: workspace for workspace in rows.with_plan()}
    windows, stopped = 0, list[Stopped]()
    for pk, outlook in look_at(known.values(), now).items():
        plan = known[pk].maintenance_plan.as_rule()
        if not plan.enabled:
            continue
        for ahead in planner.forecast(plan, _without(outlook.facts, hold), now, (hold.expires_at - now).days + 1):
            if not _stops(hold, ahead.window, now):
                continue
            windows += 1
            if ahead.work and not ahead.blocked_by:
                stopped.append(_stopped(known[pk], ahead))
    stopped.sort(key=lambda one: (one.opens_at, not one.is_priority, one.name))
    return Effect(count, windows, stopped, list(running[:SHOWN]))


def _stopped(workspace: Workspace, ahead: planner.Forecast) -> Stopped:
    flagged = tuple(name for work in ahead.work for name in work.advisories)
    return Stopped(
        workspace.pk, workspace.name, ahead.window.opens_at, ahead.window.lane == "priority", ahead.would, flagged
    )


def _stops(hold: Hold, window: planner.Window, now: datetime) -> bool:
    return hold.set_at <= max(window.opens_at, now) < hold.expires_at


def _without(facts: planner.Facts, hold: Hold) -> planner.Facts:
    """The facts as they are once the hold is lifted."""
    holds = list(facts.holds)
    for known in holds:
        if (known.reason, known.starts_at, known.ends_at) == (hold.reason, hold.set_at, hold.expires_at):
            holds.remove(known)
            return replace(facts, holds=holds)
    return facts


def _windows(rows: WorkspaceQuerySet, hold: Hold, now: datetime) -> int:
    """How many windows open in the time of the hold: plans counted by weekday and hour, not looked at one by one."""
    plans = MaintenancePlan.objects.filter(enabled=True, workspace__in=rows.values("pk"))
    routine, priority = Counter[tuple[int, int]](), Counter[int]()
    for priority_hour, *hours in plans.values_list("priority_hour", *MaintenancePlan.HOURS):
        priority[priority_hour] += 1
        routine.update((day, hour) for day, hour in enumerate(hours) if hour is not None)
    start = max(hold.set_at, now)
    opens_at = start.replace(minute=0, second=0, microsecond=0)
    opens_at += _HOUR if opens_at < start else timedelta()
    total = 0
    while opens_at < hold.expires_at:
        total += routine[opens_at.weekday(), opens_at.hour] + priority[opens_at.hour]
        opens_at += _HOUR
    return total
