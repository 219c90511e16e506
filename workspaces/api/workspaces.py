"""Workspaces: the fleet's rows, one workspace whole, and a look at it now."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from workspaces.api.callers import caller, get_workspace
from workspaces.api.health import health
from workspaces.api.paging import page
from workspaces.api.problems import refused
from workspaces.api.schemas import Page, ProblemDocument, WorkspaceShape, WorkspaceSummary
from workspaces.api.tenancy import Limit
from workspaces.models import Operation, Project, Workspace
from workspaces.operations import looks
from workspaces.rules import lifecycle, planner
from workspaces.rules.situation import refuse_leaving

router = Router(tags=["Workspaces"])


@router.get("/workspaces", response={200: Page[WorkspaceSummary], 404: ProblemDocument, 422: ProblemDocument})
def workspaces(
    request: HttpRequest,
    project: UUID | None = None,
    type: Literal["kubernetes", "baremetal"] | None = None,
    state: str | None = None,
    version: str | None = None,
    attention: bool | None = None,
    q: str = "",
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Summary rows by name; the filters narrow, and a project the caller may not see is answered 404.

    Deleted workspaces are history, and listed with `state=deleted` only.
    """
    rows = Workspace.objects.allowing(caller(request)).select_related("project__organization")
    if project is not None:
        if not Project.objects.allowing(caller(request)).filter(pk=project).exists():
            raise Http404
        rows = rows.filter(project=project)
    wanted = {"type": type, "state": state, "kubernetes_version": version}
    rows = rows.filter(**{field: value for field, value in wanted.items() if value is not None})
    if state is None:
        rows = rows.exclude(state="deleted")
    if attention is not None:
        rows = rows.exclude(attention="") if attention else rows.filter(attention="")
    if "\0" not in q and q:
        rows = rows.filter(Q(name__icontains=q) | Q(pk__startswith=q) if _hexadecimal(q) else Q(name__icontains=q))
    return page(rows, "name", limit, cursor, summary)


def _hexadecimal(text: str) -> bool:
    return set(text.lower()) <= set("0123456789abcdef-")


def summary(row: Workspace) -> dict[str, Any]:
    """A row of the fleet."""
    return {
        "id": row.pk,
        "name": row.name,
        "type": row.type,
        "state": row.state,
        "project": row.project,
        "organization": row.project.organization,
        "kubernetes_version": row.kubernetes_version or None,
        "attention": row.attention or None,
        "observed_at": row.observed_at,
    }


@router.get("/workspaces/{uuid:pk}", response={200: WorkspaceShape, 404: ProblemDocument})
def workspace(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """One workspace with its conditions, its next window and what is being done to it; a deleted one as it was."""
    row, now = get_workspace(request, pk), timezone.now()
    window = planner.next_window(row.maintenance_plan.as_rule(), now)
    return summary(row) | {
        **health(row, caller(request), now),
        "next_maintenance": window,
        "open_operation": Operation.objects.open().filter(workspace=row).first(),
        "protected": row.protected,
        "receipt": _receipt(row) if row.state == "deleted" else None,
    }


def _receipt(row: Workspace) -> str | None:
    """Where its receipt is read; None for one that was never deleted by us."""
    there = row.deletions.filter(receipt__isnull=False).exists()
    return f"/api/v1/workspaces/{row.pk}/deletion/receipt" if there else None


@router.post("/workspaces/{uuid:pk}/reconcile", response={202: None, **dict.fromkeys((403, 404, 409), ProblemDocument)})
def reconcile(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Look at the workspace now instead of at the next round. 409 not_active: nobody looks once it is being deleted."""
    row = get_workspace(request, pk, need="workspace.reconcile")
    if row.state in lifecycle.GONE and (refusal := refuse_leaving(row.state)):
        raise refused(refusal)
    transaction.on_commit(lambda: looks.look_now(row), robust=True)
    return HttpResponse(status=202)
