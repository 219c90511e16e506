"""What stands in a project's calendar feed: the windows ahead in which something would run, and the runs that were.

A window keeps its entry when it becomes a run, and a run keeps it through every pause: whoever subscribes sees one
entry with one start and one end. How entries are written is `feed_document`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from workspaces.models import Decision, Operation, Project, Workspace
from workspaces.models.outlook import Outlook, look_at
from workspaces.rules import planner
from workspaces.rules.planner import Forecast
from workspaces.templatetags.console import clock, day
from workspaces.views.decision_lines import Line, lines_of, listed, planned, reasons, told

DAYS: Final = 14
# Of windows ahead, of runs and of blocked windows, nearest first: more is no calendar for people, and seconds of work.
AT_MOST: Final = 2000
_SPAN: Final = timedelta(days=DAYS)
_QUARTER: Final = timedelta(minutes=15)
_STOPS: Final = "A hold, a switched-off maintenance or another operation at that hour would stop it."


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `sequence` grows with every revision, `changed_at` is the last of them, `path` its page."""

    uid: str
    summary: str
    description: str
    starts_at: datetime
    ends_at: datetime
    status: Literal["CONFIRMED", "TENTATIVE", "CANCELLED"]
    sequence: int
    changed_at: datetime
    path: str


@dataclass(frozen=True, slots=True)
class Feed:
    """The entries by start. `complete_until`: too many windows, those after it are left out; None: all are there."""

    entries: list[Entry]
    complete_until: datetime | None


def feed_of(project: Project, now: datetime) -> Feed:
    """What concerns the workspaces that the project has now: DAYS days back and ahead (six queries)."""
    rows = list(
        Workspace.objects.filter(project=project, maintenance_plan__isnull=False)
        .exclude(state="deleted")
        .with_plan()
        .order_by("name", "pk")
    )
    ahead = {row.pk: _ahead(row, outlook, now) for row, outlook in _with_outlooks(rows, now)}
    resumed = {pk: next((one for one in found if _continues(one)), None) for pk, found in ahead.items()}
    windows = [(one, row) for row in rows for one in ahead[row.pk] if one.work and not _continues(one)]
    windows.sort(key=lambda pair: (pair[0].window.opens_at, pair[1].name))
    coming = [_coming(row, one, now) for one, row in windows[:AT_MOST]]
    past = [*_runs(project, resumed, now), *_stopped(project, now)]
    entries = sorted([*past, *coming], key=lambda entry: (entry.starts_at, entry.uid))
    return Feed(entries, coming[-1].starts_at if len(windows) > AT_MOST else None)


# --- Ahead ------------------------------------------------------------------------------------------------------------
def _with_outlooks(rows: list[Workspace], now: datetime) -> Iterator[tuple[Workspace, Outlook]]:
    known = look_at(rows, now)
    return ((row, known[row.pk]) for row in rows)


def _ahead(workspace: Workspace, outlook: Outlook, now: datetime) -> list[Forecast]:
    return planner.forecast(workspace.maintenance_plan.as_rule(), outlook.facts, now, DAYS)


def _continues(ahead: Forecast) -> bool:
    """Whether it goes on with paused work, which has its entry."""
    return any(work.kind == "continue" for work in ahead.work)


def _coming(workspace: Workspace, ahead: Forecast, now: datetime) -> Entry:
    work = sorted(ahead.would, key=lambda sentence: not sentence.startswith("Kubernetes"))
    why = [reason.message for reason in ahead.reasons]
    stops = [f"Does not run: {reason.message}" for reason in ahead.blocked_by]
    return Entry(
        uid=_uid(workspace.pk, ahead.window.lane, ahead.window.opens_at),
        summary=f"{workspace.name}: {listed(work)}",
        description="\n".join([*why, *(stops or [_STOPS])]),
        starts_at=ahead.window.opens_at,
        ends_at=ahead.window.closes_at,
        status="TENTATIVE" if ahead.blocked_by else "CONFIRMED",
        sequence=0,
        changed_at=planner.hour_of(now),
        path=reverse("maintenance", args=[workspace.pk]),
    )


def _uid(workspace: UUID, lane: str, opens_at: datetime) -> str:
    return f"{workspace}.{lane}.{opens_at:%Y%m%dT%H%MZ}@loopback"


# --- Behind -----------------------------------------------------------------------------------------------------------
def _runs(project: Project, resumed: dict[UUID, Forecast | None], now: datetime) -> Iterator[Entry]:
    """One entry a run: those that had a window in the last days, and those that are open."""
    mine = Decision.objects.filter(workspace__project=project)
    recent = mine.filter(opens_at__gte=now - _SPAN).exclude(operation=None).order_by("-opens_at", "-id")
    still_open = Operation.objects.open().filter(workspace__project=project).values("pk")
    told_runs = mine.filter(Q(operation__in=recent.values("operation")[:AT_MOST]) | Q(operation__in=still_open))
    rows = told(told_runs).order_by("opens_at", "id")
    by_run: dict[Operation, list[Line]] = defaultdict(list)
    for line in lines_of(rows, now):
        if line.decision.operation:
            by_run[line.decision.operation].append(line)
    for operation, lines in by_run.items():
        yield _run(operation, lines, resumed.get(operation.workspace_id), now)


def _run(operation: Operation, lines: list[Line], resumed: Forecast | None, now: datetime) -> Entry:
    """A run, by its windows in order. While it is paused, its end is the one that is planned."""
    first, last = lines[0].decision, lines[-1].decision
    said = [_in_words(line) for line in lines]
    starts_at = operation.started_at or operation.created_at
    ends_at = lines[-1].ended_at or _end_of_running(last, now)
    if operation.state == "paused" and resumed:
        said += _resumption(resumed)
        ends_at = resumed.window.closes_at
    word = {"failed": " (failed)", "paused": " (paused)", "stopped": " (stopped)"}.get(operation.state, "")
    return Entry(
        uid=_uid(first.workspace_id, first.lane, first.opens_at),
        summary=f"{first.workspace.name}: {listed(planned(first)) or operation.title}{word}",
        description="\n".join(said),
        starts_at=starts_at,
        ends_at=max(ends_at, starts_at),
        status="TENTATIVE" if operation.state == "paused" else "CONFIRMED",
        # Every window is a revision, and so is every end of work in one.
        sequence=2 * len(lines) - (lines[-1].ended_at is None),
        changed_at=max(filter(None, (last.decided_at, lines[-1].ended_at))),
        path=reverse("operation", args=[operation.pk]),
    )


def _in_words(line: Line) -> str:
    return f"{_window(line.decision.opens_at)}: {line.look.label}. {line.work}. {line.sentence}"


def _window(opens_at: datetime) -> str:
    return f"{day(opens_at)} {clock(opens_at)} UTC"


def _end_of_running(decision: Decision, now: datetime) -> datetime:
    """Of work that runs now: the end of its hour; after that the next quarter of an hour, again and again."""
    hour = planner.hour_of(now)
    return max(decision.closes_at, hour + (1 + (now - hour) // _QUARTER) * _QUARTER)


def _resumption(ahead: Forecast) -> list[str]:
    stops = [f"It does not: {reason.message}" for reason in ahead.blocked_by]
    return [f"{_window(ahead.window.opens_at)}: would go on.", *stops]


def _stopped(project: Project, now: datetime) -> Iterator[Entry]:
    """Windows that would have done something and did not: their entry is cancelled, which takes it off calendars."""
    rows = Decision.objects.filter(
        workspace__project=project, opens_at__gte=now - _SPAN, outcome__in=["blocked", "missed"]
    )
    with_work = rows.exclude(evidence__work=[]).exclude(evidence={}).select_related("workspace")
    for row in with_work.order_by("-opens_at", "-id")[:AT_MOST]:
        stops = [reason.message for reason in reasons(row, "blocked_by")] or [row.message]
        yield Entry(
            uid=_uid(row.workspace_id, row.lane, row.opens_at),
            summary=f"{row.workspace.name}: {listed(planned(row))}",
            description="\n".join(f"Did not run: {stop}" for stop in stops),
            starts_at=row.opens_at,
            ends_at=row.closes_at,
            status="CANCELLED",
            sequence=1,
            changed_at=row.decided_at,
            path=reverse("decision", args=[row.pk]),
        )
