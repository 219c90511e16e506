"""What stands above the table of compute profiles: the agreements, what they change, what the workspace costs now, and
how old the knowledge is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.conf import settings

from workspaces.models import BillingAgreement, Host
from workspaces.models.price_list import PriceList
from workspaces.rules.pricing import Quote
from workspaces.templatetags.console import ago, clock, day
from workspaces.views.money import money
from workspaces.views.profile_dates import date_of, days
from workspaces.views.profile_effects import Effect

NAMED = 3


class Fact(NamedTuple):
    """A headline value and the line below it."""

    title: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why availability is not known as a whole, and what is shown in place of it. `loud`: somebody has to act."""

    title: str
    text: str
    loud: bool


def facts_of(
    prices: PriceList, hosts: Sequence[Host], effects: Mapping[str, Effect], now: datetime
) -> tuple[Fact, Fact, Fact, Fact]:
    """The four of the page."""
    return (
        _agreements(prices.agreements, now.astimezone(UTC).date()),
        _changes(effects, bool(prices.agreements)),
        _now(hosts, prices),
        _availability(prices, now),
    )


def _agreements(agreements: Sequence[BillingAgreement], today: date) -> Fact:
    if not agreements:
        return Fact("Agreement", "None", "list prices apply")
    title = "Agreement" if len(agreements) == 1 else f"{len(agreements)} agreements"
    value = ", ".join(one.number for one in agreements[:NAMED])
    ends = "; ".join(_validity(one, today, named=len(agreements) > 1) for one in agreements[:NAMED])
    more = f"; and {len(agreements) - NAMED} more" if len(agreements) > NAMED else ""
    return Fact(title, value, f"{ends}{more}")


def _validity(agreement: BillingAgreement, today: date, *, named: bool) -> str:
    """Until its last day: `valid_until` is the first on which it no longer holds."""
    name = f"{agreement.number} " if named else ""
    until = agreement.valid_until
    if until is None:
        return f"{name}valid without an end"
    left = (until - today).days
    return f"{name}valid to {date_of(until - timedelta(days=1))}, {days(left)} left"


def _changes(effects: Mapping[str, Effect], agreements: bool) -> Fact:
    changed = [f"{family.upper()} {effect.short}".strip() for family, effect in effects.items() if effect.short]
    setups = [f"{effect.setup} on {family.upper()}" for family, effect in effects.items() if effect.setup]
    more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
    value = ", ".join(changed[:NAMED]) + more if changed else "Nothing by the month"
    detail = ", ".join(setups[:NAMED]) or ("monthly price against list" if changed else "")
    if not agreements:
        value, detail = "Nothing", "no agreement holds today"
    return Fact("What it changes", value, detail)


def _availability(prices: PriceList, now: datetime) -> Fact:
    if prices.account is None:
        return Fact("Availability", "Not known", "no provider account")
    checked = prices.checked_at
    if checked is None:
        return Fact("Availability", "Not known", f"{prices.account.name} was never asked")
    value = "Not known" if trouble_of(prices, now) else f"Checked {_told(checked, now)} UTC"
    return Fact("Availability", value, f"told {ago(checked, now)}, with the token of {prices.account.name}")


def trouble_of(prices: PriceList, now: datetime) -> Trouble | None:
    """Why availability is not known as a whole; None when it is."""
    if prices.account is None:
        return None
    account, checked = prices.account.name, prices.checked_at
    since = f"Prices are those of {_told(checked, now)} UTC, {ago(checked, now)}." if checked else "No price is known."
    if prices.error:
        text = f"{prices.error.rstrip('.')}. {since} An order asks again before it makes anything."
        return Trouble(f"The provider could not be asked with the token of {account}", text, loud=True)
    if checked is None:
        return Trouble(f"{account} was not asked yet", "Profiles and prices are shown when it was.", loud=False)
    if now - checked > timedelta(seconds=3 * settings.LOOPBACK_PROFILES_SECONDS):
        text = f"{since} What can be had may have changed since. An order asks again before it makes anything."
        return Trouble("Availability was not asked for lately", text, loud=True)
    return None


def _told(at: datetime, now: datetime) -> str:
    """`14:25` of today, else with its day."""
    return clock(at) if at.astimezone(UTC).date() == now.astimezone(UTC).date() else f"{day(at)} {clock(at)}"


# --- What it costs now ------------------------------------------------------------------------------------------------
class _Sum(NamedTuple):
    agreed: Decimal
    list: Decimal


def _now(hosts: Sequence[Host], prices: PriceList) -> Fact:
    """All hosts at most a month, with IPv4 addresses. What has no known price is counted, never taken as nothing."""
    known = quotes_of(hosts, prices)
    unknown = len(hosts) - len(known)
    totals: dict[str, _Sum] = {}
    for quote in known.values():
        before = totals.get(quote.currency, _Sum(Decimal(0), Decimal(0)))
        totals[quote.currency] = _Sum(before.agreed + quote.monthly_total, before.list + quote.list_monthly_total)
    counted = Counter(host.profile or "unknown profile" for host in hosts)
    what = (
        [", ".join(f"{number} {profile}" for profile, number in counted.most_common(NAMED))] if hosts else ["no hosts"]
    )
    what += [f"and {len(counted) - NAMED} more profiles"] if len(counted) > NAMED else []
    what += ["list " + " and ".join(money(s.list, currency) for currency, s in totals.items())] if totals else []
    what += [f"without {unknown} host{'' if unknown == 1 else 's'} of unknown price"] if unknown and totals else []
    value = " and ".join(f"{money(s.agreed, currency)} / month" for currency, s in totals.items())
    return Fact("This workspace now", value or ("Not known" if hosts else "Nothing"), ", ".join(what))


def quotes_of(hosts: Iterable[Host], prices: PriceList) -> dict[str, Quote]:
    """The quotes of those hosts whose price this account's list knows, by their names."""
    account = prices.account.pk if prices.account else None
    by_name = {one.profile.name: one for one in prices.profiles}
    found = {}
    for host in hosts:
        offers = by_name.get(host.profile) if host.provider_account_id == account else None
        if offers and (offer := offers.at(host.location)):
            found[host.name] = offer.quote
    return found


def used_by(hosts: Iterable[Host]) -> dict[str, str]:
    """The hosts of each profile in words, by its name: `ledger-prod-w1, ledger-prod-w2 and 2 more`."""
    names: dict[str, list[str]] = {}
    for host in hosts:
        if host.profile:
            names.setdefault(host.profile, []).append(host.name)
    return {
        profile: ", ".join(mine[:2]) + (f" and {len(mine) - 2} more" if len(mine) > 2 else "")
        for profile, mine in names.items()
    }
