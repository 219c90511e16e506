"""Rollouts: upgrades of many workspaces, started one after the other as `rules/rollout.py` decides.

A tick locks one rollout, notes what became of its upgrades, and starts what may start, all in one transaction: two
ticks at once start nothing twice, and one that dies has done nothing. What it would do is `rollout_preview`.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.db import OperationalError, transaction
from django.db.models import Q, QuerySet

from workspaces.models import (
    PLATFORM,
    Account,
    Actor,
    ApiKey,
    Hold,
    Operation,
    Project,
    Rollout,
    RolloutMember,
    Workspace,
)
from workspaces.models.outlook import look
from workspaces.models.tenancy import Caller
from workspaces.operations import upgrade
from workspaces.operations.rollout_preview import NEED, between
from workspaces.rules import rollout as rules
from workspaces.rules.refusal import Refused
from workspaces.rules.rollout import Member, Next

logger = logging.getLogger(__name__)
SECONDS = 5  # between two ticks
# Upgrades that one turn may try to start: its transaction keeps whoever pauses the rollout waiting.
_TRIES = 50
# What passes by itself: the member keeps its place.
_PASSING = ("operation_running", "moved", "route_changed")


# --- Ticks ------------------------------------------------------------------------------------------------------------
def tick(now: datetime) -> int:
    """Go on with every rollout that is under way; returns how many upgrades were started. One query when none is."""
    started = 0
    for pk in list(_under_way().values_list("pk", flat=True)):
        try:
            started += _turn(pk, now)
        except OperationalError:
            raise  # the database is gone, for all of them
        except Exception:
            logger.exception("Rollout %s could not go on", pk)
    return started


def _under_way() -> QuerySet[Rollout]:
    """Those that run, and those that start nothing but have upgrades whose end is to be noted."""
    upgrading = RolloutMember.objects.filter(state="running").values("rollout")
    continued = RolloutMember.objects.filter(state="failed").exclude(operation__state__in=("failed", "stopped"))
    paused = Q(state="paused", pk__in=continued.exclude(operation=None).values("rollout"))
    return Rollout.objects.filter(Q(state="running") | Q(pk__in=upgrading) | paused).order_by("created_at")


def _turn(pk: UUID, now: datetime) -> int:
    """One rollout, unless another worker is at it; returns how many upgrades were started."""
    with transaction.atomic():
        rollout = Rollout.objects.select_for_update(skip_locked=True).filter(pk=pk).first()
        if rollout is None:
            return 0
        members = _members(rollout)
        _settle(rollout, members)
        started = _go_on(rollout, members, now) if rollout.state == "running" else 0
        if rollout.state == "paused" and (over := what_next(rollout, members, now)).does == "finish":
            _finish(rollout, over, now)
    return started


def _members(rollout: Rollout) -> list[RolloutMember]:
    columns = ("rollout_id", "position", "canary", "state", "message", "workspace__project__organization_id")
    told = ("state", "error_message", "pause_reason", "stop_requested_by")
    rows = rollout.members.select_related("operation", "workspace__project")
    return list(rows.only(*columns, *(f"operation__{name}" for name in told)).order_by("position"))


def _settle(rollout: Rollout, members: Sequence[RolloutMember]) -> None:
    """Note how the upgrades stand. One that failed and was continued counts again, while the rollout is open."""
    changed, forgiven = [], rollout.failures_forgiven
    for member in members:
        if member.state != "running" and not (member.state == "failed" and rollout.is_open and member.operation):
            continue
        before = (member.state, member.message)
        member.state, member.message = _stands(member.operation)
        if before[0] == "failed" != member.state:
            rollout.failures_forgiven = max(0, rollout.failures_forgiven - 1)
        if before != (member.state, member.message):
            changed.append(member)
    RolloutMember.objects.bulk_update(changed, ["state", "message"])
    if rollout.failures_forgiven != forgiven:
        rollout.save(update_fields=["failures_forgiven"])


def _stands(operation: Operation | None) -> tuple[str, str]:
    """State and message of a member by its operation; the workspace is busy while that is open, paused too."""
    if operation is None:
        return "failed", "Its operation has been removed."
    if operation.is_open:
        return "running", operation.pause_reason
    if operation.state == "succeeded":
        return "succeeded", ""
    return "failed", operation.error_message or f"Stopped by {operation.stop_requested_by or 'somebody'}."


def what_next(rollout: Rollout, members: Sequence[RolloutMember], now: datetime) -> Next:
    """What the rules say; of a waiting member the message is what it waits for."""
    return rules.decide(_settings(rollout), _as_rules(members), rollout.canary_passed_at, now)


def _settings(rollout: Rollout) -> rules.Settings:
    return rules.Settings(
        canary=rollout.canary,
        at_once=rollout.at_once,
        stop_after=rollout.stop_after,
        soak=timedelta(minutes=rollout.soak_minutes),
        failures_forgiven=rollout.failures_forgiven,
    )


def _as_rules(members: Iterable[RolloutMember]) -> list[Member]:
    return [Member(one.pk, one.state, one.message if one.state == "waiting" else "") for one in members]


def _go_on(rollout: Rollout, members: Sequence[RolloutMember], now: datetime) -> int:
    """Start what may start, and end or pause the rollout when that is next; returns how many were started."""
    told, passed = {member.pk: member.message for member in members}, rollout.canary_passed_at
    _tell_what_they_wait_for(members, now)
    known: dict[Hashable, RolloutMember] = {member.pk: member for member in members}
    tries = started = 0
    while (coming := _next(rollout, members, now)).does == "start" and tries < _TRIES:
        for key in coming.members:
            tries += 1
            started += _start(rollout, known[key], now)
    RolloutMember.objects.bulk_update([one for one in members if one.message != told[one.pk]], ["message"])
    if coming.does != "pause":
        _mark_canary(rollout, members)
    if rollout.canary_passed_at != passed:
        rollout.save(update_fields=["canary_passed_at"])
    if coming.does == "pause":
        rollout.pause(PLATFORM, coming.sentence)
    elif coming.does == "finish":
        _finish(rollout, coming, now)
    return started


def _next(rollout: Rollout, members: Sequence[RolloutMember], now: datetime) -> Next:
    if rollout.canary_passed_at is None and rules.canary_has_passed(_settings(rollout), _as_rules(members)):
        rollout.canary_passed_at = now
    return what_next(rollout, members, now)


def _mark_canary(rollout: Rollout, members: Sequence[RolloutMember]) -> None:
    """Before the canary has passed, whoever takes a place in it is shown as part of it."""
    if rollout.canary_passed_at is None:
        keys = {member.key for member in rules.canary_of(_settings(rollout), _as_rules(members))}
        new = [member for member in members if member.pk in keys and not member.canary]
        for member in new:
            member.canary = True
        RolloutMember.objects.bulk_update(new, ["canary"])


def _finish(rollout: Rollout, over: Next, now: datetime) -> None:
    rollout.state, rollout.state_reason, rollout.finished_at = "finished", over.sentence, now
    rollout.save(update_fields=["state", "state_reason", "finished_at"])


def _tell_what_they_wait_for(members: Sequence[RolloutMember], now: datetime) -> None:
    """Set the message of each waiting member (not saved): the operation it is busy with, or its hold. Two queries."""
    waiting = [member for member in members if member.state == "waiting"]
    if not waiting:
        return
    places = [member.workspace_id for member in waiting]
    busy = dict(Operation.objects.open().filter(workspace__in=places).values_list("workspace", "title"))
    holds = list(Hold.objects.in_force(now).select_related("workspace", "project", "organization"))
    holds.sort(key=lambda hold: hold.expires_at, reverse=True)
    for member in waiting:
        title = busy.get(member.workspace_id)
        hold = next((hold for hold in holds if _stops(hold, member.workspace)), None)
        member.message = f"{title} is running." if title else ""
        if hold:
            member.message = f"{hold.place} is held until {hold.expires_at:%a %d %b %H:%M} UTC: {hold.reason}"


def _stops(hold: Hold, workspace: Workspace) -> bool:
    project = workspace.project
    held = (hold.workspace_id, hold.project_id, hold.organization_id)
    here = (workspace.pk, project.pk, project.organization_id)
    return all(place in (None, mine) for place, mine in zip(held, here, strict=True))


# --- Starting one -----------------------------------------------------------------------------------------------------
def _start(rollout: Rollout, member: RolloutMember, now: datetime) -> bool:
    """Start a member's upgrade, or note why not; a defect that shows on one must not keep all the others waiting."""
    try:
        with transaction.atomic():
            _note(member, _begin(rollout, member, now))
            member.save(update_fields=["state", "message", "operation"])
    except OperationalError:
        raise
    except Exception:
        logger.exception("The upgrade of %s could not be started", member.workspace)
        member.state, member.operation = "waiting", None
        member.message = "Starting it met a defect. It is tried again."
    return member.state == "running"


def _note(member: RolloutMember, outcome: Operation | Refused) -> None:
    if isinstance(outcome, Operation):
        member.state, member.operation, member.message = "running", outcome, ""
        return
    member.message = outcome.message
    if outcome.code == "same_version":
        member.state = "left_out"
    elif outcome.code not in _PASSING:
        member.state = "refused"


def _begin(rollout: Rollout, member: RolloutMember, now: datetime) -> Operation | Refused:
    workspace = Workspace.objects.with_plan().get(pk=member.workspace_id)
    requester = rollout.requester
    if not _may_start(requester, workspace.project, now):
        said = f"{requester.name}, who asked for the rollout, may not start upgrades of {workspace.project} any more."
        return Refused("not_allowed", said)
    through = None
    if rollout.several_hops:
        known = look(workspace, now)
        through = between(known.situation, rollout.target, known.facts.catalogue)
    return upgrade.start(workspace, rollout.target, actor=requester, accept=rollout.accept_risks, through=through)


def _may_start(requester: Actor, project: Project, now: datetime) -> bool:
    """Whether whoever asked for the rollout still may upgrade there: rights end while a rollout runs."""
    if requester.kind == "command":
        return True
    asks: Caller | None = None
    if requester.account_id and requester.kind == "account":
        asks = Account.objects.filter(pk=requester.account_id).first()
    elif requester.account_id and requester.kind == "api_key":
        asks = ApiKey.objects.usable(now).filter(pk=requester.account_id).first()
    return asks is not None and asks.allows(NEED, project)


def may_be_changed_by(rollout: Rollout, caller: Caller) -> bool:
    """Whether the account or API key may start upgrades on every workspace of it, and so pause, continue and stop."""
    allowed = Project.objects.allowing(caller, NEED).values("pk")
    return not rollout.members.exclude(workspace__project__in=allowed).exists()
