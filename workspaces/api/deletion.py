"""The deletion of a workspace for scripts: its plan, scheduling and undoing it, a second person's word, protection.

What becomes of it once it has begun — the receipt, and giving up — is `deletion_end.py`.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from workspaces.api.callers import actor, caller, get_workspace, require_recent_sign_in
from workspaces.api.deletion_shapes import DeletionBody, DeletionDocument, ProtectionBody, ProtectionShape
from workspaces.api.problems import refused
from workspaces.api.schemas import ProblemDocument
from workspaces.models import Deletion, DeletionPolicy, Inventory, Workspace
from workspaces.models.deletion_plan import plan_of
from workspaces.models.safeguards import facts_of
from workspaces.operations import deletion_schedule, inventory
from workspaces.rules import lifecycle, safeguards
from workspaces.rules.deletion_plan import Plan
from workspaces.rules.refusal import Refused

router = Router(tags=["Deletion"])
NEED = "workspace.delete"
_REFUSABLE = dict.fromkeys((403, 404, 409, 422), ProblemDocument)
_PATH = "/workspaces/{uuid:pk}/deletion"


# --- The plan ---------------------------------------------------------------------------------------------------------
@router.get(_PATH, response={200: DeletionDocument, 404: ProblemDocument})
def deletion(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """What a deletion would remove and keep by name, what stands against it, and how far one is.

    Asked by somebody who may delete it, this has a worker look at what belongs to it in the world when nobody has
    lately: ask again while `inventory.under_way`.
    """
    workspace, now = get_workspace(request, pk), timezone.now()
    seen = _seen(workspace)
    if _wants_a_look(workspace, seen, now) and caller(request).allows(NEED, workspace.project):
        seen = inventory.ask(workspace, actor(request))
    return _document(workspace, seen, now)


def _wants_a_look(workspace: Workspace, last: Inventory | None, now: datetime) -> bool:
    """Whether nothing is known that could be agreed to. A look that broke off is not repeated at every asking."""
    if workspace.state not in safeguards.DELETABLE:
        return False
    if last is None or not last.error:
        return last is None or not (last.is_fresh(now) or last.is_under_way(now))
    return now - last.asked_at > timedelta(seconds=settings.LOOPBACK_PREFLIGHT_SECONDS)


@router.post(f"{_PATH}/inventory", response={202: DeletionDocument, **_REFUSABLE})
def look_again(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Have a worker look at what belongs to it in the world; a look that is under way answers both."""
    workspace = get_workspace(request, pk, need=NEED)
    if workspace.state not in safeguards.DELETABLE:
        said = f"{workspace} cannot be deleted: it is {lifecycle.WORKSPACE[workspace.state].label.lower()}."
        raise refused(Refused("not_deletable", said, {"state": workspace.state}))
    inventory.ask(workspace, actor(request))
    return _accepted(workspace)


# --- Deciding ---------------------------------------------------------------------------------------------------------
@router.post(_PATH, response={202: DeletionDocument, **_REFUSABLE})
def schedule(request: HttpRequest, pk: UUID, body: DeletionBody) -> HttpResponse:
    """Schedule it: what is agreed to is the plan as GET shows it, and until it begins DELETE takes it back.

    409: wrong_name, not_acknowledged, already_scheduled, not_deletable, protected, operation_running, not_looked
    (`look`: ask for the plan first), grace_too_short and grace_too_long (`at_least`, `at_most`: hours), plan_changed
    (with a `fingerprint`), moved.
    """
    workspace = get_workspace(request, pk, need=NEED)
    require_recent_sign_in(request)
    asked = deletion_schedule.schedule(
        workspace,
        confirm_name=body.confirm_name,
        acknowledged=body.acknowledge_backups,
        reason=body.reason.strip(),
        hours=body.hours,
        actor=actor(request),
        fingerprint=body.fingerprint,
    )
    if isinstance(asked, Refused):
        raise refused(asked)
    return _accepted(workspace)


@router.delete(_PATH, response={200: DeletionDocument, **_REFUSABLE})
def undo(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """Take it back before it begins: the workspace is what it was. 409 not_scheduled: there is nothing to undo."""
    workspace = get_workspace(request, pk, need=NEED)
    if refusal := deletion_schedule.undo(newest(workspace), actor(request)):
        raise refused(refusal)
    return _anew(workspace)


@router.post(f"{_PATH}/approve", response={200: DeletionDocument, **_REFUSABLE})
def approve(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """Agree to it as a second person. 409: not_scheduled, not_needed, same_person.

    A key is whoever made it. This prevents accidents and is no protection against intent.
    """
    workspace = get_workspace(request, pk, need=NEED)
    require_recent_sign_in(request)
    if refusal := deletion_schedule.approve(newest(workspace), actor(request)):
        raise refused(refusal)
    return _anew(workspace)


@router.put("/workspaces/{uuid:pk}/protection", response={200: ProtectionShape, **_REFUSABLE})
def protect(request: HttpRequest, pk: UUID, body: ProtectionBody) -> dict[str, bool]:
    """Have its deletion refused, or no more. 409 not_deletable once a deletion is scheduled: undo that first."""
    workspace = get_workspace(request, pk, need=NEED)
    if not body.protected:
        require_recent_sign_in(request)
    if refusal := deletion_schedule.protect(workspace, body.protected, actor(request)):
        raise refused(refusal)
    return {"protected": workspace.protected}


# --- The document -----------------------------------------------------------------------------------------------------
def newest(workspace: Workspace) -> Deletion:
    """Its newest deletion, which is the open one if one is. Raises a 409 where there was never one."""
    found = _newest(workspace)
    if found is None:
        raise refused(Refused("not_scheduled", f"No deletion of {workspace} is scheduled."))
    return found


def _seen(workspace: Workspace) -> Inventory | None:
    return Inventory.objects.filter(workspace=workspace).first()


def _newest(workspace: Workspace) -> Deletion | None:
    return workspace.deletions.first()


def _anew(workspace: Workspace) -> dict[str, Any]:
    """The document after something was changed."""
    workspace.refresh_from_db(fields=["state", "state_reason", "state_since", "protected"])
    return _document(workspace, _seen(workspace), timezone.now())


def _accepted(workspace: Workspace) -> HttpResponse:
    document = DeletionDocument.model_validate(_anew(workspace))
    return HttpResponse(
        document.model_dump_json(),
        status=202,
        content_type="application/json",
        headers={"Location": f"/api/v1/workspaces/{workspace.pk}/deletion"},
    )


def _document(workspace: Workspace, seen: Inventory | None, now: datetime) -> dict[str, Any]:
    policy = DeletionPolicy.of(workspace.project.organization)
    known = _newest(workspace)
    agreed = known if known and known.state != "undone" else None
    plan = agreed.agreed if agreed else plan_of(workspace, now, policy=policy, inventory=seen)
    return {
        "state": agreed.state if agreed else None,
        "workspace_state": workspace.state,
        "protected": workspace.protected,
        "plan": plan.document(),
        "fingerprint": plan.fingerprint,
        "inventory": _inventory(seen, now),
        "safeguards": [] if agreed else _safeguards(workspace, plan, policy, seen, now),
        "policy": {"steps": policy.steps, "grace_hours": policy.grace_hours, "second_person": policy.second_person},
        "deletion": _deletion(known) if known else None,
        "receipt": bool(agreed and agreed.receipt),
    }


def _inventory(seen: Inventory | None, now: datetime) -> dict[str, Any]:
    return {
        "looked_at": seen.looked_at if seen else None,
        "fresh": seen is not None and seen.is_fresh(now),
        "under_way": seen is not None and seen.is_under_way(now),
        "error": (seen.error or None) if seen else None,
    }


def _safeguards(
    workspace: Workspace, plan: Plan, policy: DeletionPolicy, seen: Inventory | None, now: datetime
) -> list[dict[str, Any]]:
    facts = facts_of(workspace, plan, policy, seen, now)
    return [asdict(one) for one in safeguards.safeguards(facts)]


def _deletion(row: Deletion) -> dict[str, Any]:
    alike = ("state", "requested_by", "requested_at", "reason", "begins_at", "needs_approval", "approved_at")
    or_null = ("approved_by", "undone_by")
    return (
        {name: getattr(row, name) for name in (*alike, "undone_at", "ended_at")}
        | {name: getattr(row, name) or None for name in or_null}
        | {"id": row.pk, "operation": row.operation_id}
    )
