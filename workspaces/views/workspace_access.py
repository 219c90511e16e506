"""Who can reach a workspace: people, API keys, and the kubeconfigs that were handed out; asking for one more.

Who belongs to a project is changed in `members.py`, keys in `api_keys.py`; a kubeconfig's own page is `kubeconfigs.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from workspaces.models import Account, ApiKey, Membership, Project, Workspace
from workspaces.models.kubeconfig import KINDS
from workspaces.operations import kubeconfigs
from workspaces.rules import permissions
from workspaces.rules.refusal import Refused
from workspaces.views.access import account_of, get_workspace, login_required, recently_signed_in
from workspaces.views.kubeconfigs import look_of
from workspaces.views.see_other import see_other
from workspaces.views.workspaces import status_of

# Of each list; beyond it the members page, the keys page and the audit log go on.
SHOWN = 100


@dataclass(slots=True)
class Person:
    """Somebody with access: every role that counts here with what it comes through, the strongest first."""

    account: Account
    roles: list[tuple[str, str]] = field(default_factory=list)

    @property
    def rights(self) -> int:
        """How many permission keys the roles hold together."""
        return len(frozenset[str]().union(*(permissions.keys_of(role) for role, _ in self.roles)))

    @property
    def may_export(self) -> bool:
        """Whether one of the roles may have a kubeconfig."""
        return any(permissions.allows(role, "kubeconfig.export") for role, _ in self.roles)


class ExportForm(forms.Form):
    """Why somebody needs a key to the whole cluster."""

    reason = forms.CharField(
        max_length=200,
        error_messages={
            "required": "Enter what the kubeconfig is for",
            "max_length": "Enter at most 200 characters",
        },
    )
    kind = forms.ChoiceField(choices=KINDS, required=False)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def access(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """The page; POST asks for a kubeconfig and goes to its page."""
    if request.method == "POST":
        return _export(request, get_workspace(request, pk, need="kubeconfig.export"))
    return _page(request, get_workspace(request, pk), ExportForm())


@recently_signed_in
def _export(request: HttpRequest, workspace: Workspace) -> HttpResponse:
    form = ExportForm(request.POST)
    if not form.is_valid():
        return _page(request, workspace, form, status=422)
    kind = form.cleaned_data["kind"] or "admin"
    asked = kubeconfigs.request(workspace, form.cleaned_data["reason"], account_of(request), kind)
    if isinstance(asked, Refused):
        return _page(request, workspace, form, refused=asked, status=409)
    return see_other("kubeconfig", pk=workspace.pk, kubeconfig=asked.pk)


def _page(
    request: HttpRequest, workspace: Workspace, form: ExportForm, *, refused: Refused | None = None, status: int = 200
) -> HttpResponse:
    """The whole page; `refused` is why the kubeconfig just asked for is not fetched."""
    now, account = timezone.now(), account_of(request)
    keys = workspace.keys_of(account)
    context: dict[str, Any] = {
        "nav": "fleet",
        "workspace": workspace,
        "now": now,
        "status": status_of(workspace, now),
        "form": form,
        "refused": refused,
        "may_look": "members.view" in keys,
        "may_export": "kubeconfig.export" in keys,
        "may_manage_keys": "api_keys.manage" in keys,
        "may_read_trail": "audit.view" in keys,
    }
    if context["may_export"]:
        context["blocked"] = kubeconfigs.refuse(workspace, account)
    if context["may_look"]:
        context |= _who(workspace, now)
    return render(request, "workspaces/access.html", context, status=status)


def _who(workspace: Workspace, now: datetime) -> dict[str, Any]:
    """People, keys and kubeconfigs, each with how many there are in all (eight queries at most)."""
    members = Membership.objects.on_project(workspace.project).filter(account__is_active=True)
    api_keys = _keys_reaching(workspace.project, now)
    handed_out = workspace.kubeconfigs.all()
    return {
        "people": _people(members.select_related("account", "project", "organization"))[:SHOWN],
        "people_count": members.values("account").distinct().count(),
        "platform_count": Account.objects.filter(is_superuser=True, is_active=True).count(),
        "rights_count": len(permissions.PERMISSIONS),
        "roles": [_role(role) for role in permissions.ROLES],
        "api_keys": api_keys.select_related("project", "organization").order_by("name", "pk")[:SHOWN],
        "api_key_count": api_keys.count(),
        "handed_out": [(one, look_of(one, now)) for one in handed_out.defer("document")[:SHOWN]],
        "handed_out_count": handed_out.count(),
        "valid_count": handed_out.valid_outside(now).count(),
    }


def _people(memberships: QuerySet[Membership]) -> list[Person]:
    """A person once, by name. Somebody has two memberships here at most: of the organization and of the project."""
    people: dict[UUID, Person] = {}
    ordered = memberships.order_by("account__last_name", "account__first_name", "account__email")
    for membership in ordered[: 2 * SHOWN]:
        person = people.setdefault(membership.account_id, Person(membership.account))
        person.roles.append((membership.role, str(membership.project or membership.organization)))
        person.roles.sort(key=lambda role: permissions.ROLES.index(role[0]))
    return list(people.values())


def _keys_reaching(project: Project, now: datetime) -> QuerySet[ApiKey]:
    """The keys that are valid and count on the project."""
    here = Q(organization=project.organization_id) & (Q(project=None) | Q(project=project))
    return ApiKey.objects.usable(now).filter(here)


def _role(role: str) -> tuple[str, Iterable[str]]:
    """A role and the sentences of what it may do."""
    return role, [p.sentence for p in permissions.PERMISSIONS.values() if role in p.roles]
