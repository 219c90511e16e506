"""Keeping the windows: once a minute, what opens is decided, once a window, and started while there is a place.

Every window leaves one Decision. Work that finds all places taken, or its workspace busy, waits in the database and is
started in a later minute of its hour (`runs.py`). What would be done is `rules/planner.py`. A scheduler that was
stopped catches up inside the hour, and what it has missed is written down.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import batched

from django.db import connection
from django.db.models import Exists, OuterRef, Q

from workspaces.models import Decision, MaintenancePlan, Tick, Workspace
from workspaces.models.decision import LANES
from workspaces.models.outlook import look_at
from workspaces.operations import runs
from workspaces.rules import lifecycle, planner
from workspaces.rules.planner import Reason

logger = logging.getLogger(__name__)
TICK = "maintenance"
BATCH = 500
# Any number that nothing else uses for advisory locks in this database.
_LOCK = 0x100BBACD
_HOUR = timedelta(hours=1)
_LONGEST_OUTAGE = timedelta(days=7)


def run_due(now: datetime) -> Counter[str]:
    """Decide and start what is due at `now`; returns how many windows came to which outcome.

    A second scheduler that comes at the same time finds the first one at it, and does nothing.
    """
    outcomes: Counter[str] = Counter()
    with _alone() as alone:
        if not alone:
            return outcomes
        last = Tick.objects.filter(name=TICK).values_list("at", flat=True).first()
        outcomes += _give_up_waiting(last, now)
        outcomes += _note_missed(last, now)
        if _may_start(now):
            outcomes += _decide(now)
            outcomes += runs.start_waiting(now)
        Tick.objects.update_or_create(name=TICK, defaults={"at": now})
    return outcomes


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else keeps the windows now. The lock is the session's: each start is a transaction of its own."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK])
        (alone,) = cursor.fetchone()
    try:
        yield alone
    finally:
        if alone:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])


def _may_start(now: datetime) -> bool:
    hour = planner.hour_of(now)
    return planner.is_open(planner.Window("routine", hour, hour + _HOUR), now)


def _opening(hour: datetime, lane: str) -> Q:
    """Plans that have a window of the lane at this hour."""
    return Q(priority_hour=hour.hour) if lane == "priority" else Q(**{f"hour_{hour.weekday()}": hour.hour})


def _undecided(hour: datetime, lane: str) -> Q:
    decisions = Decision.objects.filter(workspace=OuterRef("workspace"), lane=lane, opens_at=hour)
    return Q(_opening(hour, lane), ~Exists(decisions))


# --- Deciding ---------------------------------------------------------------------------------------------------------
def _decide(now: datetime) -> Counter[str]:
    """A first decision for every window that is open and has none."""
    hour, outcomes = planner.hour_of(now), Counter[str]()
    anyone = Q(pk__in=[])
    for lane, _ in LANES:
        anyone |= _undecided(hour, lane)
    plans = MaintenancePlan.objects.filter(anyone).exclude(workspace__state__in=lifecycle.GONE)
    keys = list(plans.values_list("pk", flat=True))
    for batch in batched(keys, BATCH, strict=False):
        rows = list(Workspace.objects.filter(pk__in=batch).with_plan())
        known = look_at(rows, now)
        decisions = [decision for row in rows for decision in _first_words(row, known[row.pk].facts, now)]
        Decision.objects.bulk_create(decisions, ignore_conflicts=True)
        outcomes.update(decision.outcome for decision in decisions if decision.outcome != "waiting")
    return outcomes


def _first_words(workspace: Workspace, facts: planner.Facts, now: datetime) -> list[Decision]:
    """The decisions for its windows that are open and have none (not saved)."""
    try:
        ahead = planner.due(workspace.maintenance_plan.as_rule(), facts, now)
    except Exception as error:
        # A defect of ours that shows on one workspace must not keep the windows of all the others shut.
        logger.exception("The windows of %s could not be planned", workspace)
        why = Reason("defect", f"Planning broke ({type(error).__name__}). The log has the details.")
        windows = planner.windows(workspace.maintenance_plan.as_rule(), planner.hour_of(now), now)
        ahead = [planner.Forecast(window, (), (why,), (why,)) for window in windows]
    undecided = [one for one in ahead if (one.window.lane, one.window.opens_at) not in facts.decided]
    return [Decision.of(workspace, one, now) for one in undecided]


# --- Too late ---------------------------------------------------------------------------------------------------------
def _give_up_waiting(last: datetime | None, now: datetime) -> Counter[str]:
    """Work that has waited until its hour was nearly over does not start any more."""
    outcomes: Counter[str] = Counter()
    hour = planner.hour_of(now)
    over = Q(opens_at__lt=hour) if _may_start(now) else Q(opens_at__lte=hour)
    for decision in Decision.objects.waiting().filter(over):
        closing = decision.opens_at + timedelta(minutes=50)
        if last is not None and last < closing - timedelta(minutes=10) and now - last > timedelta(minutes=10):
            outcomes[decision.settle("missed", _stopped(last, now), now)] += 1
        else:
            why = Reason(decision.reason, f"Waited its whole hour. {decision.message}")
            outcomes[decision.settle("blocked", why, now)] += 1
    return outcomes


def _stopped(last: datetime, now: datetime) -> Reason:
    return Reason("scheduler_stopped", f"No scheduler ran from {last:%a %d %b %H:%M} to {now:%a %d %b %H:%M} UTC.")


def _note_missed(last: datetime | None, now: datetime) -> Counter[str]:
    """Windows in which nothing can start any more and that nobody has decided."""
    outcomes: Counter[str] = Counter()
    this_hour = planner.hour_of(now)
    hour = max(planner.hour_of(last), this_hour - _LONGEST_OUTAGE) if last else this_hour
    while hour < this_hour or (hour == this_hour and not _may_start(now)):
        for lane, _ in LANES:
            outcomes += _note_missed_at(hour, lane, last, now)
        hour += _HOUR
    return outcomes


def _note_missed_at(hour: datetime, lane: str, last: datetime | None, now: datetime) -> Counter[str]:
    # A plan saved, or a workspace made, after the window was over says nothing about it.
    known = MaintenancePlan.objects.filter(updated_at__lt=hour + _HOUR, workspace__created_at__lt=hour + _HOUR)
    rows = known.filter(_undecided(hour, lane)).exclude(workspace__state__in=lifecycle.GONE)
    columns = rows.values_list("pk", "enabled", "updated_at", "workspace__created_at")
    decisions = []
    for pk, enabled, saved_at, made_at in columns.iterator(chunk_size=BATCH):
        outcome, why = _why_missed(enabled, max(saved_at, made_at), last, now)
        decisions.append(
            Decision(
                workspace_id=pk,
                lane=lane,
                opens_at=hour,
                outcome=outcome,
                reason=why.code,
                message=why.message,
                decided_at=now,
            )
        )
    Decision.objects.bulk_create(decisions, ignore_conflicts=True, batch_size=BATCH)
    return Counter(decision.outcome for decision in decisions)


def _why_missed(enabled: bool, chosen_at: datetime, last: datetime | None, now: datetime) -> tuple[str, Reason]:
    if not enabled:
        return "blocked", Reason("maintenance_off", "Maintenance is off. An administrator can switch it on.")
    if last is None or chosen_at > last:
        return "missed", Reason("too_late", "The window was chosen when its hour was nearly over.")
    return "missed", _stopped(last, now)
