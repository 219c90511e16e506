"""`manage.py profiles`: ask the providers what they sell, and list what they told the last time.

What asking means is in `operations/profiles`; the scheduler does it by itself every few minutes.
"""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from django.utils import timezone

from workspaces.management.told import Told
from workspaces.models import Actor, ProfileLocation, ProviderAccount, acting
from workspaces.models.price_list import available_at
from workspaces.operations import profiles
from workspaces.operations.profiles import Synced

_AVAILABLE = {True: "available", False: "not available", None: "not known whether available"}


class Command(BaseCommand):
    """Asks and lists."""

    help = "Ask the providers for server types, prices and availability, or list what they told."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One of the two, for all accounts or for one."""
        does = parser.add_subparsers(dest="action", required=True)
        sync = does.add_parser("sync", help="ask now; the exit status says whether all could be asked")
        sync.add_argument("--dry-run", action="store_true", help="tell what would change, and change nothing")
        for one in (sync, does.add_parser("list", help="profiles at each location, with list prices")):
            one.add_argument("--account", metavar="NAME", help="name or id of a provider account; default: all")
            one.add_argument("--json", action="store_true", dest="as_json", help="JSON instead of words")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, as this command."""
        accounts = _accounts(options["account"])
        now = timezone.now()
        with acting(Actor.of_command("profiles")):
            if options["action"] == "list":
                self._list(accounts, now, as_json=options["as_json"])
            else:
                self._sync(accounts, now, options)

    def _sync(self, accounts: Iterable[ProviderAccount], now: datetime, options: dict[str, Any]) -> None:
        failed = []
        with Told(self.stdout, as_json=options["as_json"]) as told:
            for account in accounts:
                synced = profiles.sync(account, now, dry_run=options["dry_run"])
                told.add(_synced(account, synced, options), [_in_words(account, synced, options)])
                failed += [account.name] if synced.error else []
        if failed:
            raise CommandError(f"Could not be asked: {', '.join(failed)}.")

    def _list(self, accounts: QuerySet[ProviderAccount], now: datetime, *, as_json: bool) -> None:
        rows = ProfileLocation.objects.filter(profile__provider_account__in=accounts)
        with Told(self.stdout, as_json=as_json) as told:
            for row in rows.select_related("profile__provider_account__organization").order_by(
                "profile__provider_account__name", "profile__provider_account", "profile__name", "location"
            ):
                document = _document(row, now)
                told.add(document, [_listed(row, document)])


def _accounts(named: str | None) -> QuerySet[ProviderAccount]:
    """All, or those of that name (one in each organization) or id; CommandError with the known ones for none."""
    accounts = ProviderAccount.objects.select_related("organization").order_by("name", "pk")
    if named is None:
        return accounts
    keys = [key for key, name in accounts.values_list("pk", "name") if named in (name, str(key))]
    if not keys:
        known = ", ".join(sorted(set(accounts.values_list("name", flat=True)))) or "none"
        raise CommandError(f"There is no provider account {named}. Known: {known}.")
    return accounts.filter(pk__in=keys)


def _synced(account: ProviderAccount, synced: Synced, options: dict[str, Any]) -> dict[str, Any]:
    return {
        "account": account.name,
        "id": str(account.pk),
        "organization": account.organization.name,
        "added": synced.added,
        "changed": synced.changed,
        "withdrawn": synced.withdrawn,
        "locations": synced.locations,
        "error": synced.error,
        "dry_run": options["dry_run"],
    }


def _in_words(account: ProviderAccount, synced: Synced, options: dict[str, Any]) -> str:
    if synced.error:
        return f"{account.name} ({account.organization}): {synced.error}"
    would = "would be " if options["dry_run"] else ""
    parts = [
        f"{would}{word}: {', '.join(names)}"
        for word in ("added", "changed", "withdrawn")
        if (names := getattr(synced, word))
    ]
    return f"{account.name} ({account.organization}): {'; '.join(parts) or 'nothing has changed'}"


def _document(row: ProfileLocation, now: datetime) -> dict[str, Any]:
    profile = row.profile
    prices = {name: getattr(row, name) for name in ("hourly", "monthly", "traffic", "backup", "primary_ip")}
    return {
        "account": profile.provider_account.name,
        "organization": profile.provider_account.organization.name,
        "profile": profile.name,
        "location": row.location,
        "active": profile.active,
        "available": available_at(row, now),
        "checked_at": _time(row.checked_at),
        "unavailable_after": _time(row.unavailable_after),
        "currency": row.currency,
        **{name: None if amount is None else f"{amount:f}" for name, amount in prices.items()},
    }


def _listed(row: ProfileLocation, document: dict[str, Any]) -> str:
    parts = [
        _AVAILABLE[document["available"]] + (f" as of {document['checked_at']}" if row.checked_at else ""),
        f"{row.hourly.normalize():f} {row.currency} an hour, at most {row.monthly.normalize():f} a month",
    ]
    if not row.profile.active:
        parts.append("not offered")
    if row.unavailable_after:
        parts.append(f"until {document['unavailable_after']}")
    return f"{document['account']}: {row.profile.name} in {row.location}: {', '.join(parts)}"


def _time(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None
