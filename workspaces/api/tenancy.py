"""Who calls, and the organizations and projects they may see."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import Http404, HttpRequest
from ninja import Query, Router

from workspaces.api.callers import caller
from workspaces.api.paging import page
from workspaces.api.schemas import Me, Named, Page, ProjectShape
from workspaces.models import Account, ApiKey, Organization, Project
from workspaces.rules import permissions

router = Router(tags=["Who and where"])
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("/me", response=Me)
def me(request: HttpRequest) -> dict[str, Any]:
    """The account or key, its roles, and the permission keys of each."""
    who = caller(request)
    if isinstance(who, ApiKey):
        mine = [_membership(who.organization, who.project, who.role)]
        return {"kind": "api_key", "name": who.name, "email": None, "is_superuser": False, "memberships": mine}
    memberships = who.memberships.select_related("organization", "project").order_by("created_at")
    return {
        "kind": "account",
        "name": str(who),
        "email": who.email,
        "is_superuser": who.is_superuser,
        "memberships": [_membership(one.organization, one.project, one.role) for one in memberships],
    }


def _membership(organization: Organization, project: Project | None, role: str) -> dict[str, Any]:
    keys = sorted(permissions.keys_of(role))
    return {"organization": organization, "project": project, "role": role, "permissions": keys}


@router.get("/organizations", response=Page[Named])
def organizations(request: HttpRequest, limit: Limit = 50, cursor: str | None = None) -> dict[str, Any]:
    """Those of which the caller may see at least one project, or belongs to."""
    return page(_organizations(caller(request)), "name", limit, cursor, lambda row: row)


def _organizations(who: Account | ApiKey) -> Any:
    if who.is_superuser:
        return Organization.objects.all()
    if isinstance(who, ApiKey):
        return Organization.objects.filter(pk=who.organization_id)
    return Organization.objects.filter(pk__in=who.memberships.values("organization"))


@router.get("/projects", response=Page[ProjectShape])
def projects(
    request: HttpRequest, organization: UUID | None = None, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """Those the caller may see; an organization it may not see is answered 404."""
    rows = Project.objects.allowing(caller(request)).select_related("organization")
    if organization is not None:
        if not _organizations(caller(request)).filter(pk=organization).exists():
            raise Http404
        rows = rows.filter(organization=organization)
    return page(rows, "name", limit, cursor, lambda row: row)
