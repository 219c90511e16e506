"""Holds: those that stop something the caller sees, setting one, lifting it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Router

from workspaces.api.callers import actor, caller, get_workspace
from workspaces.api.paging import page
from workspaces.api.problems import Problem, refused
from workspaces.api.schemas import HoldBody, HoldShape, Page, ProblemDocument
from workspaces.api.tenancy import Limit
from workspaces.models import Hold, Organization, Project
from workspaces.models.hold import PERMISSION, HoldQuerySet
from workspaces.rules import hold as rules
from workspaces.rules import lifecycle, permissions
from workspaces.rules.situation import refuse_leaving

router = Router(tags=["Holds"])
_EVERYTHING = Q(workspace=None, project=None, organization=None)
_RELATED = ("organization", "project__organization", "workspace__project__organization", "set_by")


@router.get("/holds", response={200: Page[HoldShape], 404: ProblemDocument, 422: ProblemDocument})
def holds(
    request: HttpRequest,
    in_force: bool | None = None,
    workspace: UUID | None = None,
    project: UUID | None = None,
    organization: UUID | None = None,
    limit: Limit = 50,
    cursor: str | None = None,
) -> dict[str, Any]:
    """Newest first: all that stop something the caller sees, or something in the place that a filter names."""
    rows = Hold.objects.readable(caller(request)).select_related(*_RELATED)
    if in_force is not None:
        now = Hold.objects.in_force(timezone.now()).order_by().values("pk")
        rows = rows.filter(pk__in=now) if in_force else rows.exclude(pk__in=now)
    if workspace is not None:
        rows = rows.touching(get_workspace(request, workspace))
    if project is not None:
        rows = _in_project(rows, _project(request, project))
    if organization is not None:
        rows = _in_organization(rows, _organization(request, organization))
    return page(rows, "-set_at", limit, cursor, _shown)


def _in_project(rows: HoldQuerySet, project: Project) -> HoldQuerySet:
    mine = Q(project=project) | Q(workspace__project=project) | Q(organization=project.organization_id)
    return rows.filter(_EVERYTHING | mine)


def _in_organization(rows: HoldQuerySet, organization: Organization) -> HoldQuerySet:
    narrower = Q(project__organization=organization) | Q(workspace__project__organization=organization)
    return rows.filter(_EVERYTHING | Q(organization=organization) | narrower)


@router.post("/holds", response={201: HoldShape, **dict.fromkeys((403, 404, 409, 422), ProblemDocument)})
def set_hold(request: HttpRequest, body: HoldBody) -> HttpResponse:
    """Stop automatic work in one place: a workspace, a project, an organization or, with none of them, the platform.

    Nothing automatic starts, security updates included; what runs pauses at its next safe point.
    """
    hold = Hold(reason=body.reason.strip(), **_place(request, body))
    _require(request, hold)
    hold.set_at, hold.expires_at = _times(body, timezone.now())
    if not hold.reason or "\0" in hold.reason:
        raise _invalid("reason", "Say why, for whoever meets the hold.")
    hold.begin(actor(request))
    return HttpResponse(
        HoldShape.model_validate(_shown(hold)).model_dump_json(),
        status=201,
        content_type="application/json",
        headers={"Location": f"/api/v1/holds/{hold.pk}"},
    )


@router.get("/holds/{uuid:pk}", response={200: HoldShape, 404: ProblemDocument})
def hold(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """One hold."""
    return _shown(_readable(request, pk))


@router.delete("/holds/{uuid:pk}", response={204: None, **dict.fromkeys((403, 404, 409), ProblemDocument)})
def lift(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Lift it: what is due starts in its windows again, paused work goes on in the next one of its lane."""
    found = _readable(request, pk)
    _require(request, found)
    if found.lift(actor(request)):
        return HttpResponse(status=204)
    if found.lifted_at is None:
        raise Problem(409, "ended", f"It ended by itself at {_utc(found.expires_at)}.")
    by = found.lifted_by_name or "somebody else"
    raise Problem(409, "already_lifted", f"It was lifted at {_utc(found.lifted_at)} by {by}.")


def _readable(request: HttpRequest, pk: UUID) -> Hold:
    found = Hold.objects.readable(caller(request)).select_related(*_RELATED).filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _require(request: HttpRequest, hold: Hold) -> None:
    """403 for who may see the place but not hold it."""
    if not hold.may_be_changed_by(caller(request)):
        raise PermissionDenied(f"This needs the right: {permissions.PERMISSIONS[PERMISSION].sentence.lower()}.")


# --- The body ---------------------------------------------------------------------------------------------------------
def _place(request: HttpRequest, body: HoldBody) -> dict[str, Any]:
    """What is to be held, as the columns of a hold."""
    named = [name for name in ("workspace", "project", "organization") if getattr(body, name) is not None]
    if len(named) > 1:
        raise _invalid(named[1], "Name one place: a workspace, a project or an organization.")
    if body.workspace is not None:
        workspace = get_workspace(request, body.workspace)
        if workspace.state in lifecycle.GONE and (refusal := refuse_leaving(workspace.state)):
            raise refused(refusal)
        return {"workspace": workspace}
    if body.project is not None:
        return {"project": _project(request, body.project)}
    return {"organization": _organization(request, body.organization)} if body.organization is not None else {}


def _project(request: HttpRequest, pk: UUID) -> Project:
    found = Project.objects.allowing(caller(request)).select_related("organization").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _organization(request: HttpRequest, pk: UUID) -> Organization:
    """The organization, if the caller may see it or one of its projects."""
    who = caller(request)
    whole = Organization.objects.allowing(who, "workspace.view").values("pk")
    parts = Project.objects.allowing(who).values("organization")
    found = Organization.objects.filter(Q(pk__in=whole) | Q(pk__in=parts), pk=pk).first()
    if found is None:
        raise Http404
    return found


def _times(body: HoldBody, now: datetime) -> tuple[datetime, datetime]:
    starts = body.starts_at or now
    if wrong := rules.wrong_time(starts, body.expires_at, now):
        raise _invalid(wrong.field, f"{wrong.message}.")
    return max(starts, now).astimezone(UTC), body.expires_at.astimezone(UTC)


def _invalid(field: str, said: str) -> Problem:
    return Problem(422, "invalid", said, errors=[{"loc": ["body", field], "msg": said, "code": "invalid"}])


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _shown(row: Hold) -> dict[str, Any]:
    return {
        "id": row.pk,
        "level": row.level,
        "organization": row.organization,
        "project": row.project,
        "workspace": row.workspace,
        "reason": row.reason,
        "set_by": row.who,
        "starts_at": row.set_at,
        "expires_at": row.expires_at,
        "in_force": row.is_in_force(timezone.now()),
        "lifted_at": row.lifted_at,
        "lifted_by": row.lifted_by_name or None,
    }
