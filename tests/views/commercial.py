"""Rows of the commercial pages' tests: a provider account with list prices, agreements, left servers."""

from __future__ import annotations

import html
import re
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from tests import cast
from workspaces.models import (
    BillingAgreement,
    ComputeProfile,
    Host,
    LeftServer,
    PriceOverride,
    ProfileLocation,
    ProviderAccount,
)
from workspaces.rules import labels


def text(answer: Any) -> str:
    """What a reader reads of the page."""
    whole = answer.content.decode()
    main = whole.partition("<main")[2].partition("</main>")[0] or whole
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def account(name: str = "kestrel-cloud", of: str = "Kestrel Freight", **fields: Any) -> ProviderAccount:
    """Looked at 42 seconds ago."""
    seen = {"token": "t", "observed_at": cast.NOW - timedelta(seconds=42)} | fields
    return ProviderAccount.objects.create(organization=cast.organization(of), name=name, **seen)


def listed(
    by: ProviderAccount, name: str, *, hourly: str, monthly: str, location: str = "fsn1", **prices: Any
) -> ProfileLocation:
    """A profile with its list prices at a location, in EUR."""
    size = {"cores": 4, "memory_gb": 16, "disk_gb": 160, "architecture": "x86", "family": name.rstrip("0123456789")}
    profile, _ = ComputeProfile.objects.get_or_create(provider_account=by, name=name, defaults=size)
    values = {"currency": "EUR", "hourly": Decimal(hourly), "monthly": Decimal(monthly)} | prices
    return ProfileLocation.objects.create(profile=profile, location=location, available=True, **values)


def contract(
    number: str, *clauses: dict[str, Any], first: date = date(2026, 3, 1), until: date | None = date(2027, 4, 1),
    of: str = "Kestrel Freight", currency: str = "EUR",
) -> BillingAgreement:  # fmt: skip
    """An agreement with clauses numbered from 1; each is 88 percent of the monthly price unless it says otherwise."""
    made = BillingAgreement.objects.create(
        organization=cast.organization(of), number=number, valid_from=first, valid_until=until, currency=currency
    )
    for position, clause in enumerate(clauses, 1):
        values = {"clause": str(position), "component": "monthly", "kind": "percent", "amount": Decimal(88)} | clause
        PriceOverride.objects.create(agreement=made, **values)
    return made


def left(by: ProviderAccount, name: str = "ledger-prod-w9", *, workspace: Any = None, **fields: Any) -> LeftServer:
    """A running ccx23 in fsn1 that was found three hours ago and seen with the last look."""
    values: dict[str, Any] = {
        "provider_id": 4711,
        "profile": "ccx23",
        "location": "fsn1",
        "status": "running",
        "labels": {labels.WORKSPACE: str(getattr(workspace, "pk", workspace))} if workspace else {},
        "created_at": cast.NOW - timedelta(days=12, hours=1),
        "first_seen_at": cast.NOW - timedelta(hours=3),
        "observed_at": cast.NOW - timedelta(seconds=42),
    }
    return LeftServer.objects.create(provider_account=by, name=name, **(values | fields))


def on_account(workspace: Any, by: ProviderAccount) -> None:
    """The workspace's hosts are servers of that account, numbered from 100."""
    for number, host in enumerate(Host.objects.filter(workspace=workspace).order_by("name"), 100):
        Host.objects.filter(pk=host.pk).update(provider_account=by, provider_id=number)
