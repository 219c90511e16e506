"""The page of one kubeconfig: waiting until it is fetched, and taking it, once.

It is asked for on the workspace's access page (`workspace_access.py`). The document is in one answer only, the download
to the person who asked; no page ever holds it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_POST, require_safe

from workspaces.models import Actor, Kubeconfig, Workspace
from workspaces.models.kubeconfig import TO_BE_TAKEN_WITHIN
from workspaces.operations import kubeconfig_revocation, kubeconfigs
from workspaces.rules.lifecycle import Look
from workspaces.rules.refusal import Refused
from workspaces.views.access import account_of, get_workspace, login_required, recently_signed_in
from workspaces.views.see_other import see_other
from workspaces.views.workspaces import status_of

NEED = "kubeconfig.export"
STOP_POLLING = 286
REVOKED = Look("Revoked", "idle")
LOOKS = {
    "requested": Look("Being fetched", "busy"),
    "ready": Look("Ready to be taken", "ok"),
    "taken": Look("Handed out", "warn"),
    "expired": Look("Not taken, erased", "idle"),
    "failed": Look("Not fetched", "bad"),
}


def look_of(kubeconfig: Kubeconfig, now: datetime) -> Look:
    """Its state in a word and a tone. What was handed out is a thing to know of until its certificate ends."""
    if kubeconfig.state == "ready" and kubeconfigs.is_late(kubeconfig):
        return LOOKS["expired"]
    if kubeconfig.state != "taken":
        return LOOKS[kubeconfig.state]
    if kubeconfig.revoked_at:
        return REVOKED
    if kubeconfig.certificate_until and kubeconfig.certificate_until <= now:
        return Look("Ended", "idle")
    if kubeconfig.revocation_asked_at:
        return Look("Not revoked yet", "warn") if kubeconfig.revocation_failure else Look("Being revoked", "busy")
    return LOOKS[kubeconfig.state]


@login_required
@require_safe
def kubeconfig(request: HttpRequest, pk: UUID, kubeconfig: UUID) -> HttpResponse:
    """The page, or for its refresh the live part: 204 when it still is what `?seen=` says, 286 when nothing follows."""
    workspace, found = _get(request, pk, kubeconfig)
    context = _live(request, workspace, found)
    if not request.htmx:  # type: ignore[attr-defined]
        return _page(request, context)
    if context["open"] and request.GET.get("seen") == found.state:
        return HttpResponse(status=204)
    status = 200 if context["open"] else STOP_POLLING
    return render(request, "workspaces/kubeconfig.html#poll", context, status=status)


@login_required
@require_POST
def document(request: HttpRequest, pk: UUID, kubeconfig: UUID) -> HttpResponseBase:
    """Hand the document out to the one who asked, and erase it."""
    return _hand_out(request, *_get(request, pk, kubeconfig))


@recently_signed_in
def _hand_out(request: HttpRequest, workspace: Workspace, found: Kubeconfig) -> HttpResponse:
    taken = kubeconfigs.take(found.pk, account_of(request))
    if isinstance(taken, Refused):
        found.refresh_from_db()
        context = _live(request, workspace, found) | {"refused": taken}
        return _page(request, context, status=403 if taken.code == "not_yours" else 409)
    name = content_disposition_header(True, f"{workspace.name}.kubeconfig.yaml")
    headers = {"Content-Disposition": name or "attachment", "Cache-Control": "no-store"}
    return HttpResponse(taken, content_type="application/yaml; charset=utf-8", headers=headers)


@login_required
@require_POST
def revoke(request: HttpRequest, pk: UUID, kubeconfig: UUID) -> HttpResponseBase:
    """Have a worker take it back; the access page says how that goes."""
    return _revoke(request, *_get(request, pk, kubeconfig))


@recently_signed_in
def _revoke(request: HttpRequest, workspace: Workspace, found: Kubeconfig) -> HttpResponse:
    if refused := kubeconfig_revocation.ask(found, Actor.of(account_of(request))):
        return _page(request, _live(request, workspace, found) | {"refused": refused}, status=409)
    return see_other("workspace_access", pk=workspace.pk)


def _get(request: HttpRequest, pk: UUID, kubeconfig: UUID) -> tuple[Workspace, Kubeconfig]:
    """The workspace and its kubeconfig, without the document; raises like `get_workspace`."""
    workspace = get_workspace(request, pk, need=NEED)
    return workspace, get_object_or_404(workspace.kubeconfigs.defer("document"), pk=kubeconfig)


def _live(request: HttpRequest, workspace: Workspace, found: Kubeconfig) -> dict[str, Any]:
    """What the live part shows."""
    now = timezone.now()
    late = found.state == "ready" and kubeconfigs.is_late(found)
    return {
        "workspace": workspace,
        "kubeconfig": found,
        "now": now,
        "look": look_of(found, now),
        "state": "expired" if late else found.state,
        "open": found.state in ("requested", "ready") and not late,
        "revocable": kubeconfig_revocation.refuse(found, now) is None,
        "mine": found.requested_by_id == account_of(request).pk,
        "erased_at": found.fetched_at + TO_BE_TAKEN_WITHIN if found.fetched_at else None,
    }


def _page(request: HttpRequest, context: dict[str, Any], status: int = 200) -> HttpResponse:
    around = {"nav": "fleet", "status": status_of(context["workspace"], context["now"])}
    return render(request, "workspaces/kubeconfig.html", context | around, status=status)
