"""The end of a deletion: everything is listed anew, what is still there is told, and the workspace's rows go.

There is no receipt without the providers' own listing: an account that the workspace is known to use has to answer. The
others of its organization are asked too, and are told as not asked when they do not answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from workspaces.models import PLATFORM, Actor, Deletion, Drift, Event, Inventory, LeftServer, Look, Seed, Workspace
from workspaces.models.deletion_plan import items_of_rows, linked_accounts
from workspaces.models.health import reassess
from workspaces.operations import inventory
from workspaces.operations.deletion_record import deletion_of, told
from workspaces.operations.engine import Context, Done, Outcome
from workspaces.providers.errors import Permanent, Temporary
from workspaces.rules import labels
from workspaces.rules.deletion_plan import MACHINE, Item, NotAsked, Plan
from workspaces.rules.deletion_receipt import CAME_LATER, Left, Times, Told, compare, compose, key_of, summary
from workspaces.rules.ids import as_id

# What may go well when it is asked again.
_PASSING: Final = ("unreachable", "rate_limit", "cloud_api", "conflict")


def write(context: Context) -> Outcome:
    """Ask everybody what is still there, and end the deletion with what they say."""
    deletion = deletion_of(context)
    if deletion.state != "running":
        return Done("is written")
    listed, not_asked = inventory.look(context.workspace, timezone.now())
    _must_have_answered(context.workspace, deletion.agreed, not_asked)
    said = _with_later_rows(context.workspace, deletion.agreed, told(context.operation))
    receipt = compose(compare(deletion.agreed, said, listed, not_asked), times_of(deletion))
    settle(deletion, receipt, "done", PLATFORM)
    return Done(summary(receipt))


def _must_have_answered(workspace: Workspace, agreed: Plan, not_asked: Sequence[NotAsked]) -> None:
    """Raise for somebody who has to answer and did not."""
    linked = linked_accounts(workspace)
    named = {item.account for item in agreed.removed}
    for one in not_asked:
        if one.account and as_id(one.account) not in linked and one.account not in named:
            continue
        error = Temporary if one.code in _PASSING else Permanent
        message = f"{one.what} does not say what is still there: {one.message}"
        raise error(one.code, message, who_can_fix=one.who_can_fix)


def _with_later_rows(workspace: Workspace, agreed: Plan, said: Told) -> Told:
    """Add what our own rows have of it that the plan does not: it came later, and nobody agreed to its removal."""
    known = {key_of(item) for item in [*agreed.removed, *agreed.kept]} | {key_of(one.item) for one in said.removed}
    rows = [item for item in items_of_rows(workspace, timezone.now()) if key_of(item) not in known]
    ended = any(one.item.kind == "control_plane" for one in said.removed)
    later = [
        Left(item, CAME_LATER) for item in rows if item.kind != MACHINE and not (ended and item.kind == "kubeconfig")
    ]
    return Told(said.removed, (*said.left, *later))


def times_of(deletion: Deletion) -> Times:
    """Who asked for it, and when; it ends now."""
    begun = deletion.operation.created_at if deletion.operation else None
    return Times(deletion.requested_by, deletion.requested_at, begun, timezone.now())


def settle(deletion: Deletion, receipt: dict[str, Any], state: str, actor: Actor) -> None:
    """Store the receipt, take the workspace's rows away and leave it deleted, in one transaction. Once only."""
    now = timezone.now()
    with transaction.atomic():
        workspace = Workspace.objects.select_for_update(of=("self",), no_key=True).get(pk=deletion.workspace_id)
        current = Deletion.objects.select_for_update(of=("self",)).get(pk=deletion.pk)
        if current.state != "running":
            return
        current.receipt, current.state, current.ended_at = receipt, state, now
        current.save(update_fields=["receipt", "state", "ended_at"])
        _take_rows_away(workspace, receipt)
        _end_kubeconfigs(workspace, receipt, current)
        workspace.state, workspace.state_since, workspace.state_reason = "deleted", now, _reason(receipt)[:300]
        workspace.save(update_fields=["state", "state_since", "state_reason"])
        reassess([workspace.pk], now)
        Event.record(
            actor,
            f"deletion.{state}",
            workspace=workspace,
            operation=current.operation,
            summary=f"{'Deleted' if state == 'done' else 'Forgot'} {workspace}: {summary(receipt)}",
        )


def _reason(receipt: dict[str, Any]) -> str:
    if forgotten := receipt["forgotten"]:
        return f"Forgotten by {forgotten['by']}: {forgotten['reason']}"
    left = len(receipt["left_over"])
    return f"Deleted, asked for by {receipt['by']}{f'; {left} left over' if left else ''}."


def _take_rows_away(workspace: Workspace, receipt: dict[str, Any]) -> None:
    """What tells of a living workspace. Operations, events, kubeconfigs and decisions stay."""
    Drift.objects.open().filter(workspace=workspace).delete()
    Seed.objects.filter(workspace=workspace).delete()
    Look.objects.filter(workspace=workspace).delete()
    Inventory.objects.filter(workspace=workspace).delete()
    workspace.dns_records.all().delete()
    workspace.hosts.all().delete()
    gone = {item.ref for item in _removed(receipt) if item.kind == "server"}
    left = LeftServer.objects.filter(provider_account__organization=workspace.project.organization_id)
    for one in left:
        if str(one.provider_id) in gone and one.labels.get(labels.WORKSPACE) == str(workspace.pk):
            one.delete()


def _removed(receipt: dict[str, Any]) -> Iterator[Item]:
    for one in receipt["removed"]:
        yield Item.of({name: value for name, value in one.items() if name != "at"})


def _end_kubeconfigs(workspace: Workspace, receipt: dict[str, Any], deletion: Deletion) -> None:
    """With the control plane every kubeconfig of it is dead; without that only those are that were revoked."""
    if any(one["kind"] == "control_plane" for one in receipt["removed"]):
        now = timezone.now()
        workspace.kubeconfigs.valid_outside(now).update(revoked_at=now, revoked_by=deletion.requested_by)
