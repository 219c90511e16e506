"""What provider accounts have that nobody uses, and hosts whose server is not there: as last seen, with what it costs.

Written by the look at an account (`operations/reconcile.py`), read by the page and the API alike. Nothing is asked
here, and nothing deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast

from workspaces.models.commercial import priced_organizations
from workspaces.models.infrastructure import Host, LeftServer, ProviderAccount
from workspaces.models.operation import Operation
from workspaces.models.price_list import clause_of, quote_of
from workspaces.models.pricing import BillingAgreement, PriceOverride, ProfileLocation
from workspaces.models.tenancy import Caller, Organization, Project
from workspaces.models.workspace import Workspace
from workspaces.rules import labels, looks
from workspaces.rules.ids import as_id
from workspaces.rules.pricing import Clause, PriceBook, Quote

REMOVE = "host.remove"
ORDER = "host_order"
# What the row says while a job deletes the server, until the next look.
LEAVING = "deleting"


@dataclass(frozen=True, slots=True)
class Left:
    """A server that no host has. `workspace` is that of its label, if the caller sees it.

    `foreign`: the label names a workspace that does not exist here, so another installation may have made the server.
    """

    server: LeftServer
    label: str
    workspace: Workspace | None
    foreign: bool
    quote: Quote | None

    @property
    def leaving(self) -> bool:
        """Whether it has been asked to go."""
        return self.server.status == LEAVING


@dataclass(frozen=True, slots=True)
class Missing:
    """A host without a server: `gone` when it had one, else it never got one. `removable` by the caller."""

    host: Host
    gone: bool
    removable: bool


@dataclass(frozen=True, slots=True)
class Sum:
    """What all left servers of an account cost a month at most, in one currency, net."""

    currency: str
    list: Decimal
    agreed: Decimal


@dataclass(frozen=True, slots=True)
class AccountLook:
    """One provider account as last looked at. `unpriced` left servers are in no sum, as their price is not known.

    `known`: the last look was answered, and lately; otherwise this is what an earlier one saw, or nothing.
    """

    account: ProviderAccount
    known: bool
    left: tuple[Left, ...]
    missing: tuple[Missing, ...]
    sums: tuple[Sum, ...]
    unpriced: int
    may_delete: bool

    @property
    def found(self) -> bool:
        """Whether there is something a person should look at."""
        return bool(self.left or self.missing)


def seen_once(server: LeftServer, now: datetime) -> bool:
    """Whether a second look has not found it left yet: a server of an order just made looks left for a moment."""
    period = timedelta(seconds=settings.LOOPBACK_RECONCILE_SECONDS)
    return server.observed_at <= server.first_seen_at or now - server.first_seen_at < period


def accounts_seen(caller: Caller) -> QuerySet[ProviderAccount]:
    """The accounts of organizations whose prices the caller sees, with `may_delete`: whether servers may be deleted."""
    may_delete = Organization.objects.allowing(caller, REMOVE).filter(pk=OuterRef("organization")).order_by()
    rows = ProviderAccount.objects.filter(organization__in=priced_organizations(caller).order_by())
    return rows.select_related("organization").defer("token").annotate(may_delete=Exists(may_delete))


def looks_of(accounts: Iterable[ProviderAccount], caller: Caller, now: datetime) -> list[AccountLook]:
    """What stands of each of the accounts, which come from `accounts_seen` (five queries whatever their number)."""
    rows = list(accounts)
    servers = list(LeftServer.objects.filter(provider_account__in=rows).order_by("name", "pk"))
    missing = list(_missing(rows, caller))
    named, existing = _labelled(servers, caller)
    quotes = _quotes({row.pk: row.organization_id for row in rows}, servers, now)
    left: dict[UUID, list[Left]] = {}
    for server in servers:
        label = _label(server)
        key = as_id(label)
        foreign = key is not None and key not in existing
        one = Left(server, label, named.get(key) if key else None, foreign, quotes.get(server.pk))
        left.setdefault(server.provider_account_id, []).append(one)
    return [
        _look(row, left.get(row.pk, []), [host for host in missing if host.provider_account_id == row.pk], now)
        for row in rows
    ]


def _look(account: ProviderAccount, left: list[Left], missing: list[Host], now: datetime) -> AccountLook:
    quotes = [one.quote for one in left if one.quote]
    currencies = sorted({quote.currency for quote in quotes})
    return AccountLook(
        account=account,
        known=_is_known(account, now),
        left=tuple(left),
        missing=tuple(Missing(host, host.provider_id is not None, host.removable) for host in missing),  # type: ignore[attr-defined]
        sums=tuple(_sum(currency, quotes) for currency in currencies),
        unpriced=len(left) - len(quotes),
        may_delete=account.may_delete,  # type: ignore[attr-defined]
    )


def _is_known(account: ProviderAccount, now: datetime) -> bool:
    oldest = now - timedelta(seconds=looks.PERIODS * settings.LOOPBACK_RECONCILE_SECONDS)
    return not account.error_code and account.observed_at is not None and account.observed_at >= oldest


def _sum(currency: str, quotes: Iterable[Quote]) -> Sum:
    counted = [quote for quote in quotes if quote.currency == currency]
    return Sum(
        currency,
        sum((quote.list_monthly_total for quote in counted), Decimal(0)),
        sum((quote.monthly_total for quote in counted), Decimal(0)),
    )


def _missing(accounts: list[ProviderAccount], caller: Caller) -> QuerySet[Host]:
    """Hosts the caller sees whose server is gone, or that have none although no open order makes one."""
    orders = Operation.objects.open().filter(kind=ORDER, workspace=OuterRef("workspace"))
    ordered = orders.annotate(ordered=KeyTextTransform("host", "parameters"))
    being_made = Exists(ordered.filter(ordered=Cast(OuterRef("pk"), TextField())))
    removable = Project.objects.allowing(caller, REMOVE).filter(pk=OuterRef("workspace__project")).order_by()
    return (
        Host.objects.filter(
            Q(provider_status="gone", provider_id__isnull=False) | Q(~being_made, provider_id=None),
            provider_account__in=accounts,
            workspace__in=Workspace.objects.allowing(caller).exclude(state="deleted"),
        )
        .select_related("workspace")
        .annotate(removable=Exists(removable))
        .order_by("workspace__name", "name")
    )


def _labelled(servers: Iterable[LeftServer], caller: Caller) -> tuple[Mapping[UUID, Workspace], frozenset[UUID]]:
    """The workspaces that the labels name and the caller sees, and the keys of all that exist."""
    keys = {key for server in servers if (key := as_id(_label(server)))}
    if not keys:
        return {}, frozenset()
    seen = Exists(Workspace.objects.allowing(caller).filter(pk=OuterRef("pk")))
    rows = list(Workspace.objects.filter(pk__in=keys).annotate(seen=seen))
    visible = {row.pk: row for row in rows if row.seen}  # type: ignore[attr-defined]
    return visible, frozenset(row.pk for row in rows)


def _label(server: LeftServer) -> str:
    return str(server.labels.get(labels.WORKSPACE, ""))


def _quotes(organizations: Mapping[UUID, UUID], servers: list[LeftServer], now: datetime) -> dict[UUID, Quote]:
    """What each server costs, by its key; those whose price is not known are left out."""
    if not servers:
        return {}
    day = now.date()
    holding = BillingAgreement.objects.active_on(day).filter(organization__in=set(organizations.values()))
    clauses: dict[UUID, list[Clause]] = {}
    for row in PriceOverride.objects.filter(agreement__in=holding.order_by()).select_related("agreement"):
        clauses.setdefault(row.agreement.organization_id, []).append(clause_of(row))
    books = {key: PriceBook(clauses.get(key, []), day) for key in set(organizations.values())}
    listed = ProfileLocation.objects.filter(
        profile__provider_account__in=organizations,
        profile__name__in={server.profile for server in servers},
        location__in={server.location for server in servers},
    ).select_related("profile")
    known = {(row.profile.provider_account_id, row.profile.name, row.location): row for row in listed}
    quotes = {}
    for server in servers:
        listing = known.get((server.provider_account_id, server.profile, server.location))
        if listing is not None:
            quotes[server.pk] = quote_of(books[organizations[server.provider_account_id]], listing)
    return quotes
