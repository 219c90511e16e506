"""Fetch and permission in one call: what an account may not see is not there, what it may not do is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import cast
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib.auth import decorators
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, resolve_url
from django_htmx.http import HttpResponseClientRedirect

from workspaces.models import Account, Operation, Project, Workspace
from workspaces.rules import permissions


@dataclass(frozen=True, slots=True)
class ProjectPlace:
    """A project the account may see, with its organization."""

    id: UUID
    name: str
    organization_id: UUID
    organization: str


def login_required(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """Django's, but htmx is told to leave for the sign-in page: it would follow a redirect and swap the form in."""
    checked = decorators.login_required(view)

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if request.htmx and not request.user.is_authenticated:  # type: ignore[attr-defined]
            back = request.htmx.current_url_abs_path or resolve_url(settings.LOGIN_REDIRECT_URL)  # type: ignore[attr-defined]
            leave = f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': back})}"
            return cast(HttpResponse, HttpResponseClientRedirect(leave))
        return checked(request, *args, **kwargs)

    return guarded


def account_of(request: HttpRequest) -> Account:
    """The signed-in account of a view behind `@login_required`."""
    return cast(Account, request.user)


def get_workspace(request: HttpRequest, pk: UUID, *, need: str = "workspace.view") -> Workspace:
    """The workspace with its project, organization, management cluster and maintenance plan (one or two queries).

    Raises Http404 for what the account may not see, and PermissionDenied with a sentence when it may see the workspace
    but lacks the permission `need`.
    """
    visible = Workspace.objects.allowing(account_of(request)).select_related(
        "project__organization", "management_cluster", "maintenance_plan"
    )
    workspace = get_object_or_404(visible, pk=pk)
    _refuse_without(request, workspace, need)
    return workspace


def get_operation(request: HttpRequest, pk: UUID, *, need: str = "workspace.view") -> Operation:
    """The operation with its workspace, project and organization; raises like `get_workspace`."""
    visible = Operation.objects.filter(workspace__in=Workspace.objects.allowing(account_of(request)))
    operation = get_object_or_404(visible.select_related("workspace__project__organization"), pk=pk)
    _refuse_without(request, operation.workspace, need)
    return operation


def projects_of(request: HttpRequest) -> list[ProjectPlace]:
    """Every project the account may see, by organization and name (one query a request)."""
    known: list[ProjectPlace] | None = getattr(request, "_projects", None)
    if known is None:
        rows = Project.objects.allowing(account_of(request)).order_by("organization__name", "name")
        known = [ProjectPlace(*row) for row in rows.values_list("id", "name", "organization_id", "organization__name")]
        request._projects = known  # type: ignore[attr-defined]
    return known


def visible_workspaces(request: HttpRequest) -> QuerySet[Workspace]:
    """What the account may see of the fleet; deleted workspaces are history and left out."""
    present = Workspace.objects.exclude(state="deleted")
    if account_of(request).is_superuser:
        return present
    # The keys, not the subquery: a page asks several times, and building the subquery costs more than it saves.
    return present.filter(project__in=[project.id for project in projects_of(request)])


def _refuse_without(request: HttpRequest, workspace: Workspace, need: str) -> None:
    if need == "workspace.view" or workspace.key_held_by(account_of(request), need):
        return
    roles = " or ".join(role for role in permissions.ROLES if role in permissions.roles_with(need))
    raise PermissionDenied(f"{permissions.PERMISSIONS[need].sentence}: only as {roles} of {workspace.project}.")
