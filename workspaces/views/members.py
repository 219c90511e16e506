"""Members: who has access to an organization or a project, what each may do, changing it and taking it away.

Two kinds of page share every view here: of an organization with all its projects, and of one project. Whoever is not
there yet is invited: `invitations.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count, Exists, OuterRef, Q, Value
from django.db.models.functions import Coalesce, Concat, Lower, NullIf, Trim
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from workspaces.models import ApiKey, Invitation, Kubeconfig, Membership, Organization, Project
from workspaces.models import members as model
from workspaces.models.members import Scope
from workspaces.models.tenancy import MembershipQuerySet
from workspaces.rules import members as rules
from workspaces.rules import permissions
from workspaces.rules.refusal import Refused
from workspaces.views import shell
from workspaces.views.access import account_of, get_scope, login_required
from workspaces.views.invite_form import InviteForm
from workspaces.views.see_other import see_other

PAGE = 50
PROJECTS_SHOWN = 50
SECOND_FACTORS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


@dataclass(frozen=True, slots=True)
class Row:
    """One membership as the list shows it; `page` is the kind of page that changes it, empty without the right."""

    pk: UUID
    name: str
    email: str
    role: str
    project: Project | None
    since: datetime
    last_sign_in: datetime | None
    second_factor: bool
    is_me: bool
    page: str


@dataclass(frozen=True, slots=True)
class Change:
    """Another role that the member can be given, or none (remove): what that does, and why it is refused."""

    role: str
    effect: rules.Effect
    refused: Refused | None


# --- The lists --------------------------------------------------------------------------------------------------------
@login_required
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The organizations and projects whose members the account may see; the page itself when there is one."""
    account = account_of(request)
    organizations = Organization.objects.allowing(account, "members.view")
    projects = Project.objects.allowing(account, "members.view").exclude(organization__in=organizations)
    counted = organizations.annotate(people=Count("memberships__account", distinct=True)).order_by("name")
    page = Paginator(counted, PAGE).get_page(request.GET.get("page"))
    narrowed = [] if account.is_superuser else list(projects.select_related("organization"))
    if not page.paginator.count and not narrowed:
        raise PermissionDenied("See who has access and with which role: only as administrator or operator.")
    if page.paginator.count + len(narrowed) == 1:
        kind, only = ("organization", page[0].pk) if page.paginator.count else ("project", narrowed[0].pk)
        return redirect(f"{kind}_members", pk=only)
    context = {"nav": "members", "now": timezone.now(), "page": page, "projects": narrowed}
    return render(request, "workspaces/members_index.html", context)


@login_required
@require_safe
def members(request: HttpRequest, kind: str, pk: UUID) -> HttpResponse:
    """The page of an organization or a project."""
    return members_page(request, kind, get_scope(request, kind, pk, need="members.view"))


def members_page(
    request: HttpRequest, kind: str, scope: Scope, form: InviteForm | None = None, refused: Refused | None = None
) -> HttpResponse:
    """The whole page, also around an invitation that was refused (409) or could not be read (422)."""
    account, now = account_of(request), timezone.now()
    keys = frozenset[str]().union(*(permissions.keys_of(role) for role in scope.roles_of(account)))
    may_manage = "members.manage" in keys
    may_manage_all = may_manage if kind == "organization" else account.allows_on("members.manage", scope.organization)
    q = request.GET.get("q", "").replace("\0", "").strip()[:100]
    page = Paginator(_matching(scope.memberships(), q), PAGE).get_page(request.GET.get("page"))
    context = _place(kind, scope) | {
        "nav": "members",
        "now": now,
        "q": q,
        "page": page,
        "rows": [_row(one, account.pk, kind if may_manage else "", may_manage_all) for one in page],
        "people": scope.memberships().aggregate(people=Count("account", distinct=True))["people"],
        "may_manage": may_manage,
        "may_manage_all": may_manage_all,
        "invitations": _pending(scope) if may_manage else [],
        "form": (form or InviteForm(scope)) if may_manage else None,
        "refused": refused,
        "table": _rights(),
        "roles": permissions.ROLES,
        "projects": _projects(scope) if kind == "organization" else [],
    }
    status = 409 if refused else 422 if form and form.errors else 200
    return render(request, "workspaces/members.html", context, status=status)


def _place(kind: str, scope: Scope) -> dict[str, Any]:
    """What every page of a scope knows: its names, and the frame's place."""
    organization, project = scope.organization, scope.project
    name, pk = (project.name, project.pk) if project else ("All projects", None)
    return {
        "kind": kind,
        "scope": scope,
        "here": project or organization,
        "urls": {name: f"{kind}_{name}" for name in ("members", "member", "member_role", "member_remove", "invite")}
        | {name: f"{kind}_{name}" for name in ("invitation_resend", "invitation_withdraw")},
        "place": shell.Place(organization.name, name, organization.pk, pk),
    }


def _matching(memberships: MembershipQuerySet, q: str) -> MembershipQuerySet:
    """Those of people with every word of `q` in their name or address, by name; with the facts of a row."""
    for word in q.split():
        memberships = memberships.filter(
            Q(account__first_name__icontains=word)
            | Q(account__last_name__icontains=word)
            | Q(account__email__icontains=word)
        )
    factors = Authenticator.objects.filter(user=OuterRef("account_id"), type__in=SECOND_FACTORS)
    full_name = NullIf(Trim(Concat("account__first_name", Value(" "), "account__last_name")), Value(""))
    people = memberships.select_related("account", "project").annotate(second_factor=Exists(factors))
    return people.order_by(Lower(Coalesce(full_name, "account__email")), "account__email", "project__name", "pk")


def _row(one: Membership, me: UUID, page: str, may_manage_all: bool) -> Row:
    if page and one.project_id is None:
        page = "organization" if may_manage_all else ""
    return Row(
        pk=one.pk,
        name=str(one.account),
        email=one.account.email,
        role=one.role,
        project=one.project,
        since=one.created_at,
        last_sign_in=one.account.last_login,
        second_factor=one.second_factor,  # type: ignore[attr-defined]
        is_me=one.account_id == me,
        page=page,
    )


def _pending(scope: Scope) -> list[Invitation]:
    """What can still be accepted, resent or withdrawn: of an organization also what is for its projects."""
    pending = Invitation.objects.pending().select_related("organization", "project", "invited_by")
    where = {"project": scope.project} if scope.project else {"organization": scope.organization}
    return list(pending.filter(**where))


def _rights() -> list[tuple[str, list[bool]]]:
    """The table of permissions: a sentence, and for each role whether it holds it."""
    return [
        (one.sentence, [role in one.roles for role in permissions.ROLES]) for one in permissions.PERMISSIONS.values()
    ]


def _projects(scope: Scope) -> list[Project]:
    """The organization's projects, with how many people are narrowed to each."""
    return list(
        scope.organization.projects.annotate(people=Count("memberships")).order_by("name")[: PROJECTS_SHOWN + 1]
    )


# --- One member -------------------------------------------------------------------------------------------------------
@login_required
@require_safe
def member(request: HttpRequest, kind: str, pk: UUID, member: UUID) -> HttpResponse:
    """What the member may do, what another role would give and take, and what removing would."""
    return _member_page(request, kind, *_member(request, kind, pk, member))


@login_required
@require_POST
def change_role(request: HttpRequest, kind: str, pk: UUID, member: UUID) -> HttpResponse:
    """Give the member the role `role`."""
    scope, found = _member(request, kind, pk, member)
    role = request.POST.get("role", "")
    if role not in permissions.ROLES:
        unknown = Refused("unknown_role", "Choose a role: administrator, operator or viewer.")
        return _member_page(request, kind, scope, found, unknown, status=422)
    refused = model.change_role(found, role, account_of(request))
    if refused:
        return _member_page(request, kind, scope, found, refused)
    messages.success(request, f"{found.account} is {role} of {model.scope_of(found)} now.")
    return _back(request, kind, scope)


@login_required
@require_POST
def remove(request: HttpRequest, kind: str, pk: UUID, member: UUID) -> HttpResponse:
    """Take the access away."""
    scope, found = _member(request, kind, pk, member)
    refused = model.remove(found, account_of(request))
    if refused:
        return _member_page(request, kind, scope, found, refused)
    messages.success(request, f"{found.account} has no access to {model.scope_of(found)} through this role any more.")
    return _back(request, kind, scope)


def _member(request: HttpRequest, kind: str, pk: UUID, member: UUID) -> tuple[Scope, Membership]:
    """The membership that this page may change: on a project's page not those of the whole organization."""
    scope = get_scope(request, kind, pk, need="members.manage")
    changeable = Membership.objects.filter(organization=scope.organization)
    changeable = changeable.filter(project=scope.project) if scope.project else changeable
    return scope, get_object_or_404(changeable.select_related("account", "organization", "project"), pk=member)


def _back(request: HttpRequest, kind: str, scope: Scope) -> HttpResponse:
    """To the list; who has changed their own access may not see it any more."""
    account = account_of(request)
    seen = any(permissions.allows(role, "members.view") for role in scope.roles_of(account))
    return see_other(f"{kind}_members", pk=(scope.project or scope.organization).pk) if seen else see_other("fleet")


def _member_page(
    request: HttpRequest, kind: str, scope: Scope, found: Membership, refused: Refused | None = None, status: int = 409
) -> HttpResponse:
    account = account_of(request)
    others = Membership.objects.filter(account=found.account_id, organization=found.organization_id)
    others_list = list(others.exclude(pk=found.pk).select_related("organization", "project"))
    # What the person may do in the place of this membership also through another one.
    also = {one.role for one in others_list if found.project_id and one.project_id is None}
    now_roles = {found.role, *also}
    context = _place(kind, scope) | {
        "nav": "members",
        "now": timezone.now(),
        "member": found,
        "where": model.scope_of(found),
        "is_me": found.account_id == account.pk,
        "kept": [f"{one.role} of {model.scope_of(one)}" for one in others_list],
        "changes": [
            Change(role, rules.effect(now_roles, {role, *also}), model.refuse_change(found, role, account))
            for role in permissions.ROLES
            if role != found.role
        ],
        "removal": Change("", rules.effect(now_roles, also), model.refuse_change(found, None, account)),
        "left": _left(found),
        "refused": refused,
    }
    return render(request, "workspaces/member.html", context, status=status if refused else 200)


def _left(found: Membership) -> dict[str, int]:
    """What somebody made here that goes on without them, counted."""
    organization, account, now = found.organization_id, found.account_id, timezone.now()
    keys = ApiKey.objects.usable(now).filter(organization=organization, created_by=account)
    sent = Invitation.objects.open().filter(organization=organization, invited_by=account)
    taken = Kubeconfig.objects.valid_outside(now).filter(
        workspace__project__organization=organization, requested_by_id=account
    )
    return {"keys": keys.count(), "invitations": sent.count(), "kubeconfigs": taken.count()}
