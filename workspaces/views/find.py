"""Find: workspaces, hosts and operations by name or id, in the dialog of every page and as a page of its own."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import CharField, F, Model, Q, QuerySet
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

from workspaces.models import Host, Operation
from workspaces.rules import lifecycle
from workspaces.views.access import login_required, visible_workspaces

LIMIT = 8


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the answer."""

    icon: str
    name: str
    sub: str
    address: str


@require_safe
@login_required
def find(request: HttpRequest) -> HttpResponse:
    """GET ?q=: the page, or for htmx the results alone (three queries)."""
    q = request.GET.get("q", "").replace("\0", "").strip()[:100]
    groups = {name: found for name, found in _groups(request, q).items() if found} if q else {}
    alone = request.htmx and not request.htmx.history_restore_request  # type: ignore[attr-defined]
    template = "workspaces/find.html#results" if alone else "workspaces/find.html"
    response = render(request, template, {"q": q, "groups": groups, "limit": LIMIT})
    patch_vary_headers(response, ["HX-Request"])
    return response


def _groups(request: HttpRequest, q: str) -> dict[str, list[Found]]:
    visible = visible_workspaces(request)
    workspaces = _matching(visible, q, "name").order_by("name", "id")
    hosts = _matching(Host.objects.filter(workspace__in=visible), q, "name", "node_name").order_by("name", "id")
    operations = _matching(Operation.objects.filter(workspace__in=visible), q, "title").order_by("-created_at")
    return {
        "Workspaces": [
            Found("kube" if type_ == "kubernetes" else "metal", name, project, reverse("workspace", args=[pk]))
            for pk, name, type_, project in workspaces.values_list("pk", "name", "type", "project__name")[:LIMIT]
        ],
        "Hosts": [
            Found("box", name, f"host of {workspace}", reverse("workspace", args=[pk]))
            for pk, name, workspace in hosts.values_list("workspace_id", "name", "workspace__name")[:LIMIT]
        ],
        "Operations": [
            Found(
                "list", title, f"operation, {lifecycle.OPERATION[state].label.lower()}", reverse("operation", args=[pk])
            )
            for pk, title, state in operations.values_list("pk", "title", "state")[:LIMIT]
        ],
    }


def _state(state: str) -> str:
    return lifecycle.OPERATION[state].label.lower()


def _matching[Row: Model](rows: QuerySet[Row], q: str, *names: str) -> QuerySet[Row]:
    """Those with `q` in a name, or whose id begins with it."""
    condition = Q(id_text__istartswith=q)
    for name in names:
        condition |= Q(**{f"{name}__icontains": q})
    return rows.alias(id_text=Cast(F("id"), CharField())).filter(condition)  # type: ignore[return-value]
