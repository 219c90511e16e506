"""`manage.py orphans`: servers that no host has and hosts that have no server, account by account, as last looked at.

Nothing is asked and nothing deleted here: looking is reconciliation's, deleting a person's on the page.
"""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from workspaces.management.told import Told
from workspaces.models import Account
from workspaces.models.left_servers import AccountLook, Left, Missing, accounts_seen, looks_of
from workspaces.rules.pricing import shown


class Command(BaseCommand):
    """Lists."""

    help = "List servers that nobody uses and hosts without a server, with what they cost a month."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """One thing to do."""
        does = parser.add_subparsers(dest="action", required=True)
        listing = does.add_parser("list", help="every provider account, as last looked at")
        listing.add_argument("--account", metavar="NAME", help="this provider account only")
        listing.add_argument("--json", action="store_true", dest="as_json", help="JSON instead of words")

    def handle(self, *args: Any, **options: Any) -> None:
        """Tell it."""
        everybody = Account(is_superuser=True)  # whoever runs commands sees all organizations
        accounts = accounts_seen(everybody).order_by("organization__name", "name")
        if options["account"] is not None:
            accounts = accounts.filter(name=options["account"])
            if not accounts.exists():
                raise CommandError(f"There is no provider account {options['account']}.")
        with Told(self.stdout, as_json=options["as_json"]) as told:
            for look in looks_of(accounts, everybody, timezone.now()):
                told.add(_document(look), _words(look))


# --- JSON -------------------------------------------------------------------------------------------------------------
def _document(look: AccountLook) -> dict[str, Any]:
    account = look.account
    return {
        "account": account.name,
        "organization": account.organization.name,
        "observed_at": _at(account.observed_at),
        "known": look.known,
        "error": account.error_message,
        "left_servers": [_left(one) for one in look.left],
        "hosts_without_server": [_missing(one) for one in look.missing],
        "monthly": [
            {"currency": one.currency, "list": f"{one.list:f}", "agreed": f"{one.agreed:f}"} for one in look.sums
        ],
        "unpriced": look.unpriced,
    }


def _left(one: Left) -> dict[str, Any]:
    server, quote = one.server, one.quote
    return {
        "id": server.provider_id,
        "name": server.name,
        "profile": server.profile,
        "location": server.location,
        "status": server.status,
        "workspace": one.label,
        "other_installation": one.foreign,
        "created_at": _at(server.created_at),
        "first_seen_at": _at(server.first_seen_at),
        "observed_at": _at(server.observed_at),
        "monthly": {
            "currency": quote.currency,
            "list": f"{quote.list_monthly_total:f}",
            "agreed": f"{quote.monthly_total:f}",
        }
        if quote
        else None,
    }


def _missing(one: Missing) -> dict[str, Any]:
    host = one.host
    return {
        "workspace": host.workspace.name,
        "host": host.name,
        "server": host.provider_id,
        "state": "gone" if one.gone else "never_made",
    }


def _at(moment: datetime | None) -> str | None:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else None


# --- Words ------------------------------------------------------------------------------------------------------------
def _words(look: AccountLook) -> list[str]:
    account = look.account
    seen = f"as of {_at(account.observed_at)}" if account.observed_at else "never looked at"
    lines = [f"{account} of {account.organization}, {seen}"]
    if account.error_code:
        lines.append(f"  cannot be asked: {account.error_message}")
    lines += [f"  {_left_in_words(one)}" for one in look.left]
    lines += [f"  {_missing_in_words(one)}" for one in look.missing]
    lines += [f"  together {one.currency} {shown(one.agreed)} a month" for one in look.sums if len(look.left) > 1]
    if not look.found and look.known:
        lines.append("  no server is left, and no host is without one")
    return lines


def _left_in_words(one: Left) -> str:
    server, quote = one.server, one.quote
    price = f"{quote.currency} {shown(quote.monthly_total)} a month" if quote else "price not known"
    whose = "another installation's, perhaps" if one.foreign else f"made for {one.workspace or one.label}"
    since = _at(server.first_seen_at)
    return (
        f"server {server.name} ({server.provider_id}), {server.profile} in {server.location}, {server.status}, "
        f"{whose}, left since {since}: {price}"
    )


def _missing_in_words(one: Missing) -> str:
    what = f"its server {one.host.provider_id} is gone" if one.gone else "it never got a server"
    return f"host {one.host} of {one.host.workspace}: {what}"
