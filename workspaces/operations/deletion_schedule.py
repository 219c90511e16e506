"""From the asking for a deletion to its first step: scheduling, undoing, a second person's word, and its beginning.

Until it begins nothing is removed, and an undo brings the workspace back as it was. What it does then is `deletion.py`.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from uuid import UUID

from django.db import OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from workspaces.models import Actor, ApiKey, Deletion, DeletionPolicy, Event, Inventory, Workspace
from workspaces.models.deletion_plan import plan_of
from workspaces.models.health import reassess
from workspaces.models.operation import moved_away
from workspaces.models.safeguards import facts_of
from workspaces.operations import deletion as work
from workspaces.rules import safeguards
from workspaces.rules.deletion import LONGEST_GRACE
from workspaces.rules.deletion_plan import Plan
from workspaces.rules.refusal import Refused

logger = logging.getLogger(__name__)
# Deletions that begin in one round, at most: one that begins is a job of its own.
AT_ONCE = 50


# --- In a request -----------------------------------------------------------------------------------------------------
def schedule(
    workspace: Workspace,
    *,
    confirm_name: str,
    acknowledged: bool,
    reason: str,
    hours: int | None,
    actor: Actor,
    fingerprint: str | None = None,
) -> Deletion | Refused:
    """Schedule the deletion, or say why not. `hours` until it begins: at least the policy's, which None means.

    What is agreed to is the plan as it stands now, from a look that is recent. `fingerprint` is that of the plan that
    the one who asks has read: where another look has found other things since, nothing is agreed to (plan_changed).
    """
    if confirm_name != workspace.name:
        return Refused("wrong_name", f"Type the name of the workspace, {workspace}, to confirm.")
    if not acknowledged:
        said = "Confirm that what is needed of its manifests, data and secrets has been kept elsewhere."
        return Refused("not_acknowledged", said)
    now = timezone.now()
    policy = DeletionPolicy.of(workspace.project.organization)
    with transaction.atomic():
        if moved := moved_away(workspace):
            return moved
        workspace.refresh_from_db(fields=["state", "state_reason", "protected"])
        inventory = Inventory.objects.filter(workspace=workspace).first()
        plan = plan_of(workspace, now, policy=policy, inventory=inventory)
        if refused := safeguards.refuse(facts_of(workspace, plan, policy, inventory, now)):
            return refused
        if refused := _refuse_hours(hours, policy):
            return refused
        if fingerprint not in (None, plan.fingerprint):
            said = "What would be removed or kept is not what you have read any more. Read it again."
            return Refused("plan_changed", said)
        return _store(workspace, plan, policy, now + timedelta(hours=_hours(hours, policy)), reason, actor, now)


def _hours(hours: int | None, policy: DeletionPolicy) -> int:
    return policy.grace_hours if hours is None else hours


def _refuse_hours(hours: int | None, policy: DeletionPolicy) -> Refused | None:
    longest = int(LONGEST_GRACE.total_seconds() // 3600)
    if policy.grace_hours <= _hours(hours, policy) <= max(longest, policy.grace_hours):
        return None
    return Refused(
        "grace_too_short" if _hours(hours, policy) < policy.grace_hours else "grace_too_long",
        f"It may begin in {policy.grace_hours} to {longest} hours.",
        {"at_least": policy.grace_hours, "at_most": longest},
    )


def _store(
    workspace: Workspace,
    plan: Plan,
    policy: DeletionPolicy,
    begins_at: datetime,
    reason: str,
    actor: Actor,
    now: datetime,
) -> Deletion:
    """Write it down: from here on the workspace is left alone."""
    deletion = Deletion.objects.create(
        workspace=workspace,
        requested_by=actor.name,
        requested_by_kind=actor.kind,
        requested_by_id=actor.account_id,
        requested_at=now,
        reason=reason,
        begins_at=begins_at,
        needs_approval=policy.second_person,
        plan=plan.document(),
        state_before=workspace.state,
        reason_before=workspace.state_reason,
    )
    _become(workspace, "deletion_scheduled", f"Begins {_at(begins_at)}, asked for by {actor.name}.", now)
    waits = ", once a second person agrees" if policy.second_person else ""
    Event.record(
        actor,
        "deletion.scheduled",
        workspace=workspace,
        summary=f"Scheduled the deletion of {workspace} for {_at(begins_at)}{waits}: {reason or 'no reason given'}",
        changes={"deletion": [None, str(deletion.pk)]},
    )
    return deletion


def undo(deletion: Deletion, actor: Actor) -> Refused | None:
    """Take it back before it begins: the workspace is what it was."""
    now = timezone.now()
    with transaction.atomic():
        current = _locked(deletion)
        if current is None:
            return _not_scheduled(deletion)
        workspace = current.workspace
        current.state, current.undone_by, current.undone_at, current.ended_at = "undone", actor.name, now, now
        current.save(update_fields=["state", "undone_by", "undone_at", "ended_at"])
        _become(workspace, current.state_before, current.reason_before, now)
        Event.record(
            actor,
            "deletion.undone",
            workspace=workspace,
            summary=f"Undid the deletion of {workspace}, which was to begin {_at(current.begins_at)}",
        )
    deletion.refresh_from_db()
    return None


def approve(deletion: Deletion, actor: Actor) -> Refused | None:
    """A second person agrees. That somebody is another than the one who asked is told by their accounts alone."""
    with transaction.atomic():
        current = _locked(deletion)
        if current is None:
            return _not_scheduled(deletion)
        if not current.waits_for_approval:
            return Refused("not_needed", "Nobody has to agree to it any more.")
        if not is_another(current, actor):
            return Refused("same_person", f"Somebody else than {current.requested_by} has to agree.")
        current.approved_by, current.approved_by_id = actor.name, actor.account_id
        current.approved_at = timezone.now()
        current.save(update_fields=["approved_by", "approved_by_id", "approved_at"])
        Event.record(
            actor,
            "deletion.approved",
            workspace=current.workspace,
            summary=f"Agreed to the deletion of {current.workspace}, asked for by {current.requested_by}",
        )
    deletion.refresh_from_db()
    return None


def is_another(deletion: Deletion, actor: Actor) -> bool:
    """Whether somebody else acts than asked for it. A key is whoever made it; a command is nobody."""
    asked = _person(deletion.requested_by_kind, deletion.requested_by_id)
    agrees = _person(actor.kind, actor.account_id)
    return agrees is not None and agrees != asked


def _person(kind: str, key: UUID | None) -> UUID | None:
    if kind != "api_key" or key is None:
        return key
    made_by = ApiKey.objects.filter(pk=key).values_list("created_by", flat=True).first()
    return made_by or key


def protect(workspace: Workspace, on: bool, actor: Actor) -> Refused | None:
    """Refuse the deletion of the workspace from now on, or no more. One that is scheduled has to be undone first."""
    with transaction.atomic():
        current = Workspace.objects.select_for_update(of=("self",), no_key=True).get(pk=workspace.pk)
        if current.state not in safeguards.DELETABLE:
            return Refused("not_deletable", f"{current} is being deleted, or is to be: undo that first.")
        if current.protected == on:
            return None
        current.protected = on
        current.save(update_fields=["protected"])
        Event.record(
            actor,
            "workspace.protected" if on else "workspace.unprotected",
            workspace=current,
            summary=f"{'Protected' if on else 'Took the protection off'} {current}: its deletion is "
            f"{'refused' if on else 'possible'}",
        )
    workspace.protected = on
    return None


# --- In a worker ------------------------------------------------------------------------------------------------------
def begin_due(now: datetime) -> int:
    """Begin what is due and agreed to; how many. One that cannot begin is told in the log and tried again."""
    due = Deletion.objects.filter(state="scheduled", begins_at__lte=now)
    due = due.filter(Q(needs_approval=False) | Q(approved_at__isnull=False))
    rows = due.select_related("workspace__project__organization").order_by("begins_at", "pk")
    return sum(_begin(deletion) for deletion in rows[:AT_ONCE])


def _begin(deletion: Deletion) -> bool:
    """Begin one; a defect in it must not keep the others waiting."""
    try:
        started = work.start(deletion)
    except OperationalError:
        raise  # the database is gone: no other can begin either
    except Exception:
        logger.exception("%s could not begin", deletion)
        return False
    if isinstance(started, Refused):
        logger.warning("%s has not begun: %s", deletion, started.message)
    return not isinstance(started, Refused)


# --- Rows -------------------------------------------------------------------------------------------------------------
def _locked(deletion: Deletion) -> Deletion | None:
    """The row and its workspace, locked, while it is scheduled. The workspace first, as everywhere."""
    Workspace.objects.select_for_update(no_key=True).get(pk=deletion.workspace_id)
    rows = Deletion.objects.select_for_update(of=("self",)).select_related("workspace__project")
    return rows.filter(pk=deletion.pk, state="scheduled").first()


def _not_scheduled(deletion: Deletion) -> Refused:
    current = Deletion.objects.get(pk=deletion.pk)
    words = {
        "undone": f"It has been undone by {current.undone_by}.",
        "running": "It has begun, and cannot be undone any more.",
        "done": "It is done.",
        "forgotten": "The workspace has been forgotten.",
    }
    return Refused("not_scheduled", words[current.state], {"state": current.state})


def _become(workspace: Workspace, state: str, reason: str, now: datetime) -> None:
    workspace.state, workspace.state_reason, workspace.state_since = state, reason[:300], now
    workspace.save(update_fields=["state", "state_reason", "state_since"])
    reassess([workspace.pk], now)


def _at(moment: datetime) -> str:
    return f"{moment:%a %-d %b, %H:%M} UTC"
