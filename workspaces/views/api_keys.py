"""API keys: which there are where the account manages them, making one, and revoking it.

A key's text is on one page only, the answer to the form that made it; nothing keeps it, neither here nor on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from workspaces.models import Account, Actor, ApiKey, Membership, Organization, Project
from workspaces.models.api_key import ApiKeyQuerySet
from workspaces.models.members import Scope
from workspaces.models.tenancy import ROLES
from workspaces.rules import members as rules
from workspaces.rules import permissions
from workspaces.views.access import account_of, login_required, recently_signed_in
from workspaces.views.see_other import see_other

NEED = "api_keys.manage"
PAGE = 50
OVER_SHOWN = 50
ENDS_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Row:
    """One key as the list shows it. `orphaned`: its maker could not make it today."""

    pk: UUID
    name: str
    prefix: str
    organization: str
    scope: str
    role: str
    made_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    ends_soon: bool
    orphaned: bool


class NewKeyForm(forms.Form):
    """Name, place, role and life of a key; the places are those where the account manages keys."""

    name = forms.CharField(max_length=100, error_messages={"required": "Enter a name, such as the script's"})
    scope = forms.ChoiceField(error_messages={"required": "Choose a place", "invalid_choice": "Choose a place"})
    role = forms.ChoiceField(
        choices=ROLES, error_messages={"required": "Choose a role", "invalid_choice": "Choose a role"}
    )
    days = forms.IntegerField(
        min_value=1,
        max_value=rules.KEY_DAYS_AT_MOST,
        error_messages=dict.fromkeys(
            ("required", "invalid", "min_value", "max_value"), f"Enter a number from 1 to {rules.KEY_DAYS_AT_MOST}"
        ),
    )

    def __init__(self, scopes: list[Scope], data: Any = None) -> None:
        super().__init__(data, initial={"role": "viewer", "days": rules.KEY_DAYS})
        self.scopes = {str((scope.project or scope.organization).pk): scope for scope in scopes}
        groups: dict[str, list[tuple[str, str]]] = {}
        for pk, scope in self.scopes.items():
            title = str(scope.project) if scope.project else f"All projects of {scope.organization}"
            groups.setdefault(str(scope.organization), []).append((pk, title))
        self.fields["scope"].choices = list(groups.items())  # type: ignore[attr-defined]


@login_required
@require_safe
def api_keys(request: HttpRequest) -> HttpResponse:
    """Those that can be used, by organization; below them the last that no longer can."""
    now, keys = timezone.now(), _manageable(account_of(request))
    alive = keys.usable(now).order_by("organization__name", "name", "pk")
    page = Paginator(alive, PAGE).get_page(request.GET.get("page"))
    context = {
        "nav": "api_keys",
        "now": now,
        "page": page,
        "rows": _rows(page, now),
        "over": _rows(keys.ended(now).order_by("-created_at", "pk")[:OVER_SHOWN], now),
    }
    return render(request, "workspaces/api_keys.html", context)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@recently_signed_in
def new(request: HttpRequest) -> HttpResponse:
    """The form; POST makes the key and answers with its text, which no page shows again."""
    account, now = account_of(request), timezone.now()
    scopes = _scopes(account)
    if not scopes:
        raise PermissionDenied(_refusal())
    form = NewKeyForm(scopes, request.POST if request.method == "POST" else None)
    context = {"nav": "api_keys", "now": now, "form": form, "most": rules.KEY_DAYS_AT_MOST, "roles": ROLES}
    if not form.is_valid():
        status = 422 if form.is_bound else 200
        return _unkept(render(request, "workspaces/api_key_new.html", context, status=status))
    said = form.cleaned_data
    scope = form.scopes[said["scope"]]
    key, text = ApiKey.issue(
        name=said["name"],
        organization=scope.organization,
        project=scope.project,
        role=said["role"],
        created_by=account,
        created_at=now,
        expires_at=now + timedelta(days=said["days"]),
    )
    context |= {"key": key, "scope": scope, "text": text}
    return _unkept(render(request, "workspaces/api_key_made.html", context, status=201))


@login_required
@require_POST
@recently_signed_in
def revoke(request: HttpRequest, pk: UUID) -> HttpResponse:
    """End the key for good."""
    account = account_of(request)
    key = get_object_or_404(_manageable(account), pk=pk)
    if key.revoke(Actor.of(account)):
        messages.success(request, f"{key} is revoked. Its next request is answered 401.")
    return see_other("api_keys")


def _manageable(account: Account) -> ApiKeyQuerySet:
    """The keys of organizations and projects where the account manages them; refused when there is no such place."""
    organizations = Organization.objects.allowing(account, NEED)
    projects = Project.objects.allowing(account, NEED)
    if not account.is_superuser and not projects.exists() and not organizations.exists():
        raise PermissionDenied(_refusal())
    keys = ApiKey.objects.select_related("organization", "project", "created_by")
    return keys.filter(Q(organization__in=organizations) | Q(project__in=projects))


def _scopes(account: Account) -> list[Scope]:
    """Where the account manages keys: each organization as a whole followed by its projects, by name."""
    projects = Project.objects.allowing(account, NEED).select_related("organization")
    scopes = [Scope(organization) for organization in Organization.objects.allowing(account, NEED)]
    scopes += [Scope(project.organization, project) for project in projects]
    return sorted(scopes, key=lambda scope: (str(scope.organization), scope.project is not None, str(scope)))


def _refusal() -> str:
    return f"{permissions.PERMISSIONS[NEED].sentence}: only as administrator of an organization or project."


def _rows(keys: Iterable[ApiKey], now: datetime) -> list[Row]:
    keys = list(keys)
    managing = set(
        Membership.objects.filter(
            account__in={key.created_by_id for key in keys},
            organization__in={key.organization_id for key in keys},
            role__in=permissions.roles_with(NEED),
        ).values_list("account", "organization", "project")
    )
    return [_row(key, managing, now) for key in keys]


def _row(key: ApiKey, managing: set[Any], now: datetime) -> Row:
    maker = key.created_by
    places = {(maker.pk, key.organization_id, place) for place in (None, key.project_id)}
    return Row(
        pk=key.pk,
        name=key.name,
        prefix=key.prefix,
        organization=str(key.organization),
        scope=str(key.project) if key.project else "All projects",
        role=key.role,
        made_by=str(maker),
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        ends_soon=key.expires_at is not None and key.expires_at - now < ENDS_SOON,
        orphaned=not maker.is_active or not (maker.is_superuser or places & managing),
    )


def _unkept(response: HttpResponse) -> HttpResponse:
    """Neither the browser nor anything on the way keeps a page with a key on it."""
    response["Cache-Control"] = "no-store"
    return response
