"""What the hosts of a workspace cost: rows of profiles and agreements, priced by `rules/pricing.py`.

Reads only what was synchronised; nobody is asked. The rows themselves are in `models/pricing.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from workspaces.models.infrastructure import Host
from workspaces.models.pricing import BillingAgreement, PriceOverride, ProfileLocation
from workspaces.models.workspace import Workspace
from workspaces.rules.pricing import Agreement, Clause, ListPrice, PriceLine, price_line


@dataclass(frozen=True, slots=True)
class HostPrice:
    """What a host costs an hour, and at most a month. Both are None when its price is not known, which is not free."""

    host: UUID
    name: str
    profile: str
    location: str
    hourly: PriceLine | None
    monthly: PriceLine | None


def lines_of(workspace: Workspace, today: date) -> list[HostPrice]:
    """Every host by name, with what it costs on `today` (UTC), net (at most four queries).

    A price is known for a profile and location that the host's own provider account was told about, offered or not.
    """
    hosts = list(
        Host.objects.filter(workspace=workspace)
        .order_by("name")
        .values_list("pk", "name", "provider_account_id", "profile", "location")
    )
    clauses = clauses_of(workspace.project.organization_id, today)
    rows = ProfileLocation.objects.filter(
        profile__provider_account__in={account for _, _, account, _, _ in hosts if account},
        profile__name__in={profile for _, _, _, profile, _ in hosts},
        location__in={location for _, _, _, _, location in hosts},
    ).select_related("profile")
    known: dict[tuple[UUID | None, str, str], tuple[PriceLine | None, PriceLine | None]] = {
        (row.profile.provider_account_id, row.profile.name, row.location): (
            _line(row, ListPrice("hourly", row.hourly, row.currency), clauses, today),
            _line(row, ListPrice("monthly", row.monthly, row.currency), clauses, today),
        )
        for row in rows
    }
    return [
        HostPrice(pk, name, profile, location, *known.get((account, profile, location), (None, None)))
        for pk, name, account, profile, location in hosts
    ]


def clauses_of(organization: UUID, day: date) -> list[Clause]:
    """The clauses of the organization's agreements that hold on `day` (UTC), in no order (one query)."""
    active = PriceOverride.objects.filter(
        agreement__in=BillingAgreement.objects.active_on(day).filter(organization=organization)
    )
    return [_clause(row) for row in active.select_related("agreement")]


def _line(row: ProfileLocation, price: ListPrice, clauses: list[Clause], day: date) -> PriceLine:
    return price_line(row.profile.name, row.location, price, clauses, day)


def _clause(row: PriceOverride) -> Clause:
    contract = row.agreement
    return Clause(
        agreement=Agreement(contract.number, contract.valid_from, contract.valid_until, contract.currency),
        clause=row.clause,
        component=row.component,
        profile=row.profile,
        family=row.family,
        location=row.location,
        kind=row.kind,
        amount=row.amount,
        currency=contract.currency,
    )
