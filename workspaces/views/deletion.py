"""The page of a workspace's deletion: what would go and stay, what stands against it, scheduling and undoing it.

Until it is scheduled the plan is made anew at every look; afterwards the page shows what was agreed to. How a deletion
ends (the receipt, and forgetting) is `deletion_end.py`; the plan as lines, `deletion_lines.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final, cast
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from workspaces.models import Actor, Deletion, DeletionPolicy, Inventory, Workspace
from workspaces.models.deletion_plan import plan_of
from workspaces.models.durations import of_deletions
from workspaces.models.safeguards import facts_of, look_of
from workspaces.operations import deletion_schedule, inventory
from workspaces.rules import lifecycle, safeguards
from workspaces.rules.refusal import Refused
from workspaces.views.access import account_of, get_workspace, login_required, recently_signed_in
from workspaces.views.deletion_lines import lines_of
from workspaces.views.see_other import see_other
from workspaces.views.workspaces import status_of

NEED: Final = "workspace.delete"
PAGE: Final = "workspaces/deletion.html"
STOP_POLLING: Final = 286
WEEK: Final = 7 * 24
# What somebody confirms to have of it elsewhere, each with a tick.
BACKUPS: Final = {
    "manifests": "The manifests and settings of what runs in it",
    "data": "The data on its volumes and on the disks of its hosts",
    "secrets": "The secrets and certificates that are needed elsewhere",
}
# Refusals about what was typed, by the field they belong to.
_FIELDS: Final = {"wrong_name": "confirm_name", "grace_too_short": "hours", "grace_too_long": "hours"}


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent with the form, kept for the page that says what is missing. `errors` by field, in order."""

    confirm_name: str = ""
    reason: str = ""
    hours: str = ""
    backups: frozenset[str] = frozenset()
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, request: HttpRequest, workspace: Workspace) -> Sent:
        """The form as it was sent, with what is missing of it."""
        name, reason, hours = (
            request.POST.get(key, "").replace("\0", "").strip() for key in ("confirm_name", "reason", "hours")
        )
        backups = frozenset(request.POST.getlist("backup")) & frozenset(BACKUPS)
        errors = {}
        if len(backups) < len(BACKUPS):
            errors["backup"] = "Confirm each of the three, or keep the workspace until you can"
        if name != workspace.name:
            errors["confirm_name"] = "Type the workspace name to confirm"
        if not reason or len(reason) > 200:
            errors["reason"] = "Enter the reason, 200 characters at most"
        if hours and not (hours.isdecimal() and len(hours) <= 5):
            errors["hours"] = "Choose when it begins"
        return cls(name, reason, hours, backups, errors)


# --- The page ---------------------------------------------------------------------------------------------------------
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """The page by how far the deletion is; POST schedules it. What is deleted has a receipt instead."""
    if request.method == "POST":
        return _schedule(request, get_workspace(request, pk, need=NEED))
    workspace = get_workspace(request, pk, deleted=True)
    if workspace.state == "deleted":
        return redirect("receipt", pk=pk)
    account, seen = account_of(request), Inventory.objects.filter(workspace=workspace).first()
    if _wants_a_look(workspace, seen) and workspace.key_held_by(account, NEED):
        seen = inventory.ask(workspace, Actor.of(account))
    return render(request, PAGE, _context(request, workspace, seen=seen))


@recently_signed_in
def _schedule(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    sent = Sent.of(request, workspace)
    if sent.errors:
        return render(request, PAGE, _context(request, workspace, sent=sent), status=422)
    asked = deletion_schedule.schedule(
        workspace,
        confirm_name=sent.confirm_name,
        acknowledged=True,
        reason=sent.reason,
        hours=int(sent.hours) if sent.hours else None,
        actor=Actor.of(account_of(request)),
        fingerprint=request.POST.get("fingerprint"),  # the page's form always sends it
    )
    if isinstance(asked, Refused):
        if name := _FIELDS.get(asked.code):
            sent.errors[name] = asked.message
        return render(request, PAGE, _context(request, workspace, sent=sent, refused=asked), status=409)
    return see_other("delete", pk=workspace.pk)


def _wants_a_look(workspace: Workspace, seen: Inventory | None) -> bool:
    """Whether opening the page has a worker look: once what is known has aged.

    A look that broke off is not repeated by opening the page again; the button does.
    """
    if workspace.state not in safeguards.DELETABLE:
        return False
    return look_of(seen, timezone.now()) in ("never", "old") and not (seen and seen.error)


# --- Looking ----------------------------------------------------------------------------------------------------------
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def look(request: HttpRequest, pk: UUID) -> HttpResponse:
    """POST has a worker look again; GET is the page's question whether it has: 204 while it looks, 286 afterwards."""
    if request.method == "POST":
        workspace = get_workspace(request, pk, need=NEED)
        if workspace.state in safeguards.DELETABLE:
            inventory.ask(workspace, Actor.of(account_of(request)))
        return see_other("delete", pk=pk)
    workspace = get_workspace(request, pk)
    if not request.htmx:  # type: ignore[attr-defined]
        return redirect("delete", pk=pk)
    seen = Inventory.objects.filter(workspace=workspace).first()
    if seen and seen.is_under_way(timezone.now()):
        return HttpResponse(status=204)
    if workspace.state not in safeguards.DELETABLE:
        # Somebody has scheduled it meanwhile: another page.
        return cast(HttpResponse, HttpResponseClientRefresh())
    return render(request, f"{PAGE}#poll", _context(request, workspace, seen=seen), status=STOP_POLLING)


# --- Deciding ---------------------------------------------------------------------------------------------------------
@login_required
@require_POST
def undo(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Take it back before it begins."""
    return _decided(request, pk, deletion_schedule.undo, "It stays.")


@login_required
@require_POST
def approve(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Agree to it as a second person."""
    get_workspace(request, pk, need=NEED)
    return _approve(request, pk)


@recently_signed_in
def _approve(request: HttpRequest, pk: UUID) -> HttpResponse:
    said = "You have agreed. It begins when its time has come."
    return _decided(request, pk, deletion_schedule.approve, said)


def _decided(
    request: HttpRequest, pk: UUID, decide: Callable[[Deletion, Actor], Refused | None], said: str
) -> HttpResponse:
    """Do it with the open deletion and go back to the page, which tells what came of it."""
    workspace = get_workspace(request, pk, need=NEED)
    deletion = Deletion.latest_of(workspace)
    refused = (
        decide(deletion, Actor.of(account_of(request)))
        if deletion
        else Refused("not_scheduled", f"No deletion of {workspace} is scheduled.")
    )
    if isinstance(refused, Refused):
        workspace.refresh_from_db(fields=["state", "state_reason"])
        return render(request, PAGE, _context(request, workspace, refused=refused), status=409)
    messages.success(request, said)
    return see_other("delete", pk=pk)


@login_required
@require_POST
def protection(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """Protect it, or take the protection off, which needs a recent sign-in."""
    workspace = get_workspace(request, pk, need=NEED)
    if request.POST.get("on") == "1":
        return _protect(request, workspace, on=True)
    return _take_protection_off(request, workspace)


@recently_signed_in
def _take_protection_off(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    return _protect(request, workspace, on=False)


def _protect(request: HttpRequest, workspace: Workspace, *, on: bool) -> HttpResponse:
    if refused := deletion_schedule.protect(workspace, on, Actor.of(account_of(request))):
        return render(request, PAGE, _context(request, workspace, refused=refused), status=409)
    return see_other("delete", pk=workspace.pk)


# --- What it shows ----------------------------------------------------------------------------------------------------
def _context(
    request: HttpRequest,
    workspace: Workspace,
    *,
    sent: Sent | None = None,
    refused: Refused | None = None,
    seen: Inventory | None = None,
) -> dict[str, Any]:
    """Everything that the page shows (11 queries at most)."""
    now, account = timezone.now(), account_of(request)
    keys = workspace.keys_of(account)
    policy = DeletionPolicy.of(workspace.project.organization)
    seen = seen or Inventory.objects.filter(workspace=workspace).first()
    deletion = Deletion.latest_of(workspace)
    plan = deletion.agreed if deletion else plan_of(workspace, now, policy=policy, inventory=seen)
    checks = () if deletion else safeguards.safeguards(facts_of(workspace, plan, policy, seen, now))
    return {
        "nav": "fleet",
        "workspace": workspace,
        "now": now,
        "status": status_of(workspace, now),
        "keys": keys,
        "may_delete": NEED in keys,
        "may_export": "kubeconfig.export" in keys,
        "deletion": deletion,
        "operation": deletion.operation if deletion else None,
        "operation_look": lifecycle.OPERATION[deletion.operation.state] if deletion and deletion.operation else None,
        "step": _step(deletion) if deletion else None,
        "mine": bool(deletion and not deletion_schedule.is_another(deletion, Actor.of(account))),
        "fingerprint": plan.fingerprint,
        "plan": lines_of(plan, prices="price.view" in keys),
        "looked_at": plan.looked_at,
        "looking": bool(not deletion and seen and seen.is_under_way(now)),
        "look_error": seen.error if seen and not deletion else "",
        "minutes": None if deletion else _minutes(),
        "seen": seen,
        "policy": policy,
        "checks": checks,
        "blocking": [check for check in checks if check.blocks],
        "choices": _choices(policy, now),
        "backups": BACKUPS,
        "sent": sent or Sent(hours=str(policy.grace_hours)),
        "refused": refused,
    }


def _minutes() -> int | None:
    """How long deletions take typically."""
    typical = of_deletions()
    return None if typical is None else ceil(typical / 60)


def _step(deletion: Deletion) -> Any:
    """The step that the operation is at, or stopped at."""
    if deletion.operation is None:
        return None
    return deletion.operation.steps.exclude(state__in=lifecycle.STEP_OVER).order_by("position").first()


def _choices(policy: DeletionPolicy, now: datetime) -> list[tuple[int, datetime]]:
    """Hours until it may begin, and when that is: the policy's grace, and a week where that is longer."""
    hours = [policy.grace_hours, *([WEEK] if policy.grace_hours < WEEK else [])]
    return [(one, now + timedelta(hours=one)) for one in hours]
