"""What a person decides about drift: to accept what is seen as what is wanted, or to have it set back.

Accepting is done here and now, in PostgreSQL alone. Setting back is a mark on the row, which the next look carries out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from workspaces.models import Actor, DnsRecord, Drift, Event, Host, Operation, Seed, Workspace
from workspaces.models.health import reassess
from workspaces.models.operation import already_running
from workspaces.operations import looks
from workspaces.rules import drift_words, lifecycle
from workspaces.rules.drift import DECISIONS
from workspaces.rules.ids import as_id
from workspaces.rules.looks import CLUSTER, CONTROL_PLANES, DNS, SEEDING, SERVERS
from workspaces.rules.refusal import Refused
from workspaces.rules.situation import refuse_leaving

NIL: Final = UUID(int=0)
_WRITTEN: Final = ("decision", "decided_by", "decided_at", "error", "ended_at", "ending")


def decide(drift: Drift, decision: str, actor: Actor) -> Refused | None:
    """Accept what is seen ("accept") or have it set back ("converge"), unless it is refused.

    Codes: not_open, already_decided, operation_running, not_active, cannot_be_set_back, cannot_be_accepted, protected,
    moved.
    """
    if decision not in dict(DECISIONS):
        raise ValueError(f"{decision} is no decision about drift")
    now = timezone.now()
    with transaction.atomic():
        # In this order, as operations are started: one of the two waits, and sees what the other did.
        workspace = Workspace.objects.select_for_update(no_key=True, of=("self",)).select_related("project")
        held = workspace.get(pk=drift.workspace_id)
        row = Drift.objects.select_for_update(of=("self",)).get(pk=drift.pk)
        refused = _refuse(row, held, drift.workspace.project_id, decision)
        if refused := refused or (_accept(row, held) if decision == "accept" else None):
            return refused
        _write(row, decision, actor, now)
        said = drift_words.decided(row.kind, row.subject, row.field, row.wanted, row.seen, decision)
        action = "drift.accepted" if decision == "accept" else "drift.converge"
        changes = {row.field: [row.wanted, row.seen] if decision == "accept" else [row.seen, row.wanted]}
        Event.record(actor, action, workspace=held, summary=said, changes=changes)
        reassess([held.pk], now)
        # An object that was in conflict over the field is as wanted now, which its look has to tell.
        if decision == "converge" or row.kind == "seed":
            looks.due_now(**_look_of(row, held))
    drift.refresh_from_db(fields=_WRITTEN)
    return None


def _refuse(row: Drift, workspace: Workspace, project: UUID, decision: str) -> Refused | None:
    """Why nothing is decided now."""
    if workspace.project_id != project:
        return Refused("moved", f"{workspace} has been moved to another project meanwhile.")
    # Once setting back has failed, another decision may be better.
    if row.decision and not row.error:
        said = f"{row.decided_by} has decided already: {row.get_decision_display().lower()}."
        return Refused("already_decided", said, {"decision": row.decision})
    if row.ended_at is not None:
        return Refused("not_open", f"This is not different any more: {row.get_ending_display().lower()}.")
    if workspace.state in lifecycle.GONE:
        return refuse_leaving(workspace.state)
    if Operation.objects.open().filter(workspace=workspace).exists():
        return already_running(workspace)
    return _refuse_to_set_back(row, workspace) if decision == "converge" else _refuse_to_accept(row)


def _refuse_to_set_back(row: Drift, workspace: Workspace) -> Refused | None:
    if why := drift_words.why_not_set_back(row.kind, row.field, row.policy, row.wanted, row.seen):
        return Refused("cannot_be_set_back", why)
    if workspace.state not in lifecycle.SET_BACK_IN:
        state = workspace.get_state_display()
        return Refused("not_active", f"Nothing is set back on {workspace} in this state: {state}.")
    return None


def _refuse_to_accept(row: Drift) -> Refused | None:
    if why := drift_words.why_not_accepted(row.kind, row.field, row.seen):
        return Refused("cannot_be_accepted", why)
    if row.kind == "seed":
        seed = Seed.objects.select_related("manifest").filter(pk=_about(row)).first()
        if seed and seed.manifest.protected:
            said = f"{seed.manifest} is protected: what differs from it cannot be accepted."
            return Refused("protected", said)
    return None


def _accept(row: Drift, workspace: Workspace) -> Refused | None:
    """Make what is seen what is wanted; refused when what it is about is not there any more."""
    match row.kind:
        case "control_plane":
            Workspace.objects.filter(pk=workspace.pk).update(wanted=workspace.wanted | {row.field: row.seen})
            return None
        case "host" | "node":
            done = _accept_on_host(row)
        case "dns":
            done = _accept_record(row)
        case _:
            done = _leave_to_others(row)
    return None if done else Refused("not_open", f"{row.subject} is not kept here any more.")


def _about(row: Drift) -> UUID:
    """The key of what it is about; the nil id, which nothing has, where it names none."""
    return as_id(row.ref) or NIL


def _accept_on_host(row: Drift) -> int:
    host = Host.objects.select_for_update(of=("self",), no_key=True).filter(pk=_about(row)).first()
    return Host.objects.filter(pk=_about(row)).update(wanted=host.wanted | {row.field: row.seen}) if host else 0


def _accept_record(row: Drift) -> int:
    seen: Any = row.seen
    values = {"ttl": seen} if row.field == "ttl" else {"value": seen[0]}
    return DnsRecord.objects.filter(pk=_about(row)).update(**values)


def _leave_to_others(row: Drift) -> int:
    seed = Seed.objects.select_for_update(of=("self",)).filter(pk=_about(row)).first()
    return Seed.objects.filter(pk=_about(row)).update(left=sorted({*seed.left, row.field})) if seed else 0


def _write(row: Drift, decision: str, actor: Actor, now: datetime) -> None:
    row.decision, row.decided_by, row.decided_at, row.error = decision, actor.name[:150], now, ""
    if decision == "accept":
        row.ended_at, row.ending = now, "accepted"
    row.save(update_fields=_WRITTEN)


def _look_of(row: Drift, workspace: Workspace) -> dict[str, Any]:
    """The look that sets it back: a field of Look and its value, with the kind."""
    match row.kind:
        case "control_plane":
            return {"kind": CONTROL_PLANES, "management_cluster": workspace.management_cluster_id}
        case "host":
            account = Host.objects.filter(pk=_about(row)).values_list("provider_account", flat=True).first()
            return {"kind": SERVERS, "provider_account": account}
        case "dns":
            account = DnsRecord.objects.filter(pk=_about(row)).values_list("provider_account", flat=True).first()
            return {"kind": DNS, "provider_account": account}
        case "node":
            return {"kind": CLUSTER, "workspace": workspace.pk}
    return {"kind": SEEDING, "workspace": workspace.pk}
