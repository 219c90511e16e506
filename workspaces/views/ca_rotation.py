"""Changing the certificate authority of a workspace: what it costs everybody who uses the cluster, and the form."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Count, Window
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from workspaces.models import Actor, Operation, Workspace
from workspaces.operations import ca_rotation
from workspaces.rules.refusal import Refused
from workspaces.views.access import account_of, get_workspace, login_required, recently_signed_in
from workspaces.views.see_other import see_other
from workspaces.views.workspaces import status_of

NEED = "kubeconfig.export"
SHOWN = 50
# Refusals about what was typed, by the field they belong to.
FIELDS = {"wrong_name": "confirm_name", "no_reason": "reason"}


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def rotation(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """What would end, restart and join again; POST does it when the name is typed."""
    workspace = get_workspace(request, pk, need=NEED)
    return _start(request, workspace) if request.method == "POST" else _page(request, workspace)


@recently_signed_in
def _start(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    sent = {name: request.POST.get(name, "").replace("\0", "").strip() for name in ("confirm_name", "reason")}
    started = ca_rotation.start(workspace, **sent, actor=Actor.of(account_of(request)))
    if isinstance(started, Refused):
        return _page(request, workspace, started, sent)
    return see_other("operation", pk=started.pk)


def _page(
    request: HttpRequest, workspace: Workspace, refused: Refused | None = None, sent: dict[str, str] | None = None
) -> HttpResponse:
    """The page; 422 when something else was to be typed, 409 when it is refused."""
    now = timezone.now()
    hosts = ca_rotation.hosts_of(workspace)
    valid = workspace.kubeconfigs.valid_outside(now).annotate(total=Window(Count("pk")))
    ending = list(valid.defer("document")[:SHOWN])
    field = FIELDS.get(refused.code, "") if refused else ""
    context: dict[str, Any] = {
        "nav": "fleet",
        "now": now,
        "workspace": workspace,
        "status": status_of(workspace, now),
        "hosts": hosts,
        "kubeconfigs": ending,
        "kubeconfig_count": ending[0].total if ending else 0,  # type: ignore[attr-defined]  # annotated
        "running": Operation.objects.open().filter(workspace=workspace).first(),
        "stopped": ca_rotation.refuse(workspace, hosts),
        "refused": refused,
        "field": field,
        "sent": sent or {},
    }
    status = 422 if field else 409 if refused else 200
    return render(request, "workspaces/ca_rotation.html", context, status=status)
