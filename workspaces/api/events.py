"""The audit trail."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router

from workspaces.api.callers import caller, get_workspace
from workspaces.api.paging import page
from workspaces.api.schemas import EventShape, Page, ProblemDocument
from workspaces.api.tenancy import Limit
from workspaces.models import Event, Project

router = Router(tags=["Events"])


@router.get("/events", response={200: Page[EventShape], **dict.fromkeys((403, 404, 422), ProblemDocument)})
def events(
    request: HttpRequest, workspace: UUID | None = None, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """Who did what, newest first, in the projects whose trail the caller may read."""
    readable = Project.objects.allowing(caller(request), "audit.view")
    rows = Event.objects.filter(project_id__in=readable.values("pk"))
    if workspace is not None:
        rows = rows.filter(workspace_id=get_workspace(request, workspace, need="audit.view").pk)
    return page(rows, "-id", limit, cursor, _shown)


def _shown(row: Event) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at,
        "actor": row.actor_name,
        "action": row.action,
        "summary": row.summary,
        "workspace": row.workspace_id,
        "operation": row.operation_id,
        "changes": row.changes,
    }
