"""Moving a workspace to another project: what it would change, the move, and the proof of former ones."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from workspaces.models import Actor, Transfer, Workspace
from workspaces.models.transfer import Destination, destinations, find_destination, may_move_back, move
from workspaces.models.transfer_preview import preview
from workspaces.models.transfer_proof import Difference, proof
from workspaces.rules import permissions
from workspaces.rules.ids import as_id
from workspaces.rules.refusal import Refused
from workspaces.views.access import account_of, get_workspace, login_required
from workspaces.views.see_other import see_other
from workspaces.views.transfer_impact import impact_of
from workspaces.views.workspaces import status_of

FORMER_SHOWN = 20


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def transfer(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The page with the destination of `?project=` and the proof of `?moved=`; POST moves it to `project`."""
    if request.method == "POST":
        return _move(request, get_workspace(request, pk, need="workspace.transfer"))
    asked = request.GET.get("project", "")
    # Who has moved it away from what they administer may still read the proof.
    need = "members.view" if "moved" in request.GET and not asked else "workspace.transfer"
    workspace = get_workspace(request, pk, need=need)
    return _page(request, workspace, asked)


def _move(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    """Move it and go to the proof; or 409 with the reason and the impact as it is now."""
    account, asked = account_of(request), request.POST.get("project", "")
    destination = find_destination(workspace, account, _uuid(asked))
    if destination is None:
        raise Http404
    shown = request.POST.get("fingerprint")  # the page's form always sends it
    moved = move(workspace, destination, by=Actor.of(account), caller=account, expected_fingerprint=shown)
    if isinstance(moved, Refused):
        return _page(request, get_workspace(request, workspace.pk), asked, refused=moved)
    return see_other(f"{reverse('transfer', args=[workspace.pk])}?moved={moved.pk}")


def _page(request: HttpRequest, workspace: Workspace, asked: str, refused: Refused | None = None) -> HttpResponse:
    """The whole page, or for htmx the impact alone; `refused` is why the move just asked for was not made."""
    now, account = timezone.now(), account_of(request)
    keys = workspace.keys_of(account)
    may_move = "workspace.transfer" in keys
    moved = _asked_transfer(request, workspace)
    choices = destinations(workspace, account) if may_move else []
    chosen = _chosen(workspace, choices, asked, propose=moved is None)
    context: dict[str, Any] = {
        "nav": "fleet",
        "workspace": workspace,
        "now": now,
        "status": status_of(workspace, now),
        "keys": keys,
        "may_move": may_move,
        "choices": choices,
        "chosen": chosen,
        "refused": refused,
    }
    if chosen and not chosen.closed:
        seen = preview(workspace, chosen.project, now)
        context |= impact_of(seen) | {"may_move_back": may_move_back(workspace, chosen.project, account)}
    if request.htmx and asked and not refused:  # type: ignore[attr-defined]
        return render(request, "workspaces/transfer.html#impact", context)
    context |= _history(workspace, moved, now)
    return render(request, "workspaces/transfer.html", context, status=409 if refused else 200)


def _chosen(workspace: Workspace, choices: list[Destination], asked: str, *, propose: bool) -> Destination | None:
    """The destination asked for (404 for one that is none), else the first open one when one is to be proposed."""
    if asked:
        pk = _uuid(asked)
        chosen = next((one for one in choices if one.project.pk == pk), None)
        if chosen is None and pk != workspace.project_id:
            raise Http404
        return chosen
    return next((one for one in choices if propose and not one.closed), None)


def _asked_transfer(request: HttpRequest, workspace: Workspace) -> Transfer | None:
    asked = request.GET.get("moved", "")
    rows = Transfer.objects.filter(workspace=workspace).select_related("source", "destination", "workspace")
    return get_object_or_404(rows, pk=_uuid(asked)) if asked else None


def _history(workspace: Workspace, moved: Transfer | None, now: datetime) -> dict[str, Any]:
    """Former moves, and the proof of the one asked for."""
    former = Transfer.objects.filter(workspace=workspace).select_related("source", "destination").defer("prediction")
    shown = proof(moved, now) if moved else None
    return {
        "former": former[:FORMER_SHOWN],
        "moved": moved,
        "proof": shown,
        "differences": [(one, _differs(one)) for one in shown.differences] if shown else [],
    }


def _differs(one: Difference) -> str:
    sides = {"Missing": _sentences(one.missing), "In addition": _sentences(one.additional)}
    return " ".join(f"{word}: {'; '.join(rights)}." for word, rights in sides.items() if rights)


def _sentences(keys: Iterable[str]) -> list[str]:
    return [permissions.PERMISSIONS[key].sentence for key in keys]


def _uuid(text: str) -> UUID:
    """What is no id is the id of nothing."""
    if (found := as_id(text)) is None:
        raise Http404
    return found
