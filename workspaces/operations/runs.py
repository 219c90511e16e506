"""Runs of automatic maintenance: started in fair order while there are places, bound to their window while they go on.

Which windows there are and what came of them is `maintenance.py`; who goes first is `rules/places.py`; what a run does
on hosts and control planes is `os_updates.py` and `upgrade.py`.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import F, OuterRef, Subquery

from workspaces.models import PLATFORM, Decision, Hold, Operation, RunWindow, Workspace
from workspaces.models.outlook import Outlook, look
from workspaces.operations import dispatch, os_updates, upgrade
from workspaces.rules import lifecycle, planner, upgrades
from workspaces.rules.places import Candidate, Places, fair_order
from workspaces.rules.planner import Forecast, Reason, Work
from workspaces.rules.refusal import Refused

logger = logging.getLogger(__name__)
_PLACES_SHOWN = 200


def start_waiting(now: datetime) -> Counter[str]:
    """Start what waits, in fair order, while there are places; the others are told what they wait for."""
    outcomes: Counter[str] = Counter()
    waiting = {decision.pk: decision for decision in _waiting(planner.hour_of(now))}
    places = _places()
    busy = dict(_busy().values_list("workspace", "title"))
    line, told = 0, list[Decision]()
    for candidate in _queue(waiting.values()):
        decision = waiting[UUID(candidate.key)]
        if running := busy.get(decision.workspace_id):
            if _tell(decision, Reason("operation_running", f"{running} is running."), None):
                told.append(decision)
            continue
        if full := places.full(candidate.cluster):
            line += 1
            if _tell(decision, Reason("limit", full), line):
                told.append(decision)
            continue
        outcome = _try_to_start(decision, now)
        if outcome == "started":
            places.take(candidate.cluster)
            busy[decision.workspace_id] = _busy().values_list("title", flat=True).get(workspace=decision.workspace_id)
        if outcome != "waiting":
            outcomes[outcome] += 1
    Decision.objects.bulk_update(told, ["reason", "message", "evidence"], batch_size=200)
    return outcomes


def _waiting(hour: datetime) -> Any:
    """Decisions that wait, each with `last_run`: when its workspace last had a run."""
    runs = Operation.objects.filter(workspace=OuterRef("workspace")).exclude(window_opens_at=None)
    rows = Decision.objects.waiting().filter(opens_at=hour).select_related("workspace__project")
    return rows.annotate(last_run=Subquery(runs.order_by("-created_at").values("created_at")[:1]))


def _queue(waiting: Iterable[Any]) -> list[Candidate]:
    return fair_order(
        Candidate(
            key=str(decision.pk),
            name=decision.workspace.name,
            lane=decision.lane,
            organization=decision.workspace.project.organization_id,
            cluster=decision.workspace.management_cluster_id,
            last_run=decision.last_run,
        )
        for decision in waiting
    )


def _busy() -> Any:
    """Open operations that are not paused: their workspaces can start nothing, and automatic ones take a place."""
    return Operation.objects.open().exclude(state="paused")


def _places() -> Places:
    running = _busy().exclude(window_opens_at=None).values_list("workspace__management_cluster", flat=True)
    return Places(settings.LOOPBACK_RUNS_AT_ONCE, settings.LOOPBACK_RUNS_AT_ONCE_PER_CLUSTER, Counter(running))


def _tell(decision: Decision, why: Reason, place: int | None) -> bool:
    """Set what it waits for (not saved); False when that is known. Far back in the line the exact place is nobody's."""
    said = (decision.message, decision.evidence.get("place"))
    shown = place if place is not None and place <= _PLACES_SHOWN else None
    decision.reason, decision.message = why.code, why.message
    decision.evidence = decision.evidence | {"limit": why.message, "place": shown}
    return said != (why.message, shown)


def _try_to_start(decision: Decision, now: datetime) -> str:
    """`_start`; a defect that shows on one workspace must not keep all the others waiting."""
    try:
        return _start(decision, now)
    except OperationalError:
        raise  # the database is gone, for all of them
    except Exception:
        logger.exception("Maintenance of %s could not be started", decision.workspace)
        return "waiting"


def _start(decision: Decision, now: datetime) -> str:
    """Look once more and start; returns the outcome. What has changed since the first look counts."""
    with transaction.atomic():
        locked = Decision.objects.waiting().select_for_update(of=("self",)).filter(pk=decision.pk).first()
        if locked is None:
            return "waiting"  # somebody else has it
        workspace = Workspace.objects.with_plan().get(pk=decision.workspace_id)
        outlook = look(workspace, now)
        # What waits is planned anew; what is decided is not: whether the other lane's work got through, the facts tell.
        over = {window: None for window, waits_for in outlook.facts.decided.items() if waits_for is None}
        facts = replace(outlook.facts, decided=over)
        ahead = _window_of(locked, planner.due(workspace.maintenance_plan.as_rule(), facts, now))
        if ahead is None:
            return locked.settle("blocked", Reason("rescheduled", "The window was moved while its work waited."), now)
        outcome, why = planner.judge(ahead)
        if outcome != "waiting":
            return locked.settle(outcome, why, now, ahead)
        if ahead.blocked_by:
            return outcome
        begun = _begin(workspace, ahead, outlook)
        if isinstance(begun, Refused):
            logger.info("Maintenance of %s not started: %s", workspace, begun.message)
            return _refused(locked, begun, now)
        locked.operation = begun
        return locked.settle("started", ahead.reasons[0], now, ahead)


def _window_of(decision: Decision, ahead: Iterable[Forecast]) -> Forecast | None:
    window = (decision.lane, decision.opens_at)
    return next((one for one in ahead if (one.window.lane, one.window.opens_at) == window), None)


def _refused(decision: Decision, refused: Refused, now: datetime) -> str:
    """Another operation or a move came in between: that passes. Any other refusal decides the window."""
    if refused.code in ("operation_running", "moved"):
        return "waiting"
    return decision.settle("blocked", Reason(refused.code, refused.message), now)


def _begin(workspace: Workspace, ahead: Forecast, outlook: Outlook) -> Operation | Refused:
    """The operation that does the window's work: new, or the paused one that goes on."""
    window = RunWindow(ahead.window.lane, ahead.window.opens_at)
    if outlook.operation and outlook.facts.paused:
        paused = Operation.objects.get(pk=outlook.operation.pk)
        if ahead.work[0].kind == "continue":
            return _go_on(paused, window)
        paused.request_stop(PLATFORM)
    work = {item.kind: item for item in ahead.work}
    if "os" not in work:
        return upgrade.start(workspace, work["kubernetes"].to, actor=PLATFORM, window=window)
    return _maintain(workspace, work["os"], work.get("kubernetes"), outlook, window)


def _go_on(paused: Operation, window: RunWindow) -> Operation | Refused:
    if not paused.resume(window):
        return Refused("operation_running", f"{paused.title} is paused no longer.")
    dispatch.run_soon(paused.pk)
    return paused


def _maintain(
    workspace: Workspace, os: Work, kubernetes: Work | None, outlook: Outlook, window: RunWindow
) -> Operation | Refused:
    """Updates first: they prove that every host can be reached before the control plane moves for good."""
    steps = list(os_updates.plan(workspace))
    parameters: dict[str, Any] = {
        "os": "all" if window.lane == "routine" else "security",
        "packages": list(os.packages),
        "advisories": list(os.advisories),
        "pace": upgrade.pace(workspace),
    }
    if kubernetes:
        known = outlook.facts
        if refused := upgrades.refuse_upgrade(known.situation, kubernetes.to, known.catalogue):
            return refused
        hops = upgrades.plan(known.situation, kubernetes.to, known.catalogue)
        if isinstance(hops, Refused):
            return hops
        steps += upgrade.plan(workspace, hops)
        parameters |= upgrade.parameters(workspace, hops)
    done = " and ".join(item.sentence for item in (os, kubernetes) if item)
    title = f"Maintain {workspace.name}: {done}"
    operation = Operation.start(
        workspace, os_updates.KIND, title[:200], steps, actor=PLATFORM, parameters=parameters, window=window
    )
    if isinstance(operation, Operation):
        dispatch.run_soon(operation.pk)
    return operation


# --- While it runs ----------------------------------------------------------------------------------------------------
def why_to_pause(operation: Operation, now: datetime) -> str:
    """Why automatic work may not go on at `now`, in a sentence; empty: it may. What a person started always may."""
    if operation.window_closes_at is None:
        return ""
    workspace = Workspace.objects.select_related("project", "maintenance_plan").get(pk=operation.workspace_id)
    if not workspace.maintenance_plan.enabled:
        return "Maintenance was switched off."
    if workspace.state != "active":
        return f"The workspace is not active. Its state: {lifecycle.WORKSPACE[workspace.state].label}."
    hold = Hold.objects.in_force(now).touching(workspace).order_by(F("expires_at").desc()).first()
    if hold:
        return f"{hold.place} is held until {hold.expires_at:%a %d %b %H:%M} UTC: {hold.reason}"
    if now >= operation.window_closes_at + timedelta(seconds=settings.LOOPBACK_OVERRUN_SECONDS):
        minutes = settings.LOOPBACK_OVERRUN_SECONDS / 60
        return f"Its hour ended at {operation.window_closes_at:%H:%M} UTC, and it may overrun by {minutes:.0f} min."
    return ""
