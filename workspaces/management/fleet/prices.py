"""The sample fleet's agreements, and what the simulated cloud sells: asked for in earnest, as a worker does."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from django.utils import timezone

from workspaces.models import BillingAgreement, Organization, PriceOverride, ProviderAccount
from workspaces.operations import profiles

# clause, component, condition (a pattern, a profile or "", then perhaps "@" and a location), percent of list or amount
type Clauses = tuple[tuple[str, str, str, str], ...]

# Setting up costs something, but not for CCX; what is there at all times is cheaper.
KESTREL: Clauses = (
    ("1.1", "setup", "", "4.00"),
    ("1.2", "setup", "ccx*", "0"),
    ("2.1", "hourly", "ccx*", "88 %"),
    ("2.2", "monthly", "ccx*", "88 %"),
    ("2.3", "hourly", "cpx*", "92 %"),
    ("2.4", "monthly", "cpx*", "92 %"),
    ("3.1", "traffic", "", "0.80"),
    ("3.2", "backup", "ccx*", "90 %"),
)
# What was in force before, a little dearer.
KESTREL_BEFORE: Clauses = (
    ("1", "setup", "", "4.00"),
    ("2", "hourly", "ccx*", "95 %"),
    ("3", "monthly", "ccx*", "95 %"),
)
# One size at one place, on top of the rest: it takes the price from the clauses for the family.
KESTREL_EXTRA: Clauses = (
    ("1", "hourly", "ccx33@fsn1", "0.0750"),
    ("2", "monthly", "ccx33@fsn1", "46.90"),
    ("3", "traffic", "@fsn1", "0.70"),
)
FJORDLINE: Clauses = (
    ("4.1", "hourly", "", "94 %"),
    ("4.2", "monthly", "", "94 %"),
    ("4.3", "hourly", "cpx*@hel1", "90 %"),
    ("4.4", "monthly", "cpx*@hel1", "90 %"),
    ("4.5", "primary_ip", "", "0.40"),
)
MERIDIAN: Clauses = (
    ("A.1", "setup", "", "9.90"),
    ("A.2", "monthly", "ccx*", "85 %"),
    ("A.3", "hourly", "ccx*", "85 %"),
    ("A.4", "backup", "", "50 %"),
)
# Hourly and monthly prices never fall below these, whatever the percentage.
MINIMA = {"KF-2026-03": {"2.3": "0.0100", "2.4": "6.00"}, "MH-2025-07": {"A.4": "1.00"}}
# Days from today until an agreement ends, where somebody has to see to it.
SOON = 19
# Servers that each cloud project may have.
SERVER_LIMITS = {"Kestrel Freight": 60, "Fjordline Energy": 50, "Meridian Health": 45}


def agree() -> None:
    """The contracts: one that has ended, one that ends soon, two that hold at the same time."""
    soon = timezone.now().date() + timedelta(days=SOON)
    for number, organization, start, end, clauses in (
        ("KF-2025-01", "Kestrel Freight", date(2025, 3, 1), date(2026, 3, 1), KESTREL_BEFORE),
        ("KF-2026-03", "Kestrel Freight", date(2026, 3, 1), date(2027, 4, 1), KESTREL),
        ("KF-2026-09", "Kestrel Freight", date(2026, 9, 1), None, KESTREL_EXTRA),
        ("FE-2026-01", "Fjordline Energy", date(2026, 1, 1), soon, FJORDLINE),
        ("MH-2025-07", "Meridian Health", date(2025, 7, 1), None, MERIDIAN),
    ):
        agreement = BillingAgreement.objects.create(
            organization=Organization.objects.get(name=organization), number=number, valid_from=start, valid_until=end
        )
        minima = MINIMA.get(number, {})
        for clause in clauses:
            _clause(agreement, *clause, minima.get(clause[0]))


def _clause(
    agreement: BillingAgreement, number: str, component: str, where: str, price: str, minimum: str | None
) -> None:
    condition, _, location = where.partition("@")
    amount, _, percent = price.partition(" ")
    PriceOverride.objects.create(
        agreement=agreement,
        clause=number,
        component=component,
        profile="" if "*" in condition else condition,
        family=condition if "*" in condition else "",
        location=location,
        kind="percent" if percent else "fixed",
        amount=Decimal(amount),
        minimum=Decimal(minimum) if minimum else None,
    )


def ask() -> None:
    """Ask each cloud project what it sells, so that all prices are known at once. Raises ProviderError."""
    for account in ProviderAccount.objects.order_by("name"):
        profiles.look(account, timezone.now())
