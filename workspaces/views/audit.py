"""The audit log: who did what and when, as a page and as a file. What may be asked is `audit_query`, what a line shows
is `audit_lines`, the file is `audit_export`."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import push_url

from workspaces.models import Account, Actor, Event, Organization, Project
from workspaces.models.trail import ACTOR_KINDS
from workspaces.rules import permissions
from workspaces.views import audit_export, shell
from workspaces.views.access import account_of, login_required, projects_of
from workspaces.views.audit_lines import Places, lines_of, located
from workspaces.views.audit_query import NOUNS, AuditQuery, parse

PAGE = 50
# Beyond this many projects a box with all of them is no help; the filter takes any of them from the address.
PROJECT_CHOICES = 50


@login_required
@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    """The page, or for htmx the list alone."""
    _require_right(request)
    query = parse(request)
    context = _page(request, query, timezone.now())
    if not request.htmx or request.htmx.history_restore_request:  # type: ignore[attr-defined]
        response = render(request, "workspaces/audit.html", context)
    else:
        response = render(request, "workspaces/audit.html#list", context)
        push_url(response, f"{request.path}{query.address()}".rstrip("?"))
    patch_vary_headers(response, ["HX-Request"])
    return response


@login_required
@require_POST
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The list of the address as a file; that it was taken is an event itself."""
    _require_right(request)
    query, account, now = parse(request), account_of(request), timezone.now()
    file_format = request.POST.get("format", "")
    file_format = file_format if file_format in audit_export.FORMATS else "csv"
    taken = _record_export(request, query, file_format)
    events = located(query.trail.read_by(account), account).filter(pk__lt=taken)[: audit_export.LIMIT + 1]
    pieces = audit_export.written(
        events.iterator(chunk_size=audit_export.CHUNK), Places(projects_of(request)), file_format
    )
    name = f"audit-{now:%Y%m%d-%H%M}.{file_format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(pieces, content_type=audit_export.FORMATS[file_format], headers=headers)


def _require_right(request: HttpRequest) -> None:
    """PermissionDenied without the trail's right somewhere."""
    held = shell.standing(request).keys
    if "audit.view" not in held:
        roles = " or ".join(role for role in permissions.ROLES if role in permissions.roles_with("audit.view"))
        sentence = permissions.PERMISSIONS["audit.view"].sentence
        raise PermissionDenied(f"{sentence}: only as {roles} of an organization or project.")


def _page(request: HttpRequest, query: AuditQuery, now: datetime) -> dict[str, Any]:
    account, projects = account_of(request), projects_of(request)
    events, newer, older = _turn(query, located(query.trail.read_by(account), account))
    offered, chosen = projects[:PROJECT_CHOICES], query.trail.project
    organizations = {str(project.organization_id): project.organization for project in projects}
    return {
        "nav": "audit",
        "now": now,
        "query": query,
        "words": query.words,
        "lines": lines_of(events, account, projects, now),
        "newer": query.address(after=events[0].pk) if newer else "",
        "older": query.address(before=events[-1].pk) if older else "",
        "first_page": not newer,
        "nouns": _with_chosen(NOUNS, query.trail.action),
        "kinds": ACTOR_KINDS,
        "organizations": _with_chosen(organizations, query.trail.organization),
        "projects": _with_chosen(
            {str(p.id): p.name for p in offered + [p for p in projects[PROJECT_CHOICES:] if p.id == chosen]}, chosen
        ),
    }


def _turn(query: AuditQuery, events: Any) -> tuple[list[Any], bool, bool]:
    """The events of the page, newest first, and whether there are newer and older ones."""
    if query.after is not None:
        found = list(events.filter(pk__gt=query.after).order_by("id")[: PAGE + 1])
        return found[:PAGE][::-1], len(found) > PAGE, bool(found)
    if query.before is not None:
        events = events.filter(pk__lt=query.before)
    found = list(events[: PAGE + 1])
    return found[:PAGE], query.before is not None and bool(found), len(found) > PAGE


def _with_chosen(choices: dict[str, str], chosen: UUID | str | None) -> dict[str, str]:
    """The choices of a box, with the chosen one by its own name where it is none of them."""
    return choices if not chosen or str(chosen) in choices else choices | {str(chosen): str(chosen)}


def _record_export(request: HttpRequest, query: AuditQuery, file_format: str) -> int:
    """Say in the trail who took which part of it, where the right to comes from; returns the first event's id."""
    account = account_of(request)
    summary = f"Exported the audit log as {'CSV' if file_format == 'csv' else 'JSON lines'}"
    if query.filters:
        summary += ": " + ", ".join(f"{name} {word}" for name, word in query.filters.items())
    with transaction.atomic():
        events = [
            Event.record(
                Actor.of(account),
                "audit.exported",
                summary=summary,
                changes=query.words | {"format": file_format},
                **place,
            )
            for place in _places_of_right(account, query) or [{}]
        ]
    return events[0].pk


def _places_of_right(account: Account, query: AuditQuery) -> list[dict[str, Any]]:
    """The organizations and projects on which the account holds the right; of a superuser only what was asked for."""
    if account.is_superuser:
        projects = Project.objects.filter(pk__in=filter(None, [query.trail.project]))
        organizations = Organization.objects.filter(pk__in=filter(None, [query.trail.organization]))
        return [{"project": one} for one in projects] or [{"organization": one} for one in organizations]
    whole = Organization.objects.allowing(account, "audit.view")
    narrowed = Project.objects.allowing(account, "audit.view").exclude(organization__in=whole)
    return [*({"organization": one} for one in whole), *({"project": one} for one in narrowed)]
