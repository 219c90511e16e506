"""Whose agreements and left servers a caller sees: those of organizations where they may see prices.

The right may come from a membership on the organization or from one narrowed to a project of it. What is seen there is
in `agreement_quote.py`, `left_servers.py` and `price_list.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from workspaces.models.infrastructure import LeftServer
from workspaces.models.pricing import AgreementQuerySet, BillingAgreement
from workspaces.models.tenancy import Account, Caller, Organization, OrganizationQuerySet, Project
from workspaces.rules import permissions

PERMISSION = "price.view"


@dataclass(frozen=True, slots=True)
class Standing:
    """The permission keys that an account holds somewhere, and how many left servers it sees."""

    keys: frozenset[str]
    left_servers: int


def priced_organizations(caller: Caller) -> OrganizationQuerySet:
    """The organizations whose prices the caller may see, as a whole or through one of their projects."""
    if caller.is_superuser:
        return Organization.objects.all()
    whole = Organization.objects.allowing(caller, PERMISSION).order_by().values("pk")
    parts = Project.objects.allowing(caller, PERMISSION).order_by().values("organization")
    return Organization.objects.filter(Q(pk__in=whole) | Q(pk__in=parts))


def agreements_seen(caller: Caller) -> AgreementQuerySet:
    """The agreements of those organizations, each with its organization."""
    seen: AgreementQuerySet = BillingAgreement.objects.filter(organization__in=_keys(caller))
    return seen.select_related("organization")


def standing_of(account: Account) -> Standing:
    """What the frame of every page asks of an account (one query)."""
    if account.is_superuser:
        return Standing(permissions.keys_of(permissions.ADMINISTRATOR), LeftServer.objects.count())
    there = LeftServer.objects.filter(provider_account__organization=OuterRef("organization")).order_by()
    counted = there.values("provider_account__organization").annotate(number=Count("pk")).values("number")
    rows = account.memberships.order_by().annotate(left=Coalesce(Subquery(counted), 0))
    held = list(rows.values_list("role", "organization", "left").distinct())
    keys = frozenset[str]().union(*(permissions.keys_of(role) for role, _, _ in held))
    seen = {organization: left for role, organization, left in held if permissions.allows(role, PERMISSION)}
    return Standing(keys, sum(seen.values()))


def _keys(caller: Caller) -> OrganizationQuerySet:
    return priced_organizations(caller).order_by()
