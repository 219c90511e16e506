"""What can be ordered for a workspace and what its hosts cost: rows of profiles and agreements, priced by the rules.

Reads only what was synchronised (`operations/profiles.py`); nobody is asked. Who decides a price is
`rules/pricing.py`; the rows themselves are in `models/pricing.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Count, Model, Q

from workspaces.models.infrastructure import Host, ProviderAccount
from workspaces.models.pricing import BillingAgreement, ComputeProfile, PriceOverride, ProfileLocation
from workspaces.models.tenancy import Project
from workspaces.models.workspace import Workspace
from workspaces.rules.pricing import Agreement, Clause, ListPrice, PriceBook, PriceLine, Quote


def _columns(model: type[Model]) -> list[str]:
    return [column.attname for column in model._meta.concrete_fields]


_ROW: Final = _columns(ProfileLocation)
_PROFILE: Final = _ROW.index("profile_id")
_GIST: Final = itemgetter(*map(_ROW.index, ("location", "available", "checked_at", "unavailable_after")))
# An availability that is older than this many periods of the sync is not known any more.
PERIODS = 3


@dataclass(frozen=True)
class Offer:
    """A profile at one location: whether it can be ordered there (None: not known), as of when, and for how much.

    A page shows one location of six, so the row is made and the prices are worked out when somebody asks.
    """

    profile: ComputeProfile
    location: str
    available: bool | None
    checked_at: datetime | None
    unavailable_after: datetime | None
    book: PriceBook = field(repr=False, compare=False)
    values: tuple[Any, ...] = field(repr=False, compare=False)

    @cached_property
    def row(self) -> ProfileLocation:
        """The row, its profile at hand."""
        row = ProfileLocation.from_db(DEFAULT_DB_ALIAS, _ROW, self.values)
        row.profile = self.profile
        return row

    @cached_property
    def quote(self) -> Quote:
        """Its prices."""
        return quote_of(self.book, self.row)


@dataclass(frozen=True, slots=True)
class ProfileOffers:
    """A profile with its offers, by the location's name."""

    profile: ComputeProfile
    offers: tuple[Offer, ...]

    def at(self, location: str) -> Offer | None:
        """The offer there; None where it was never offered."""
        return next((offer for offer in self.offers if offer.location == location), None)


@dataclass(frozen=True, slots=True)
class PriceList:
    """What `account` offers a workspace (None: it has no account, so nothing), as told at `checked_at`.

    `error` is why it could not be asked since then, "" when it could. `agreements` are those that hold today, the
    later one first; `profiles` are by name.
    """

    account: ProviderAccount | None
    checked_at: datetime | None
    error: str
    agreements: list[BillingAgreement]
    profiles: list[ProfileOffers]


@dataclass(frozen=True, slots=True)
class HostPrice:
    """What a host costs an hour, and at most a month. Both are None when its price is not known, which is not free."""

    host: UUID
    name: str
    profile: str
    location: str
    hourly: PriceLine | None
    monthly: PriceLine | None


# --- What can be ordered ----------------------------------------------------------------------------------------------
def account_of(workspace: Workspace) -> ProviderAccount | None:
    """Where new hosts of the workspace are ordered: as its row says, else where most of its hosts are, else the only
    account of its organization; None when there is none to be told (one query)."""
    owner = Project.objects.filter(pk=workspace.project_id).values("organization")
    mine = Count("hosts", filter=Q(hosts__workspace=workspace))
    accounts = list(
        ProviderAccount.objects.filter(Q(organization__in=owner) | Q(pk=workspace.provider_account_id))
        .annotate(mine=mine)
        .order_by("-mine", "name", "pk")
    )
    named = next((account for account in accounts if account.pk == workspace.provider_account_id), None)
    if named or not accounts:
        return named
    return accounts[0] if accounts[0].mine or len(accounts) == 1 else None


def available_at(row: ProfileLocation, now: datetime) -> bool | None:
    """Whether the profile can be ordered at that location; None when that is not known, or was told too long ago."""
    return _available(row.available, row.checked_at, row.unavailable_after, now, _oldest(now))


def _available(
    told: bool | None, checked_at: datetime | None, end: datetime | None, now: datetime, oldest: datetime
) -> bool | None:
    if end is not None and end <= now:
        return False
    return told if checked_at is not None and checked_at >= oldest else None


def _oldest(now: datetime) -> datetime:
    return now - timedelta(seconds=PERIODS * settings.LOOPBACK_PROFILES_SECONDS)


def price_list(workspace: Workspace, now: datetime, *, inactive: bool = False) -> PriceList:
    """Every profile of the workspace's account at every location, with today's (UTC) prices (three queries).

    Profiles that are not offered are left out unless `inactive`.
    """
    account, today = account_of(workspace), now.astimezone(UTC).date()
    agreements, clauses = _holding(workspace, today)
    if account is None:
        return PriceList(None, None, "", agreements, [])
    return PriceList(
        account,
        account.profiles_checked_at,
        account.profiles_error,
        agreements,
        list(_offers(account, PriceBook([clause_of(row) for row in clauses], today), now, inactive=inactive)),
    )


def _offers(account: ProviderAccount, book: PriceBook, now: datetime, *, inactive: bool) -> Iterator[ProfileOffers]:
    """The account's profiles by name, each made once and not for each of its locations (one query)."""
    rows = ProfileLocation.objects.filter(profile__provider_account=account)
    rows = (rows if inactive else rows.filter(profile__active=True)).order_by("profile__name", "location")
    theirs, oldest = _columns(ComputeProfile), _oldest(now)
    told = rows.values_list(*_ROW, *(f"profile__{name}" for name in theirs))
    for _, group in groupby(told, itemgetter(_PROFILE)):
        same = list(group)
        profile = ComputeProfile.from_db(DEFAULT_DB_ALIAS, theirs, same[0][len(_ROW) :])
        yield ProfileOffers(profile, tuple(_offer(profile, values[: len(_ROW)], book, now, oldest) for values in same))


def _holding(workspace: Workspace, day: date) -> tuple[list[BillingAgreement], list[PriceOverride]]:
    """The agreements of the workspace's organization on that day, and all their clauses (one query)."""
    mine, theirs = _columns(BillingAgreement), _columns(PriceOverride)
    holding = BillingAgreement.objects.active_on(day).filter(organization__projects=workspace.project_id)
    agreements: dict[UUID, BillingAgreement] = {}
    clauses = []
    for values in holding.order_by("-valid_from", "number", "overrides__pk").values_list(
        *mine, *(f"overrides__{name}" for name in theirs)
    ):
        agreement = BillingAgreement.from_db(DEFAULT_DB_ALIAS, mine, values[: len(mine)])
        agreement = agreements.setdefault(agreement.pk, agreement)
        if values[len(mine)] is not None:
            clauses.append(PriceOverride.from_db(DEFAULT_DB_ALIAS, theirs, values[len(mine) :]))
            clauses[-1].agreement = agreement
    return list(agreements.values()), clauses


def find_offer(workspace: Workspace, profile_id: UUID, location: str, now: datetime) -> Offer | None:
    """One profile at one location, offered or not; None when the workspace's account never had it (three queries)."""
    account, today = account_of(workspace), now.astimezone(UTC).date()
    row = (
        ProfileLocation.objects.select_related("profile")
        .filter(profile=profile_id, profile__provider_account=account, location=location)
        .first()
    )
    if account is None or row is None:
        return None
    book = PriceBook(_clauses(Q(organization__projects=workspace.project_id), today), today)
    return offer_of(row, book, now)


def offer_of(row: ProfileLocation, book: PriceBook, now: datetime) -> Offer:
    """The offer that the row is, by that book. `row` has its profile at hand."""
    return _offer(row.profile, tuple(getattr(row, name) for name in _ROW), book, now, _oldest(now))


def _offer(profile: ComputeProfile, values: tuple[Any, ...], book: PriceBook, now: datetime, oldest: datetime) -> Offer:
    location, told, checked_at, end = _GIST(values)
    return Offer(profile, location, _available(told, checked_at, end, now, oldest), checked_at, end, book, values)


def quote_of(book: PriceBook, row: ProfileLocation) -> Quote:
    """What the row's profile costs at its location by that book. `row` has its profile at hand."""
    return book.quote(row.profile.name, row.location, prices_of(row))


def prices_of(row: ProfileLocation) -> list[ListPrice]:
    """The list prices that are known."""
    amounts = {
        "setup": row.setup,
        "hourly": row.hourly,
        "monthly": row.monthly,
        "traffic": row.traffic,
        "backup": row.backup,
        "primary_ip": row.primary_ip,
    }
    return [ListPrice(component, amount, row.currency) for component, amount in amounts.items() if amount is not None]


# --- What there is ----------------------------------------------------------------------------------------------------
def lines_of(workspace: Workspace, today: date) -> list[HostPrice]:
    """Every host by name, with what it costs on `today` (UTC), net (at most four queries).

    A price is known for a profile and location that the host's own provider account was told about, offered or not.
    """
    hosts = list(Host.objects.filter(workspace=workspace).order_by("name"))
    book = PriceBook(clauses_of(workspace.project.organization_id, today), today)
    known: dict[tuple[UUID | None, str, str], tuple[PriceLine | None, PriceLine | None]] = {
        key: (
            book.line(row.profile.name, row.location, ListPrice("hourly", row.hourly, row.currency)),
            book.line(row.profile.name, row.location, ListPrice("monthly", row.monthly, row.currency)),
        )
        for key, row in rows_of(hosts).items()
    }
    return [
        HostPrice(host.pk, host.name, host.profile, host.location, *known.get(key_of(host), (None, None)))
        for host in hosts
    ]


def key_of(host: Host) -> tuple[UUID | None, str, str]:
    """By what the price of a host is found."""
    return host.provider_account_id, host.profile, host.location


def rows_of(hosts: Iterable[Host]) -> dict[tuple[UUID | None, str, str], ProfileLocation]:
    """The list prices of what the hosts are, by `key_of`, each with its profile at hand (one query)."""
    keys = {key_of(host) for host in hosts}
    rows = ProfileLocation.objects.filter(
        profile__provider_account__in={account for account, _, _ in keys if account},
        profile__name__in={profile for _, profile, _ in keys},
        location__in={location for _, _, location in keys},
    ).select_related("profile")
    return {(row.profile.provider_account_id, row.profile.name, row.location): row for row in rows}


# --- Clauses ----------------------------------------------------------------------------------------------------------
def clauses_of(organization: UUID, day: date) -> list[Clause]:
    """The clauses of the organization's agreements that hold on `day` (UTC), in no order (one query)."""
    return _clauses(Q(organization=organization), day)


def _clauses(whose: Q, day: date) -> list[Clause]:
    active = PriceOverride.objects.filter(agreement__in=BillingAgreement.objects.active_on(day).filter(whose))
    return [clause_of(row) for row in active.select_related("agreement")]


def clause_of(row: PriceOverride) -> Clause:
    """The clause as the rules read it. `row` has its agreement at hand."""
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
        minimum=row.minimum,
    )
