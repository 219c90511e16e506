"""Agreements with their clauses and which of them win, and what a workspace would pay under one."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest
from django.utils import timezone
from ninja import Router, Schema

from workspaces.api.callers import caller, get_workspace
from workspaces.api.paging import page
from workspaces.api.prices import Amount
from workspaces.api.schemas import Named, Page, ProblemDocument
from workspaces.api.tenancy import Limit
from workspaces.models import BillingAgreement
from workspaces.models.agreement_quote import SimulatedHost, SimulatedLine, overlaps_of, simulate
from workspaces.models.commercial import agreements_seen, priced_organizations
from workspaces.models.price_list import clause_of
from workspaces.rules.agreements import Overlap
from workspaces.rules.clauses import Clause
from workspaces.rules.pricing import PriceLine

router = Router(tags=["Agreements"])


# --- Shapes -----------------------------------------------------------------------------------------------------------
class AgreementShape(Schema):
    """Half-open: `valid_from` is the first UTC day in it, `valid_until` (null: no end) the first that is not."""

    id: UUID
    organization: Named
    number: str
    currency: str
    valid_from: date
    valid_until: date | None
    holds: bool


class ClauseShape(Schema):
    """What a component costs where all conditions match; an empty condition matches everything.

    `kind` is fixed (`amount` in the agreement's currency) or percent (of list: at 88 you pay 88 %).
    """

    agreement: str
    clause: str
    component: str
    profile: str
    family: str
    location: str
    kind: str
    amount: Amount
    minimum: Amount | None


class OverlapShape(Schema):
    """`loser` would set the price of `profiles` at `locations` (empty: everywhere), and `winner` does."""

    component: str
    winner: ClauseShape
    loser: ClauseShape
    profiles: list[str]
    locations: list[str]
    first: date
    until: date | None


class AgreementDetail(AgreementShape):
    """The same with its clauses, and where they meet each other or those of other agreements."""

    clauses: list[ClauseShape]
    overlaps: list[OverlapShape]


class SetPrice(Schema):
    """An amount, and the numbers of what set it; both null where list applies."""

    amount: Amount
    agreement: str | None
    clause: str | None


class SimulatedPrice(Schema):
    """A component of a host: by list, as things are on the day, if the agreement held then, and without it."""

    component: str
    currency: str
    list: Amount
    now: SetPrice
    under: SetPrice
    without: SetPrice
    difference: Amount


class SimulatedHostShape(Schema):
    """A host; no prices: what it costs is not known, which is not free."""

    id: UUID
    name: str
    profile: str
    location: str
    prices: list[SimulatedPrice]


class TotalShape(Schema):
    """The sum of a component (monthly_total: the monthly cap and the address) over the hosts whose price is known."""

    component: str
    currency: str
    hosts: int
    list: Amount
    now: Amount
    under: Amount
    without: Amount
    difference: Amount


class SimulationShape(Schema):
    """What a workspace would pay if the agreement held on a day, beside all others that do; `holds`: it does anyway.

    Hosts in `unknown` are in no total.
    """

    agreement: str
    workspace: Named
    on: date
    holds: bool
    hosts: list[SimulatedHostShape]
    unknown: list[SimulatedHostShape]
    totals: list[TotalShape]


# --- Agreements -------------------------------------------------------------------------------------------------------
@router.get("/agreements", response={200: Page[AgreementShape], 404: ProblemDocument, 422: ProblemDocument})
def agreements(
    request: HttpRequest, organization: UUID | None = None, limit: Limit = 50, cursor: str | None = None
) -> dict[str, Any]:
    """Of the organizations whose prices the caller may see, by number."""
    rows, today = agreements_seen(caller(request)), timezone.now().date()
    if organization is not None:
        if not priced_organizations(caller(request)).filter(pk=organization).exists():
            raise Http404
        rows = rows.filter(organization=organization)
    return page(rows, "number", limit, cursor, lambda row: _shown(row, today))


@router.get("/agreements/{uuid:pk}", response={200: AgreementDetail, 404: ProblemDocument})
def agreement(request: HttpRequest, pk: UUID) -> dict[str, Any]:
    """One agreement with its clauses, and which clause wins where several speak of the same price."""
    found = _agreement(request, pk)
    clauses = found.overrides.select_related("agreement").order_by("clause")
    return _shown(found, timezone.now().date()) | {
        "clauses": [_clause(clause_of(row)) for row in clauses],
        "overlaps": [_overlap(one) for one in overlaps_of(found)],
    }


@router.get(
    "/agreements/{uuid:pk}/simulation",
    response={200: SimulationShape, **dict.fromkeys((403, 404, 422), ProblemDocument)},
)
def simulation(request: HttpRequest, pk: UUID, workspace: UUID, on: date | None = None) -> dict[str, Any]:
    """What that workspace of the agreement's organization would pay on a UTC day (none: today)."""
    found = _agreement(request, pk)
    asked = get_workspace(request, workspace, need="price.view")
    if asked.project.organization_id != found.organization_id:
        raise Http404
    seen = simulate(found, asked, on or timezone.now().date())
    return {
        "agreement": found.number,
        "workspace": asked,
        "on": seen.day,
        "holds": seen.holds,
        "hosts": [_host(host) for host in seen.hosts],
        "unknown": [_host(host) for host in seen.unknown],
        "totals": seen.totals,
    }


def _agreement(request: HttpRequest, pk: UUID) -> BillingAgreement:
    found = agreements_seen(caller(request)).filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


def _shown(row: BillingAgreement, today: date) -> dict[str, Any]:
    return {
        "id": row.pk,
        "organization": row.organization,
        "number": row.number,
        "currency": row.currency,
        "valid_from": row.valid_from,
        "valid_until": row.valid_until,
        "holds": row.valid_from <= today and (row.valid_until is None or today < row.valid_until),
    }


def _clause(clause: Clause) -> dict[str, Any]:
    plain = ("clause", "component", "profile", "family", "location", "kind", "amount", "minimum")
    return {"agreement": clause.agreement.number} | {name: getattr(clause, name) for name in plain}


def _overlap(one: Overlap) -> dict[str, Any]:
    return {
        "component": one.component,
        "winner": _clause(one.winner),
        "loser": _clause(one.loser),
        "profiles": list(one.profiles),
        "locations": list(one.locations),
        "first": one.first,
        "until": one.until,
    }


def _host(host: SimulatedHost) -> dict[str, Any]:
    return {
        "id": host.host,
        "name": host.name,
        "profile": host.profile,
        "location": host.location,
        "prices": [_price(line) for line in host.lines],
    }


def _price(line: SimulatedLine) -> dict[str, Any]:
    return {
        "component": line.component,
        "currency": line.currency,
        "list": line.list,
        "now": _set(line.now),
        "under": _set(line.under),
        "without": _set(line.without),
        "difference": line.difference,
    }


def _set(line: PriceLine) -> dict[str, Any]:
    return {"amount": line.agreed, "agreement": line.agreement, "clause": line.clause}
