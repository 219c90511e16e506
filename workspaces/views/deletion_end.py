"""How a workspace's deletion ends: the receipt as a page and as files, and forgetting what could not be removed."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_http_methods, require_safe

from workspaces.models import Actor, Deletion, Workspace
from workspaces.operations import forgetting
from workspaces.rules.deletion_plan import Cost, sums
from workspaces.rules.deletion_receipt import as_text
from workspaces.rules.refusal import Refused
from workspaces.views import deletion_lines
from workspaces.views.access import account_of, get_workspace, login_required, recently_signed_in
from workspaces.views.deletion import NEED
from workspaces.views.deletion_lines import kind_of
from workspaces.views.see_other import see_other
from workspaces.views.workspaces import status_of

_FIELDS = {"wrong_name": "confirm_name", "no_reason": "reason"}


# --- The receipt ------------------------------------------------------------------------------------------------------
@login_required
@require_safe
def receipt(request: HttpRequest, pk: UUID) -> HttpResponse:
    """What was removed, kept and left over. While there is no receipt yet, the page of the deletion."""
    workspace = get_workspace(request, pk, deleted=True)
    deletion = _with_receipt(workspace)
    if deletion is None:
        if workspace.state == "deleted":
            raise Http404
        return redirect("delete", pk=pk)
    now, prices = timezone.now(), "price.view" in workspace.keys_of(account_of(request))
    document = deletion.receipt or {}
    context = {
        "nav": "fleet",
        "workspace": workspace,
        "now": now,
        "status": status_of(workspace, now),
        "deletion": deletion,
        "receipt": document,
        "ended_at": parse_datetime(document["ended_at"]),
        "removed": [
            (one, kind_of(one["kind"]), _cost(one, prices), parse_datetime(one["at"])) for one in document["removed"]
        ],
        "stays": [
            (one, kind_of(one["kind"]), _cost(one, prices)) for one in (*document["left_over"], *document["kept"])
        ],
        "left_count": len(document["left_over"]),
        "stops": deletion_lines.sums(map(Cost.of, document["stops_costing"])) if prices else "",
        "goes_on": deletion_lines.sums(map(Cost.of, document["goes_on_costing"])) if prices else "",
    }
    return render(request, "workspaces/receipt.html", context)


@login_required
@require_safe
def receipt_file(request: HttpRequest, pk: UUID, form: str) -> HttpResponse:
    """The receipt to be filed: `form` is json or txt. Without the right to see prices, without amounts."""
    workspace = get_workspace(request, pk, deleted=True)
    deletion = _with_receipt(workspace)
    if deletion is None or deletion.receipt is None:
        raise Http404
    document = deletion.receipt
    if "price.view" not in workspace.keys_of(account_of(request)):
        document = _without_prices(document)
    if form == "json":
        text, kind = json.dumps(document | {"workspace": _named(workspace)}, indent=2), "application/json"
    else:
        text, kind = as_text(document, workspace.name), "text/plain; charset=utf-8"
    name = content_disposition_header(True, f"{workspace.name}-receipt.{form}")
    return HttpResponse(text, content_type=kind, headers={"Content-Disposition": name or "attachment"})


def _with_receipt(workspace: Workspace) -> Deletion | None:
    return Deletion.objects.filter(workspace=workspace, receipt__isnull=False).first()


def _named(workspace: Workspace) -> dict[str, str]:
    return {"id": str(workspace.pk), "name": workspace.name, "project": str(workspace.project)}


def _cost(item: dict[str, Any], prices: bool) -> str:
    return deletion_lines.sums([Cost.of(item["cost"])]) if prices and item.get("cost") else ""


def _without_prices(document: dict[str, Any]) -> dict[str, Any]:
    lists = {name: [one | {"cost": None} for one in document[name]] for name in ("removed", "kept", "left_over")}
    return document | lists | {"stops_costing": [], "goes_on_costing": []}


# --- Forgetting -------------------------------------------------------------------------------------------------------
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def forget(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """What would stay behind by name, and what it goes on costing; POST forgets the workspace."""
    workspace = get_workspace(request, pk, need=NEED)
    return _forget(request, workspace) if request.method == "POST" else _page(request, workspace)


@recently_signed_in
def _forget(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    sent = {name: request.POST.get(name, "").replace("\0", "").strip() for name in ("confirm_name", "reason")}
    deletion = Deletion.latest_of(workspace)
    if deletion is None:
        return see_other("delete", pk=workspace.pk)
    refused = forgetting.forget(deletion, **sent, actor=Actor.of(account_of(request)))
    return _page(request, workspace, refused, sent) if refused else see_other("receipt", pk=workspace.pk)


def _page(
    request: HttpRequest, workspace: Workspace, refused: Refused | None = None, sent: dict[str, str] | None = None
) -> HttpResponse:
    """The form; 422 when something else was to be typed, 409 when it is refused. Else the page of the deletion."""
    now, deletion = timezone.now(), Deletion.latest_of(workspace)
    if deletion is None or deletion.operation is None or (deletion.operation.is_open and not refused):
        return redirect("delete", pk=workspace.pk)
    stays, kept = forgetting.forget_preview(deletion), deletion.agreed.kept
    prices = "price.view" in workspace.keys_of(account_of(request))
    field = _FIELDS.get(refused.code) if refused else None
    context = {
        "nav": "fleet",
        "workspace": workspace,
        "now": now,
        "status": status_of(workspace, now),
        "deletion": deletion,
        "operation": deletion.operation,
        "stays": deletion_lines.things_of(stays, prices=prices),
        "kept": deletion_lines.things_of(kept, prices=prices),
        "not_asked": deletion.agreed.not_asked,
        "goes_on": deletion_lines.sums(sums([*stays, *kept])) if prices else "",
        "refused": refused,
        "field": field,
        "sent": sent or {},
    }
    return render(request, "workspaces/forget.html", context, status=422 if field else 409 if refused else 200)
