"""The audit trail."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from ninja import Field, Query, Router, Schema
from pydantic import AwareDatetime

from workspaces.api.callers import caller, get_workspace
from workspaces.api.paging import page
from workspaces.api.schemas import Page, ProblemDocument, Time
from workspaces.api.tenancy import Limit
from workspaces.models import Event, Organization, Project
from workspaces.models.tenancy import Caller
from workspaces.models.trail import Trail
from workspaces.rules import permissions

router = Router(tags=["Events"])
NEED = "audit.view"


class EventShape(Schema):
    """A line of the audit trail: an act in a sentence (`table` null), or a change of a row with before and after."""

    id: int
    at: Time
    actor: str
    actor_kind: str
    action: str
    summary: str
    organization: UUID | None
    project: UUID | None
    workspace: UUID | None
    operation: UUID | None
    request: UUID | None
    table: str | None
    row: str | None
    changes: dict[str, Any]


class EventFilter(Schema):
    """What to look for. `told` false: also the row changes for which an act of the same request speaks."""

    workspace: UUID | None = None
    project: UUID | None = None
    organization: UUID | None = None
    operation: UUID | None = None
    request: UUID | None = None
    actor: str = Field("", max_length=100, description="A part of the name, or an id.")
    action: str = Field("", max_length=100, description="A noun such as workspace, or an action whole.")
    since: AwareDatetime | None = None
    until: AwareDatetime | None = Field(None, description="This moment no more.")
    told: bool = True


@router.get("/events", response={200: Page[EventShape], **dict.fromkeys((403, 404, 422), ProblemDocument)})
def events(
    request: HttpRequest, asked: Annotated[EventFilter, Query()], limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """Who did what, newest first, where the caller may read the trail."""
    if asked.workspace is not None:
        get_workspace(request, asked.workspace, need=NEED)
    _require_places(request, asked)
    trail = Trail(
        actor=asked.actor.replace("\0", ""),
        action=asked.action.replace("\0", ""),
        **asked.dict(exclude={"actor", "action"}),
    )
    return page(trail.read_by(caller(request)), "-id", limit, cursor, _shown)


def _require_places(request: HttpRequest, asked: EventFilter) -> None:
    """404 for an organization or project that the caller may not see, 403 where it may not read the trail."""
    if asked.organization is not None:
        _require(partial(_holds_in_organization, caller(request), asked.organization))
    if asked.project is not None:
        _require(partial(_holds_in_project, caller(request), asked.project))


def _holds_in_organization(who: Caller, pk: UUID, key: str) -> bool:
    whole = Organization.objects.allowing(who, key).filter(pk=pk)
    return whole.exists() or Project.objects.allowing(who, key).filter(organization=pk).exists()


def _holds_in_project(who: Caller, pk: UUID, key: str) -> bool:
    return Project.objects.allowing(who, key).filter(pk=pk).exists()


def _require(holds: Callable[[str], bool]) -> None:
    if holds(NEED):
        return
    if not holds("workspace.view"):
        raise Http404
    raise PermissionDenied(f"This needs the right: {permissions.PERMISSIONS[NEED].sentence.lower()}.")


def _shown(row: Event) -> dict[str, Any]:
    return {
        "id": row.pk,
        "at": row.at,
        "actor": row.actor_name,
        "actor_kind": row.actor_kind,
        "action": row.action,
        "summary": row.summary,
        "organization": row.organization_id,
        "project": row.project_id,
        "workspace": row.workspace_id,
        "operation": row.operation_id,
        "request": row.request_id,
        "table": row.table or None,
        "row": row.row_id or None,
        "changes": row.changes,
    }
