"""What an agreement does: what a workspace would pay under it, and where its clauses lose to others or win.

Reads rows and lets `rules/pricing.py` and `rules/agreements.py` decide; nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from workspaces.models.infrastructure import Host
from workspaces.models.price_list import clause_of, key_of, quote_of, rows_of
from workspaces.models.pricing import BillingAgreement, PriceOverride, ProfileLocation
from workspaces.models.workspace import Workspace
from workspaces.rules.agreements import Overlap, overlaps, speaks_of_nothing
from workspaces.rules.pricing import COMPONENTS, Clause, PriceBook, PriceLine, total

# What a server costs a month at most: the hours up to their cap, and its public address.
MONTHLY_TOTAL = "monthly_total"
# Prices of a month that every host pays; the others are paid once, by use, or where it is switched on.
_EVERY_MONTH = ("monthly", "primary_ip")


@dataclass(frozen=True, slots=True)
class SimulatedLine:
    """A component of one host: its price as things are, under the agreement, and without it (all on the day)."""

    now: PriceLine
    under: PriceLine
    without: PriceLine

    @property
    def component(self) -> str:
        """Which one."""
        return self.now.component

    @property
    def currency(self) -> str:
        """Of all amounts."""
        return self.now.currency

    @property
    def list(self) -> Decimal:
        """What the provider asks."""
        return self.now.list

    @property
    def difference(self) -> Decimal:
        """What the agreement adds to what is paid as things are; negative when it saves."""
        return self.under.agreed - self.now.agreed


@dataclass(frozen=True, slots=True)
class SimulatedHost:
    """A host, a line for each component whose list price is known; none when nothing is, which is not free."""

    host: UUID
    name: str
    profile: str
    location: str
    lines: tuple[SimulatedLine, ...]

    def line(self, component: str) -> SimulatedLine | None:
        """The line of that component."""
        return next((line for line in self.lines if line.component == component), None)


@dataclass(frozen=True, slots=True)
class Total:
    """The exact sum of a component (or MONTHLY_TOTAL) over the `hosts` whose price is known, in one currency."""

    currency: str
    component: str
    hosts: int
    list: Decimal
    now: Decimal
    under: Decimal
    without: Decimal

    @property
    def difference(self) -> Decimal:
        """What the agreement adds; negative when it saves."""
        return self.under - self.now


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a workspace would pay on `day` if `agreement` held then, beside all others that do.

    `holds` says whether it does anyway: then `now` and `under` are the same, and `without` shows what it is worth.
    `unknown` are the hosts without a known price; they are in no total. Totals are by currency and component.
    """

    agreement: BillingAgreement
    workspace: Workspace
    day: date
    holds: bool
    hosts: tuple[SimulatedHost, ...]
    unknown: tuple[SimulatedHost, ...]
    totals: tuple[Total, ...]

    def total(self, component: str) -> list[Total]:
        """The totals of that component, one for each currency."""
        return [one for one in self.totals if one.component == component]


def simulate(agreement: BillingAgreement, workspace: Workspace, day: date) -> Simulation:
    """Every host of the workspace, by name, on a UTC day (at most five queries).

    ValueError when the agreement is not of the workspace's organization: it could never hold for it.
    """
    organization = workspace.project.organization_id
    if agreement.organization_id != organization:
        raise ValueError(f"{agreement} is an agreement of another organization.")
    others = Q(agreement__in=BillingAgreement.objects.active_on(day).filter(organization=organization))
    rows = PriceOverride.objects.filter(others | Q(agreement=agreement)).select_related("agreement")
    mine = [clause_of(row) for row in rows if row.agreement_id == agreement.pk]
    rest = [clause_of(row) for row in rows if row.agreement_id != agreement.pk]
    holds = agreement.valid_from <= day and (agreement.valid_until is None or day < agreement.valid_until)
    books = PriceBook([*mine, *rest], day), _as_if(mine, rest, day), PriceBook(rest, day)
    hosts = list(Host.objects.filter(workspace=workspace).order_by("name"))
    prices = rows_of(hosts)
    simulated = [_host(host, prices.get(key_of(host)), *books) for host in hosts]
    known = tuple(host for host in simulated if host.lines)
    return Simulation(
        agreement=agreement,
        workspace=workspace,
        day=day,
        holds=holds,
        hosts=known,
        unknown=tuple(host for host in simulated if not host.lines),
        totals=tuple(_totals(known)),
    )


def _as_if(mine: list[Clause], rest: list[Clause], day: date) -> PriceBook:
    """The book of a day on which this agreement holds beside those that do; which one began later stays as it is."""
    clauses = [replace(clause, agreement=replace(clause.agreement, valid_until=None)) for clause in (*mine, *rest)]
    return PriceBook(clauses, max([day, *(clause.agreement.valid_from for clause in mine)]))


def _host(
    host: Host, row: ProfileLocation | None, now: PriceBook, under: PriceBook, without: PriceBook
) -> SimulatedHost:
    lines: tuple[SimulatedLine, ...] = ()
    if row is not None:
        quotes = (quote_of(book, row).lines for book in (now, under, without))
        lines = tuple(SimulatedLine(*three) for three in zip(*quotes, strict=True))
    return SimulatedHost(host.pk, host.name, host.profile, host.location, lines)


def _totals(hosts: Iterable[SimulatedHost]) -> Iterable[Total]:
    """By currency, the components in their order, then a month's whole. Traffic is a price per TB: there is no sum."""
    by_currency: dict[str, list[SimulatedHost]] = {}
    for host in hosts:
        by_currency.setdefault(host.lines[0].currency, []).append(host)
    for currency, theirs in sorted(by_currency.items()):
        for component in COMPONENTS:
            lines = [line for host in theirs if (line := host.line(component))]
            if lines and component != "traffic":
                yield _total(currency, component, len(lines), lines)
        monthly = [line for host in theirs for name in _EVERY_MONTH if (line := host.line(name))]
        yield _total(currency, MONTHLY_TOTAL, len(theirs), monthly)


def _total(currency: str, component: str, hosts: int, lines: list[SimulatedLine]) -> Total:
    def over(amount: Callable[[SimulatedLine], Decimal]) -> Decimal:
        return total(*map(amount, lines))

    return Total(
        currency=currency,
        component=component,
        hosts=hosts,
        list=over(lambda line: line.list),
        now=over(lambda line: line.now.agreed),
        under=over(lambda line: line.under.agreed),
        without=over(lambda line: line.without.agreed),
    )


# --- Clauses in each other's way --------------------------------------------------------------------------------------
def overlaps_of(agreement: BillingAgreement) -> list[Overlap]:
    """Where clauses of the agreement lose to clauses of it or of the organization's others, or win (two queries)."""
    clauses = [clause_of(row) for row in _clauses_beside(agreement)]
    names, places = known_offers(agreement.organization_id)
    return [
        one
        for one in overlaps(clauses, names, places)
        if agreement.number in (one.winner.agreement.number, one.loser.agreement.number)
    ]


def idle_clauses(agreement: BillingAgreement) -> list[Clause]:
    """Those of its clauses that match none of the known profiles, or a place that is not known (two queries).

    None while nothing is known at all: then nobody can tell.
    """
    names, places = known_offers(agreement.organization_id)
    rows = agreement.overrides.select_related("agreement").order_by("clause")
    return [clause for clause in map(clause_of, rows) if names and speaks_of_nothing(clause, names, places)]


def known_offers(organization: UUID) -> tuple[list[str], list[str]]:
    """Names of the profiles and locations that the organization's accounts have ever been told about (one query)."""
    pairs = set(
        ProfileLocation.objects.filter(profile__provider_account__organization=organization).values_list(
            "profile__name", "location"
        )
    )
    return sorted({name for name, _ in pairs}), sorted({place for _, place in pairs})


def _clauses_beside(agreement: BillingAgreement) -> Iterable[PriceOverride]:
    """The clauses of the organization's agreements that hold on some day on which this one does.

    The rules find no others to overlap; leaving them out keeps a long history from costing time.
    """
    together = Q(agreement__valid_until=None) | Q(agreement__valid_until__gt=agreement.valid_from)
    if agreement.valid_until:
        together &= Q(agreement__valid_from__lt=agreement.valid_until)
    rows = PriceOverride.objects.filter(together, agreement__organization=agreement.organization_id)
    return rows.select_related("agreement")
