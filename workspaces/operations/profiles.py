"""Asking the providers what they sell: server types become profiles, with prices and availability at each location.

Nothing that was ever told is deleted, as hosts have it: what is listed no more is switched off. What could not be asked
keeps its prices and is not known to be available. What it then costs is decided in `rules/pricing.py`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Model

from workspaces.models import ComputeProfile, ProfileLocation, ProviderAccount
from workspaces.operations import connections, dispatch
from workspaces.providers.errors import ProviderError, Temporary
from workspaces.providers.hetzner_values import Offer, Pricing, ServerType
from workspaces.rules.pricing import percentage, stored

logger = logging.getLogger(__name__)

# Columns that a sync may change, but for `available` and the times.
_FACTS: Final = (
    "family",
    "cores",
    "memory_gb",
    "disk_gb",
    "architecture",
    "cpu_type",
    "storage_type",
    "active",
    "withdrawn_at",
)
_TOLD: Final = (
    "recommended",
    "announced_at",
    "unavailable_after",
    "currency",
    "hourly",
    "monthly",
    "traffic",
    "included_traffic",
    "backup",
    "primary_ip",
)
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync has changed, by the profiles' names, and at how many locations; or why nothing could be asked.

    `added` are new or offered again, `changed` cost something else, are something else or can be had elsewhere.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    locations: int = 0
    error: str = ""


def sync_all() -> None:
    """Start a job for each provider account."""
    keys = [str(key) for key in ProviderAccount.objects.order_by("pk").values_list("pk", flat=True)]
    # What no worker has come to until the next round is due is asked by that one.
    dispatch.fan_out("workspaces.jobs.sync_profiles", keys, ttl=max(1, round(settings.LOOPBACK_PROFILES_SECONDS)))


def sync(account: ProviderAccount, now: datetime, *, dry_run: bool = False) -> Synced:
    """Ask the provider and write what has changed. Raises nothing: why it could not be asked is written too."""
    try:
        return look(account, now, dry_run=dry_run)
    except ProviderError as error:
        logger.warning("The server types of %s could not be asked: %s", account, error.message)
        return Synced(error=error.message)


def look(account: ProviderAccount, now: datetime, *, dry_run: bool = False) -> Synced:
    """The same for who has to know: raises the ProviderError, after it was written down. `now` is before the question.

    `dry_run` asks and tells what would change, and writes nothing.
    """
    try:
        cloud = connections.cloud(account)
        kinds, pricing = cloud.server_types(), cloud.pricing()
        if not kinds:
            # Somebody's outage: to believe it would switch off everything.
            raise Temporary("cloud_api", "Hetzner Cloud lists no server types at all.")
    except ProviderError as error:
        if not dry_run:
            _note_trouble(account, error, now)
        raise
    with transaction.atomic():
        synced = keep(account, kinds, pricing, now)
        transaction.set_rollback(dry_run)
    if not dry_run:
        account.refresh_from_db(fields=("profiles_checked_at", "profiles_error_code", "profiles_error"))
    return synced


def _note_trouble(account: ProviderAccount, error: ProviderError, now: datetime) -> None:
    """Nothing is known to be available from here on. Prices stay, and so does when they were told."""
    with transaction.atomic():
        if _told_since(account, now):
            return
        rows = ProfileLocation.objects.filter(profile__provider_account=account, available__isnull=False)
        rows.update(available=None)
        account.profiles_error_code, account.profiles_error = error.code, error.message
        account.save(update_fields=("profiles_error_code", "profiles_error"))


def _told_since(account: ProviderAccount, now: datetime) -> bool:
    """Whether somebody else has asked later than `now`, and was faster. Locks the account."""
    locked = ProviderAccount.objects.select_for_update(no_key=True).filter(pk=account.pk)
    told = locked.values_list("profiles_checked_at", flat=True).get()
    return told is not None and told > now


# --- What was told ----------------------------------------------------------------------------------------------------
def keep(account: ProviderAccount, kinds: Iterable[ServerType], pricing: Pricing, now: datetime) -> Synced:
    """Write what the provider lists at `now`, in the caller's transaction; only rows that differ, and the times."""
    if _told_since(account, now):
        return Synced()
    listed = {kind.name: kind for kind in kinds}
    profiles = {row.name: row for row in account.profiles.all()}
    added, differing = _profiles(account, profiles, listed, now)
    withdrawn = sorted(row.name for row in differing if not row.active and row.name not in listed)
    locations = _locations(profiles, listed, pricing)
    times = {"profiles_checked_at": now, "profiles_error_code": "", "profiles_error": ""}
    ProviderAccount.objects.filter(pk=account.pk).update(**times)
    account.profiles.update(synced_at=now)
    ProfileLocation.objects.filter(profile__provider_account=account).update(checked_at=now)
    changed = {row.name for row in differing} | set(locations)
    return Synced(
        added=tuple(sorted(added)),
        changed=tuple(sorted(changed - added - set(withdrawn))),
        withdrawn=tuple(withdrawn),
        locations=sum(locations.values()),
    )


def _profiles(
    account: ProviderAccount, profiles: dict[str, ComputeProfile], listed: Mapping[str, ServerType], now: datetime
) -> tuple[set[str], list[ComputeProfile]]:
    """Write the profiles; the names of those that are offered now and were not, and the rows that were there before."""
    new = [ComputeProfile(provider_account=account, name=name) for name in listed if name not in profiles]
    back = {row.name for row in profiles.values() if row.withdrawn_at is not None and row.name in listed}
    differing = []
    for row in profiles.values():
        if row.name in listed:
            facts = _facts(listed[row.name])
            # One that support has switched off was not withdrawn, and stays off.
            facts |= {"active": True, "withdrawn_at": None} if row.name in back else {}
        else:
            facts = {"active": False, "withdrawn_at": now} if row.active else {}
        if _set(row, facts):
            differing.append(row)
    for row in new:
        _set(row, _facts(listed[row.name]))
    ComputeProfile.objects.bulk_create(new, batch_size=_BATCH)
    ComputeProfile.objects.bulk_update(differing, _FACTS, batch_size=_BATCH)
    profiles |= {row.name: row for row in new}
    return back | {row.name for row in new}, differing


def _facts(kind: ServerType) -> dict[str, Any]:
    return {
        "family": family(kind.name),
        "cores": kind.cores,
        "memory_gb": Decimal(str(kind.memory)).quantize(Decimal("0.01")),
        "disk_gb": kind.disk,
        "architecture": kind.architecture,
        "cpu_type": kind.cpu_type or "",
        "storage_type": kind.storage_type or "",
    }


def family(name: str) -> str:
    """The family of a server type: the letters that its name begins with."""
    letters = re.match(r"[A-Za-z]*", name)
    return letters[0].lower() if letters else ""


def _locations(
    profiles: Mapping[str, ComputeProfile], listed: Mapping[str, ServerType], pricing: Pricing
) -> Counter[str]:
    """Write the locations of all profiles; how many were added or differ, by the profile's name."""
    names = {profile.pk: name for name, profile in profiles.items()}
    told = {(name, offer.location): offer for name, kind in listed.items() for offer in kind.offers}
    new: list[ProfileLocation] = []
    differing: list[ProfileLocation] = []
    becoming: dict[bool | None, list[int]] = {}
    written: Counter[str] = Counter()
    for row in ProfileLocation.objects.filter(profile__in=names):
        name = names[row.profile_id]
        offer = told.pop((name, row.location), None)
        available = _available(offer)
        if differs := _set(row, _told(offer, pricing)):
            differing.append(row)
        if row.available is not available:
            becoming.setdefault(available, []).append(row.pk)
        written[name] += differs or row.available is not available
    for (name, location), offer in told.items():
        if offer.price:
            row = ProfileLocation(profile=profiles[name], location=location, available=offer.available)
            _set(row, _told(offer, pricing))
            new.append(row)
            written[name] += 1
    ProfileLocation.objects.bulk_create(new, batch_size=_BATCH)
    ProfileLocation.objects.bulk_update(differing, _TOLD, batch_size=_BATCH)
    for available, keys in becoming.items():
        ProfileLocation.objects.filter(pk__in=keys).update(available=available)
    return +written


def _available(offer: Offer | None) -> bool | None:
    """Not where it is listed no more; not known where it has no price, as nobody is to order it then."""
    if offer is None:
        return False
    return offer.available if offer.price else None


def _told(offer: Offer | None, pricing: Pricing) -> dict[str, Any]:
    """What the columns get; nothing where the type is not listed any more, and no prices where none is told."""
    if offer is None:
        return {}
    values: dict[str, Any] = {
        "recommended": offer.recommended,
        "announced_at": offer.announced,
        "unavailable_after": offer.unavailable_after,
    }
    if offer.price is None:
        return values
    address = pricing.primary_ipv4.get(offer.location)
    return values | {
        "currency": pricing.currency,
        "hourly": stored(offer.price.hourly),
        "monthly": stored(offer.price.monthly_cap),
        "traffic": stored(offer.price.traffic_per_tb),
        "included_traffic": offer.price.included_traffic,
        "backup": percentage(offer.price.monthly_cap, pricing.backup_percent),
        "primary_ip": None if address is None else stored(address),
    }


def _set(row: Model, values: Mapping[str, Any]) -> bool:
    """Set what differs; whether anything did."""
    differs = {name: value for name, value in values.items() if getattr(row, name) != value}
    for name, value in differs.items():
        setattr(row, name, value)
    return bool(differs)
