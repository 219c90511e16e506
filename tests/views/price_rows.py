"""Compute profiles, prices and an agreement as a sync leaves them: the provider account kestrel-cloud of the cast."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests import cast
from workspaces.models import (
    BillingAgreement,
    ComputeProfile,
    Host,
    PriceOverride,
    ProfileLocation,
    ProviderAccount,
    SshKey,
    Workspace,
)

CHECKED = cast.NOW - timedelta(minutes=7)
# name, cores, memory, disk, processor, architecture, an hour, a month
PROFILES = [
    ("ccx13", 2, 8, 80, "dedicated", "x86", "0.0232", "14.49"),
    ("ccx23", 4, 16, 160, "dedicated", "x86", "0.0457", "28.49"),
    ("ccx33", 8, 32, 240, "dedicated", "x86", "0.0905", "56.49"),
    ("ccx43", 16, 64, 360, "dedicated", "x86", "0.1803", "112.49"),
    ("cpx22", 2, 4, 80, "shared", "x86", "0.0120", "7.49"),
    ("cax21", 4, 8, 80, "shared", "arm", "0.0120", "7.49"),
]
LOCATIONS = ("fsn1", "hel1", "nbg1")


def account(name: str = "kestrel-cloud", of: str = "Kestrel Freight", **fields: Any) -> ProviderAccount:
    """A cloud account that was asked seven minutes ago and has a key for new hosts."""
    key = SshKey.objects.get_or_create(name="workers", defaults={"private_key": "k"})[0]
    values = {"token": "t", "ssh_key": key, "profiles_checked_at": CHECKED} | fields
    return ProviderAccount.objects.create(organization=cast.organization(of), name=name, **values)


def profile(of: ProviderAccount, name: str, *, locations: tuple[str, ...] = LOCATIONS, **fields: Any) -> ComputeProfile:
    """One of PROFILES, or another with the `fields` that differ, available at all its locations."""
    known = {row[0]: row for row in PROFILES}.get(name, (name, 2, 4, 40, "shared", "x86", "0.0100", "6.00"))
    _, cores, memory, disk, processor, architecture, hourly, monthly = known
    values = {
        "family": name.rstrip("0123456789"),
        "cores": cores,
        "memory_gb": memory,
        "disk_gb": disk,
        "cpu_type": processor,
        "architecture": architecture,
        "storage_type": "local",
        "synced_at": CHECKED,
    }
    made = ComputeProfile.objects.create(provider_account=of, name=name, **(values | fields))
    for place in locations:
        offer(made, place, hourly=hourly, monthly=monthly)
    return made


def offer(of: ComputeProfile, location: str, *, hourly: str, monthly: str, **fields: Any) -> ProfileLocation:
    """Prices of a profile at a location, as told seven minutes ago."""
    values = {
        "available": True,
        "checked_at": CHECKED,
        "currency": "EUR",
        "hourly": Decimal(hourly),
        "monthly": Decimal(monthly),
        "traffic": Decimal("1.00"),
        "included_traffic": 20 * 1024**4,
        "backup": Decimal(monthly) / 5,
        "primary_ip": Decimal("0.50"),
    }
    return ProfileLocation.objects.create(profile=of, location=location, **(values | fields))


def place(of: ComputeProfile, location: str, **fields: Any) -> None:
    """Change what is known of a profile at a location."""
    assert ProfileLocation.objects.filter(profile=of, location=location).update(**fields) == 1


def agreement(number: str = "KF-2026-03", *, until: date | None = date(2027, 4, 1)) -> BillingAgreement:
    """12 % off CCX by the month and the hour, by clauses 2 and 3."""
    made = BillingAgreement.objects.create(
        organization=cast.organization("Kestrel Freight"),
        number=number,
        valid_from=date(2026, 4, 1),
        valid_until=until,
    )
    for clause, component in (("2", "monthly"), ("3", "hourly")):
        PriceOverride.objects.create(
            agreement=made, clause=clause, component=component, family="ccx*", kind="percent", amount=88
        )
    return made


def on_account(workspace: Workspace, of: ProviderAccount, **fields: Any) -> list[Host]:
    """The workspace's hosts are servers of that account, the first with number 1001."""
    hosts = list(workspace.hosts.order_by("name"))
    for number, host in enumerate(hosts, start=1001):
        values = {"provider_account": of, "provider_id": number, "disk_gb": 160} | fields
        Host.objects.filter(pk=host.pk).update(**values)
    return list(workspace.hosts.order_by("name"))


def shelf(workspace: Workspace) -> dict[str, ComputeProfile]:
    """All PROFILES of the account on which the workspace's three ccx23 are, and the agreement, by name."""
    mine = account()
    on_account(workspace, mine)
    agreement()
    return {row[0]: profile(mine, row[0]) for row in PROFILES}


def aged(of: ProviderAccount, at: datetime | None) -> None:
    """As if the provider had last been asked `at`."""
    ProviderAccount.objects.filter(pk=of.pk).update(profiles_checked_at=at)
    ProfileLocation.objects.filter(profile__provider_account=of).update(checked_at=at)


def crowd(of: ProviderAccount, *, profiles: int, locations: int, clauses: int) -> list[ComputeProfile]:
    """So many profiles of five families at so many locations, and an agreement of so many clauses, in bulk."""
    families = ("ccx", "cpx", "cax", "cx", "gpx")
    made = ComputeProfile.objects.bulk_create(
        ComputeProfile(
            provider_account=of,
            name=f"{families[number % 5]}{number}",
            family=families[number % 5],
            cores=2 + number % 63,
            memory_gb=4 + number % 250,
            disk_gb=40 + number,
            architecture="arm" if number % 5 == 2 else "x86",
            cpu_type="dedicated" if number % 5 == 0 else "shared",
            storage_type="local",
        )
        for number in range(profiles)
    )
    places = ("fsn1", "nbg1", "hel1", "ash", "hil", "sin")[:locations]
    ProfileLocation.objects.bulk_create(
        ProfileLocation(
            profile=profile,
            location=place,
            available=(None, True, False, True)[(number + position) % 4],
            checked_at=CHECKED,
            currency="EUR",
            hourly=Decimal("0.0457") + number,
            monthly=Decimal("28.49") + number,
            traffic=Decimal(1),
            backup=Decimal("5.70"),
            primary_ip=Decimal("0.50"),
        )
        for number, profile in enumerate(made)
        for position, place in enumerate(places)
    )
    contract = BillingAgreement.objects.create(
        organization=of.organization, number="KF-2026-99", valid_from=date(2026, 1, 1)
    )
    PriceOverride.objects.bulk_create(
        PriceOverride(
            agreement=contract,
            clause=f"{number}",
            component=("monthly", "hourly", "traffic", "primary_ip")[number % 4],
            profile=made[number].name if number % 2 else "",
            family="" if number % 2 else f"{families[number % 5]}*",
            location=places[number % len(places)] if number % 3 == 0 else "",
            kind="percent",
            amount=80 + number % 20,
        )
        for number in range(clauses)
    )
    return made
