"""Forgetting a workspace whose deletion does not get on: on a person's word, with everything told that stays behind.

Nothing in the world is asked or changed. What no step is known to have removed may still be there, and may cost.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from workspaces.models import Actor, Deletion, Operation, Workspace
from workspaces.operations.deletion_receipt import settle, times_of
from workspaces.operations.deletion_record import told
from workspaces.rules import deletion_receipt as rules
from workspaces.rules.deletion_plan import Item
from workspaces.rules.refusal import Refused

# Ends of an operation after which it may be continued, or the workspace forgotten.
_ENDED = ("failed", "stopped")


def forget_preview(deletion: Deletion) -> tuple[Item, ...]:
    """What would stay behind: everything that is agreed to be removed and that no step has removed."""
    return tuple(one.item for one in rules.forgotten(deletion.agreed, told(deletion.operation)).left)


def forget(deletion: Deletion, *, confirm_name: str, reason: str, actor: Actor) -> Refused | None:
    """Leave the workspace as deleted, though its deletion has not come to its end. There is no way back.

    Refused: wrong_name, no_reason, not_failed (its operation has neither failed nor been stopped).
    """
    if confirm_name != deletion.workspace.name:
        return Refused("wrong_name", f"Type the name of the workspace, {deletion.workspace}, to confirm.")
    if not reason.strip():
        return Refused("no_reason", "Say why it is forgotten: the reason is all that others will find.")
    with transaction.atomic():
        Workspace.objects.select_for_update(no_key=True).get(pk=deletion.workspace_id)
        rows = Deletion.objects.select_for_update(of=("self",)).select_related("operation", "workspace")
        current = rows.get(pk=deletion.pk)
        if refused := _refuse(current):
            return refused
        words = {"by": actor.name, "at": timezone.now().isoformat(), "reason": reason.strip()[:200]}
        outcome = rules.forgotten(current.agreed, told(current.operation))
        settle(current, rules.compose(outcome, times_of(current), words), "forgotten", actor)
    deletion.refresh_from_db()
    return None


def _refuse(deletion: Deletion) -> Refused | None:
    """Only what has failed or was stopped: a worker that is at it would go on removing."""
    rows = Operation.objects.select_for_update()
    operation = rows.filter(pk=deletion.operation_id).first() if deletion.operation_id else None
    if deletion.state == "running" and operation is not None and operation.state in _ENDED:
        return None
    return Refused(
        "not_failed",
        "A workspace can be forgotten once its deletion has failed or was stopped.",
        {"state": deletion.state, "operation": operation.state if operation else None},
    )
