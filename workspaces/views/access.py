"""Fetch and permission in one call: what an account may not see is not there, what it may not do is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import cast
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import decorators
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect

from workspaces.models import Account, Operation, Organization, Project, Workspace
from workspaces.models.members import Scope
from workspaces.models.workspace import WorkspaceQuerySet
from workspaces.rules import permissions


@dataclass(frozen=True, slots=True)
class ProjectPlace:
    """A project the account may see, with its organization."""

    id: UUID
    name: str
    organization_id: UUID
    organization: str


def login_required(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
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


def recently_signed_in(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Below `@login_required`: who signed in longer ago than 15 minutes confirms it first.

    What was sent is not carried out and not kept: people come back to the page with the form, and are told so.
    """

    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
        if signed_in_recently(request):
            return view(request, *args, **kwargs)
        if request.method not in ("GET", "HEAD"):
            messages.warning(request, "Nothing was changed: this needs a recent sign-in. Send the form again.")
        leave = f"{_where_to_confirm(request)}?{urlencode({'next': _page_of(request)})}"
        if request.htmx:  # type: ignore[attr-defined]
            return cast(HttpResponse, HttpResponseClientRedirect(leave))
        return redirect(leave)

    return guarded


def signed_in_recently(request: HttpRequest) -> bool:
    """Whether this session signed in, or confirmed its sign-in, within ACCOUNT_REAUTHENTICATION_TIMEOUT seconds."""
    latest = max((record["at"] for record in get_authentication_records(request, account_of(request))), default=0)
    return bool(time.time() - latest < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT)


def _where_to_confirm(request: HttpRequest) -> str:
    """The first way this account has; who has none (no password, no factor, no single sign-on) gets one by e-mail."""
    ways = get_adapter().get_reauthentication_methods(request.user)
    return str(ways[0]["url"]) if ways else resolve_url("account_reset_password")


def _page_of(request: HttpRequest) -> str:
    """The page to come back to: of a form that was sent, the page it stands on."""
    if request.htmx:  # type: ignore[attr-defined]
        return request.htmx.current_url_abs_path or resolve_url(settings.LOGIN_REDIRECT_URL)  # type: ignore[attr-defined]
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    referer = request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(referer, {request.get_host()}):
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    return urlsplit(referer)._replace(scheme="", netloc="", fragment="").geturl()


def account_of(request: HttpRequest) -> Account:
    """The signed-in account of a view behind `@login_required`."""
    return cast(Account, request.user)


def get_workspace(request: HttpRequest, pk: UUID, *, need: str = "workspace.view", deleted: bool = False) -> Workspace:
    """The workspace with its project, organization, management cluster and maintenance plan (one or two queries).

    Raises Http404 for what the account may not see, and PermissionDenied with a sentence when it may see the workspace
    but lacks the permission `need`. One that is deleted is history: it is there only for pages that ask for `deleted`.
    """
    rows = Workspace.objects.allowing(account_of(request)).with_plan()
    workspace = get_object_or_404(rows if deleted else rows.exclude(state="deleted"), pk=pk)
    _refuse_without(request, workspace, need)
    return workspace


def get_operation(request: HttpRequest, pk: UUID, *, need: str = "workspace.view") -> Operation:
    """The operation with its workspace, project and organization; raises like `get_workspace`."""
    visible = Operation.objects.filter(workspace__in=Workspace.objects.allowing(account_of(request)))
    operation = get_object_or_404(visible.select_related("workspace__project__organization"), pk=pk)
    _refuse_without(request, operation.workspace, need)
    return operation


def get_continuable(request: HttpRequest, pk: UUID) -> Operation:
    """The operation, for an account that may continue work, and this kind of it; raises like `get_workspace`."""
    operation = get_operation(request, pk, need="operation.retry")
    _refuse_without(request, operation.workspace, operation.continued_by)
    return operation


def get_organization(request: HttpRequest, pk: UUID, *, need: str = "") -> Organization:
    """The organization, if the account belongs to it, be it through one project (else Http404).

    Raises PermissionDenied with a sentence when the account lacks the permission `need` on it as a whole.
    """
    account = account_of(request)
    organization = get_object_or_404(Organization.objects.seen_by(account), pk=pk)
    if need and not account.allows_on(need, organization):
        raise PermissionDenied(f"{_whose_right(need)} of {organization} as a whole.")
    return organization


def get_project(request: HttpRequest, pk: UUID, *, need: str = "workspace.view") -> Project:
    """The project with its organization; raises like `get_workspace`."""
    account = account_of(request)
    project = get_object_or_404(Project.objects.allowing(account).select_related("organization"), pk=pk)
    if need != "workspace.view" and not account.allows(need, project):
        raise PermissionDenied(f"{_whose_right(need)} of {project}.")
    return project


def get_scope(request: HttpRequest, kind: str, pk: UUID, *, need: str) -> Scope:
    """The organization or project (as `kind` says) on which the account holds `need`; raises like the two above."""
    if kind == "organization":
        return Scope(get_organization(request, pk, need=need))
    project = get_project(request, pk, need=need)
    return Scope(project.organization, project)


def projects_of(request: HttpRequest) -> list[ProjectPlace]:
    """Every project the account may see, by organization and name (one query a request)."""
    known: list[ProjectPlace] | None = getattr(request, "_projects", None)
    if known is None:
        rows = Project.objects.allowing(account_of(request)).order_by("organization__name", "name")
        known = [ProjectPlace(*row) for row in rows.values_list("id", "name", "organization_id", "organization__name")]
        request._projects = known  # type: ignore[attr-defined]
    return known


def visible_workspaces(request: HttpRequest) -> WorkspaceQuerySet:
    """What the account may see of the fleet; deleted workspaces are history and left out."""
    present = Workspace.objects.exclude(state="deleted")
    if account_of(request).is_superuser:
        return present
    # The keys, not the subquery: a page asks several times, and building the subquery costs more than it saves.
    return present.filter(project__in=[project.id for project in projects_of(request)])


def _refuse_without(request: HttpRequest, workspace: Workspace, need: str) -> None:
    if need == "workspace.view" or workspace.key_held_by(account_of(request), need):
        return
    raise PermissionDenied(f"{_whose_right(need)} of {workspace.project}.")


def _whose_right(need: str) -> str:
    roles = " or ".join(role for role in permissions.ROLES if role in permissions.roles_with(need))
    return f"{permissions.PERMISSIONS[need].sentence}: only as {roles}"
