"""One row of the calendar as plain values: its marks in seven days, and in words what runs and what would stop it.

Windows ahead are the planner's forecast, windows that have passed are the decisions on record. Nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from workspaces.models import Decision, Workspace
from workspaces.models.maintenance import MaintenancePlan
from workspaces.models.outlook import look_at
from workspaces.models.workspace import WorkspaceQuerySet
from workspaces.rules import lifecycle, planner
from workspaces.rules.calendar import Clash, Slot
from workspaces.rules.planner import Forecast
from workspaces.templatetags.console import clock, day, local
from workspaces.views.calendar_query import Week

_HOUR = 100 / 24  # percent of a day's width
# From this hour on the number stands left of its bar, where it is not cut off.
_LATE = 18
_KINDS: Mapping[str, str] = {"ok": "ok", "busy": "w", "warn": "b", "bad": "x", "idle": "d"}
_WORDS = {"nothing": "Nothing to do", "blocked": "Blocked", "missed": "Missed", "waiting": "Waiting"}
_TONES: Mapping[str, lifecycle.Tone] = {"nothing": "idle", "blocked": "warn", "missed": "bad", "waiting": "busy"}


class Mark(NamedTuple):
    """A routine window: `kind` is its class (w, over x, passed d, blocked b, done ok); x are percent of the day."""

    kind: str
    hour: str
    x: str
    text_x: str
    is_late: bool


class Cell(NamedTuple):
    """A day of a row. `title` says in words what the marks show; `diamonds` are places of priority windows."""

    is_today: bool
    title: str
    marks: list[Mark]
    diamonds: list[str]


class Line(NamedTuple):
    """A window, or several in a row that do the same, in words. `tone` is empty for what lies ahead and may run."""

    when: str
    local: str
    tone: str
    word: str
    what: str
    why: str
    operation: UUID | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What the template prints of one workspace. `off` takes the place of the days."""

    pk: UUID
    name: str
    off: str
    tone: str
    cells: list[Cell]
    lines: list[Line]


class Group(NamedTuple):
    """The rows of one project, and its organization."""

    pk: UUID
    project: str
    organization: str
    rows: list[Row]


class _Window(NamedTuple):
    """A window of either kind on its way into a cell."""

    lane: str
    opens_at: datetime
    kind: str
    sentence: str
    is_shown: bool = True


@dataclass
class _Found:
    """What is known about the windows of one workspace in the week."""

    ahead: list[Forecast] = field(default_factory=list)
    decided: list[Decision] = field(default_factory=list)


def read_groups(page: WorkspaceQuerySet, week: Week, clashes: Mapping[Slot, Clash], zone: str) -> list[Group]:
    """The rows of the page, sliced and ordered by organization, project and name (four queries)."""
    rows = list(page.with_plan())
    known = look_at(rows, week.now) if not week.is_past and rows else {}
    decided = _decided(rows, week) if week.looks_back and rows else {}
    days = (week.end - week.now) // timedelta(days=1) + 1
    made = []
    for one in rows:
        plan, found = _plan_of(one), _Found(decided=decided.get(one.pk, []))
        if plan and one.pk in known:
            ahead = planner.forecast(plan.as_rule(), known[one.pk].facts, week.now, days)
            found.ahead = [f for f in ahead if week.start <= f.window.opens_at < week.end]
        made.append((one.project, _row(one, found, week, clashes, zone)))
    return [
        Group(project.pk, project.name, project.organization.name, [row for _, row in rows])
        for project, rows in groupby(made, key=lambda pair: pair[0])
    ]


def _plan_of(workspace: Workspace) -> MaintenancePlan | None:
    return getattr(workspace, "maintenance_plan", None)


def _decided(rows: Sequence[Workspace], week: Week) -> dict[UUID, list[Decision]]:
    found: dict[UUID, list[Decision]] = {}
    decisions = Decision.objects.filter(workspace__in=rows, opens_at__gte=week.start, opens_at__lt=week.end)
    for decision in decisions.select_related("operation").order_by("opens_at", "lane"):
        found.setdefault(decision.workspace_id, []).append(decision)
    return found


def _row(workspace: Workspace, found: _Found, week: Week, clashes: Mapping[Slot, Clash], zone: str) -> Row:
    plan, recorded = _plan_of(workspace), list(_recorded(found, zone))
    if plan is None:
        return Row(workspace.pk, workspace.name, "No maintenance plan", "idle", [], recorded)
    if not plan.enabled and not week.is_past:
        return Row(workspace.pk, workspace.name, _off(plan), "warn", [], recorded)
    windows = _windows(workspace, plan, found, week, clashes)
    if week.is_past and not windows:
        return Row(workspace.pk, workspace.name, "Nothing on record", "idle", [], [])
    cells = [_cell(at, at == week.today, [w for w in windows if w.opens_at.date() == at.date()]) for at in week.days]
    return Row(workspace.pk, workspace.name, "", "", cells, [*recorded, *_coming(found.ahead, zone)])


def _off(plan: MaintenancePlan) -> str:
    since = f" since {plan.disabled_at.day} {plan.disabled_at:%B}" if plan.disabled_at else ""
    by = f", by {plan.disabled_by}" if plan.disabled_by else ""
    return f"Maintenance off{since}{by}"


# --- Marks ------------------------------------------------------------------------------------------------------------
def _windows(
    workspace: Workspace, plan: MaintenancePlan, found: _Found, week: Week, clashes: Mapping[Slot, Clash]
) -> list[_Window]:
    """Everything of the week that has a mark, in order."""
    made = {(f.window.lane, f.window.opens_at): _ahead(workspace, f, week, clashes) for f in found.ahead}
    for decision in found.decided:
        lane: planner.Lane = "priority" if decision.lane == "priority" else "routine"
        tone, word, why = _outcome(decision)
        sentence = f"{word.lower()}: {why}" if why else word.lower()
        shown = lane == "routine" or decision.outcome != "nothing"
        at = decision.opens_at.astimezone(UTC)
        made.setdefault((lane, at), _Window(lane, at, _KINDS[tone], sentence, shown))
    if plan.enabled and week.start <= week.today < week.end:
        for window in planner.windows(plan.as_rule(), week.today, planner.hour_of(week.now) + timedelta(hours=1)):
            passed = _Window(window.lane, window.opens_at, "d", "passed, nothing on record", window.lane == "routine")
            made.setdefault((window.lane, window.opens_at), passed)
    return sorted(made.values(), key=lambda window: (window.opens_at, window.lane))


def _ahead(workspace: Workspace, ahead: Forecast, week: Week, clashes: Mapping[Slot, Clash]) -> _Window:
    opens_at, lane, cluster = ahead.window.opens_at, ahead.window.lane, workspace.management_cluster
    over = clashes.get((opens_at.weekday(), opens_at.hour)) if opens_at > week.now else None
    crowded = over is not None and lane == "routine" and over.touches(cluster.name if cluster else None)
    kind = "b" if ahead.blocked_by else "x" if crowded else "w"
    sentence = _what(ahead)
    if crowded:
        sentence = f"over the limit. {sentence}"
    if ahead.blocked_by:
        sentence = f"blocked: {ahead.blocked_by[0].message}"
    shown = lane == "routine" or bool(ahead.work) or opens_at.date() == week.now.date()
    return _Window(lane, opens_at, kind, sentence, shown)


def _cell(at: datetime, is_today: bool, windows: list[_Window]) -> Cell:
    shown = [window for window in windows if window.is_shown]
    return Cell(
        is_today=is_today,
        title=" ".join(
            f"{at:%A} {w.opens_at:%H}:00 UTC{' priority' if w.lane == 'priority' else ''}, {w.sentence.rstrip('.')}."
            for w in shown
        ),
        marks=[_mark(window) for window in shown if window.lane == "routine"],
        diamonds=[f"{(w.opens_at.hour + 0.5) * _HOUR:.2f}" for w in shown if w.lane == "priority"],
    )


def _mark(window: _Window) -> Mark:
    hour = window.opens_at.hour
    is_late = hour >= _LATE
    text_x = (hour - 0.3 if is_late else hour + 1.4) * _HOUR
    return Mark(window.kind, f"{hour:02d}", f"{hour * _HOUR:.2f}", f"{text_x:.2f}", is_late)


# --- Words ------------------------------------------------------------------------------------------------------------
def _what(ahead: Forecast) -> str:
    if ahead.work:
        return "; ".join(ahead.would)
    return f"Nothing to do. {ahead.reasons[0].message}" if ahead.reasons else "Nothing to do"


def _why(ahead: Forecast) -> str:
    """Why it happens or, where something would stop it, what; and what it leaves out."""
    return " ".join(reason.message for reason in (ahead.blocked_by or ahead.reasons))


def _coming(ahead: Iterable[Forecast], zone: str) -> Iterator[Line]:
    """Lane by lane, windows after each other that do the same in one line. Of the priority lane what is flagged."""
    told = [forecast for forecast in ahead if forecast.window.lane == "routine" or forecast.work]
    lines = []
    for lane in ("routine", "priority"):
        mine = [forecast for forecast in told if forecast.window.lane == lane]
        for (what, why, blocked), several in groupby(mine, key=lambda f: (_what(f), _why(f), bool(f.blocked_by))):
            windows = [forecast.window for forecast in several]
            first, last = windows[0].opens_at, windows[-1].opens_at
            when = f"{day(first)} {clock(first)}"
            if len(windows) > 1:
                when = f"{when} to {day(last)} {clock(last)}, {len(windows)} windows"
            word = "Blocked" if blocked else "Priority hour" if lane == "priority" else ""
            tone = "warn" if blocked else "prio" if lane == "priority" else ""
            lines.append((first, Line(when, local(first, zone), tone, word, what, why)))
    return (line for _, line in sorted(lines, key=lambda pair: pair[0]))


def _recorded(found: _Found, zone: str) -> Iterator[Line]:
    """The decisions that the forecast does not cover: every routine one, of the priority lane those about something."""
    ahead = {(f.window.lane, f.window.opens_at) for f in found.ahead}
    for decision in found.decided:
        at = decision.opens_at.astimezone(UTC)
        if (decision.lane, at) in ahead or (decision.lane == "priority" and decision.outcome == "nothing"):
            continue
        tone, word, why = _outcome(decision)
        what = "; ".join(decision.evidence.get("work") or ())
        yield Line(f"{day(at)} {clock(at)}", local(at, zone), tone, word, what, why, decision.operation_id)


def _outcome(decision: Decision) -> tuple[str, str, str]:
    """Tone, word and sentence. What was started is as its operation is by now."""
    if decision.outcome != "started":
        return _TONES[decision.outcome], _WORDS[decision.outcome], decision.message
    if decision.operation is None:
        return "idle", "Started", decision.message
    look = lifecycle.OPERATION[decision.operation.state]
    return look.tone, "Done" if look.tone == "ok" else look.label, decision.operation.title
