"""Changes of who has access, each in one transaction with the act that the audit trail tells.

The rows are in `tenancy.py`, what is allowed in `rules/members.py`. People come in through `invitation.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction

from workspaces.models.audit import Actor
from workspaces.models.event import Event
from workspaces.models.tenancy import Account, Membership, MembershipQuerySet, Organization, Project
from workspaces.rules import members as rules
from workspaces.rules import permissions
from workspaces.rules.refusal import Refused


@dataclass(frozen=True)
class Scope:
    """Where a role counts: an organization as a whole, or one of its projects."""

    organization: Organization
    project: Project | None = None

    def __str__(self) -> str:
        return str(self.project or self.organization)

    def memberships(self) -> MembershipQuerySet:
        """Everybody with access: of an organization also those of its projects, of a project also those of all."""
        if self.project:
            return Membership.objects.on_project(self.project)
        return Membership.objects.filter(organization=self.organization)

    def roles_of(self, account: Account) -> frozenset[str]:
        """The account's roles that count here; root administers everything."""
        if account.is_superuser:
            return frozenset({permissions.ADMINISTRATOR})
        counting = self.memberships() if self.project else self.memberships().filter(project=None)
        return frozenset(counting.filter(account=account).values_list("role", flat=True))


def keys_held(account: Account) -> frozenset[str]:
    """The permission keys the account holds somewhere (one query)."""
    if account.is_superuser:
        return permissions.keys_of(permissions.ADMINISTRATOR)
    roles = account.memberships.order_by().values_list("role", flat=True).distinct()
    return frozenset[str]().union(*(permissions.keys_of(role) for role in roles))


def scope_of(membership: Membership) -> Scope:
    """Where the membership counts."""
    return Scope(membership.organization, membership.project)


def change_role(membership: Membership, role: str, by: Account) -> Refused | None:
    """Give the member another role; a refusal when `by` may not, or nobody would administer the organization."""
    with transaction.atomic():
        current = _locked(membership)
        if current is None or current.role == role:
            return _gone(membership) if current is None else None
        if refused := refuse_change(current, role, by):
            return refused
        before, current.role = current.role, role
        current.save(update_fields=["role"])
        summary = f"Made {current.account} {role} of {scope_of(current)}, before {before}"
        _record(by, "membership.role_changed", current, summary, {"role": [before, role]})
    return None


def remove(membership: Membership, by: Account) -> Refused | None:
    """Take the access away; the account stays. Refused like a change of role."""
    with transaction.atomic():
        current = _locked(membership)
        if current is None:
            return _gone(membership)
        if refused := refuse_change(current, None, by):
            return refused
        _record(by, "membership.removed", current, f"Removed {current.account} from {scope_of(current)}", {})
        current.delete()
    return None


def refuse_change(current: Membership, role: str | None, by: Account) -> Refused | None:
    """Why `by` may not give the member `role`, or remove it (None), as things are now."""
    own = scope_of(current).roles_of(by)
    refused = rules.may_change(own, current.role, role)
    if refused or current.project_id or current.role != permissions.ADMINISTRATOR:
        return refused
    others = Membership.objects.filter(
        organization=current.organization_id, project=None, role=permissions.ADMINISTRATOR, account__is_active=True
    ).exclude(pk=current.pk)
    return rules.leave_an_administrator(str(current.account), str(current.organization), others=others.exists())


def _locked(membership: Membership) -> Membership | None:
    """The row as it is now. Two administrators who remove each other queue at the organization: one of them stays."""
    Organization.objects.select_for_update(no_key=True).get(pk=membership.organization_id)
    rows = Membership.objects.select_related("account", "organization", "project__organization")
    return rows.filter(pk=membership.pk).first()


def _gone(membership: Membership) -> Refused:
    return Refused("already_removed", f"{membership.account} has been removed from {scope_of(membership)} meanwhile.")


def _record(by: Account, action: str, current: Membership, summary: str, changes: dict[str, list[str]]) -> None:
    place = scope_of(current)
    Event.record(
        Actor.of(by),
        action,
        summary=summary,
        organization=place.organization,
        project=place.project,
        changes={"account": str(current.account_id), **changes},
    )
