"""Two or three compute profiles side by side: how they differ, and which is cheaper for how many hours of a month."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Final, NamedTuple
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from workspaces.models.price_list import Offer, PriceList, ProfileOffers, price_list
from workspaces.rules.pricing import PriceLine, Quote, monthly_estimate
from workspaces.views import profile_query
from workspaces.views.access import login_required
from workspaces.views.money import HOURLY, difference, money, set_by
from workspaces.views.profile_facts import trouble_of
from workspaces.views.profile_reading import read
from workspaces.views.profile_rows import gigabytes, reason_not
from workspaces.views.workspaces import status_of

MOST: Final = 3
# The longest month has 31 days.
MONTH: Final = 744
HOURS: Final = 160
_TERABYTE: Final = Decimal(1024**4)
_COMPONENTS: Final = (
    ("setup", "Setup, once", 2),
    ("hourly", "Per hour", HOURLY),
    ("monthly", "Per month at most", 2),
    ("primary_ip", "IPv4 address, per month", 2),
    ("backup", "Backup, per month where it is on", 2),
    ("traffic", "Traffic beyond the included, per TB", 2),
)


class Cell(NamedTuple):
    """A value, and below it how it differs from the first profile or who set it. `name` is that of the profile."""

    value: str
    note: str = ""
    best: bool = False
    name: str = ""


class Line(NamedTuple):
    """One property of all profiles; `differs`: not all are alike."""

    title: str
    cells: list[Cell]
    differs: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A compared profile at the location; without an offer and its quote it was never sold there."""

    pk: UUID
    name: str
    why_not: str
    offers: ProfileOffers
    offer: Offer | None
    quote: Quote | None


@login_required
@require_safe
def compare(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The profiles of `?profile=` (repeated, the first three count), priced at `location` for `hours` of a month."""
    seen, now = read(request, pk, need="price.view"), timezone.now()
    workspace = seen.workspace
    prices = price_list(workspace, now, inactive=True)
    query = profile_query.parse(request).placed(prices, workspace.location)
    columns = columns_of(prices, request.GET.getlist("profile"), query.location, now)
    asked = request.GET.get("hours", "")
    hours = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 5 else HOURS
    hours = min(max(hours, 1), MONTH)
    context = {
        "nav": "fleet",
        "workspace": workspace,
        "now": now,
        "keys": seen.keys,
        "status": status_of(workspace, now),
        "query": query,
        "locations": profile_query.locations_of(prices),
        "columns": columns,
        "left_out": max(0, len(set(request.GET.getlist("profile"))) - MOST),
        "hours": hours,
        "month": MONTH,
        "trouble": trouble_of(prices, now),
    }
    if columns:
        context |= {
            "machine": _named(machine_lines(columns), columns),
            "costs": _named(cost_lines(columns), columns),
            "estimates": _named(estimate_lines(columns, hours), columns),
            "verdict": verdict(columns, hours),
        }
    return render(request, "workspaces/profiles_compare.html", context)


def columns_of(prices: PriceList, asked: Sequence[str], location: str, now: datetime) -> list[Column]:
    """The asked profiles in that order, each once, at most three; what is not of this list is left out."""
    known = {str(one.profile.pk): one for one in prices.profiles}
    found = [known[key] for key in dict.fromkeys(asked) if key in known][:MOST]
    columns = []
    for one in found:
        offer = one.at(location)
        why_not = reason_not(one, location, now)
        columns.append(Column(one.profile.pk, one.profile.name, why_not, one, offer, offer.quote if offer else None))
    return columns


def _named(lines: Sequence[Line], columns: Sequence[Column]) -> list[Line]:
    """Small screens show the profile's name in each cell."""
    return [
        line._replace(cells=[cell._replace(name=one.name) for cell, one in zip(line.cells, columns, strict=True)])
        for line in lines
    ]


# --- What they are ----------------------------------------------------------------------------------------------------
def machine_lines(columns: Sequence[Column]) -> list[Line]:
    """Size, kind, and where they can be had."""
    profiles = [column.offers.profile for column in columns]
    return [
        _numbers("vCPU", [Decimal(one.cores) for one in profiles], ""),
        _line("Kind", [Cell(_kind(one.cpu_type, one.architecture)) for one in profiles]),
        _numbers("Memory", [one.memory_gb for one in profiles], " GB"),
        _numbers("Disk", [Decimal(one.disk_gb) for one in profiles], " GB"),
        _line("Storage", [Cell(one.storage_type or "not known") for one in profiles]),
        _line("Included traffic", [Cell(_traffic(column)) for column in columns]),
        _line("Available in", [_available(column) for column in columns]),
    ]


def _line(title: str, cells: list[Cell]) -> Line:
    return Line(title, cells, len({cell.value for cell in cells}) > 1)


def _numbers(title: str, values: list[Decimal], unit: str) -> Line:
    """Each beside the first: `8`, `+4`."""
    cells = []
    for number, value in enumerate(values):
        more = value - values[0]
        note = "" if number == 0 or not more else f"{'+' if more > 0 else '\u2212'}{gigabytes(abs(more))}{unit}"
        cells.append(Cell(f"{gigabytes(value)}{unit}", note))
    return _line(title, cells)


def _kind(cpu: str, architecture: str) -> str:
    return ", ".join(word for word in (f"{cpu} vCPU" if cpu else "", architecture) if word)


def _traffic(column: Column) -> str:
    included = column.offer.row.included_traffic if column.offer else 0
    return f"{gigabytes((Decimal(included) / _TERABYTE).quantize(Decimal('0.1')))} TB" if included else "none"


def _available(column: Column) -> Cell:
    offers = column.offers.offers if column.offers.profile.active else ()
    places = ", ".join(one.location for one in offers if one.available)
    unknown = ", ".join(one.location for one in offers if one.available is None)
    return Cell(
        places or ("not known" if unknown else "nowhere"), f"not known: {unknown}" if places and unknown else ""
    )


# --- What they cost ---------------------------------------------------------------------------------------------------
def cost_lines(columns: Sequence[Column]) -> list[Line]:
    """The components, agreed, with list and clause below; those that none of them has are left out."""
    lines = []
    for component, title, places in _COMPONENTS:
        found = [column.quote.line(component) if column.quote else None for column in columns]
        if any(line is not None and (line.list or line.agreed) for line in found):
            cells = [_component(line, places) for line in found]
            lines.append(_line(title, cells))
    return lines


def _component(line: PriceLine | None, places: int) -> Cell:
    if line is None:
        return Cell("not known")
    note = f"list {money(line.list, line.currency, places)}, {set_by(line)}" if line.agreed != line.list else ""
    return Cell(money(line.agreed, line.currency, places), note)


def estimate_lines(columns: Sequence[Column], hours: int) -> list[Line]:
    """What so many hours cost, and a whole month; from when on an hour more costs nothing; per vCPU and per GB."""
    return [
        _estimate(f"{hours} hour{'' if hours == 1 else 's'} of a month", columns, lambda quote: _hours(quote, hours)),
        _estimate("A whole month", columns, lambda quote: _hours(quote, MONTH)),
        _line("Capped after", [Cell(_capped(column.quote)) for column in columns]),
        _estimate("A whole month, per vCPU", columns, lambda quote: _hours(quote, MONTH), lambda c: Decimal(c.cores)),
        _estimate("A whole month, per GB of memory", columns, lambda quote: _hours(quote, MONTH), lambda c: c.memory),
    ]


def _hours(quote: Quote, hours: int) -> Decimal:
    return monthly_estimate(quote.hourly, quote.monthly, hours)


def _estimate(
    title: str,
    columns: Sequence[Column],
    cost: Callable[[Quote], Decimal],
    share: Callable[[_Size], Decimal] = lambda _: Decimal(1),
) -> Line:
    amounts = [None if column.quote is None else cost(column.quote) / share(_size(column)) for column in columns]
    known = [amount for amount in amounts if amount is not None]
    one_currency = len({column.quote.currency for column in columns if column.quote}) == 1
    cells = []
    for column, amount in zip(columns, amounts, strict=True):
        if column.quote is None or amount is None:
            cells.append(Cell("not known"))
            continue
        first = amounts[0]
        note = difference(amount - first, column.quote.currency) if first is not None and one_currency else ""
        best = one_currency and len(known) > 1 and amount == min(known) and min(known) != max(known)
        cells.append(Cell(money(amount, column.quote.currency), "" if column is columns[0] else note, best))
    return _line(title, cells)


class _Size(NamedTuple):
    cores: int
    memory: Decimal


def _size(column: Column) -> _Size:
    return _Size(max(1, column.offers.profile.cores), column.offers.profile.memory_gb or Decimal(1))


def _capped(quote: Quote | None) -> str:
    """The first hour at which the month's price is reached."""
    if quote is None or quote.hourly <= 0:
        return "not known" if quote is None else "at once"
    hours = int((quote.monthly / quote.hourly).to_integral_value(ROUND_CEILING))
    return f"{hours} hours" if hours <= MONTH else "never within a month"


def verdict(columns: Sequence[Column], hours: int) -> str:
    """Which is cheapest, in a sentence; where that cannot be told, why."""
    quotes = [(column.name, column.quote) for column in columns if column.quote is not None]
    if len(columns) < 2:
        return "One profile alone: tick two or three to compare them."
    if len(quotes) < len(columns):
        return "Not all of them have a price at this location."
    if len({quote.currency for _, quote in quotes}) > 1:
        return "They are priced in different currencies, so none is called the cheapest."
    part, whole = (_cheapest(quotes, length) for length in (hours, MONTH))
    length = f"{hours} hour{'' if hours == 1 else 's'}"
    if part.names == whole.names:
        return f"{part.words}: {part.amount} for {length}, {whole.amount} for a whole month."
    return f"{length}: {part.words}, {part.amount}. A whole month: {whole.words}, {whole.amount}."


class _Cheapest(NamedTuple):
    names: list[str]
    words: str
    amount: str


def _cheapest(quotes: Sequence[tuple[str, Quote]], hours: int) -> _Cheapest:
    costs = [(name, _hours(quote, hours)) for name, quote in quotes]
    least = min(cost for _, cost in costs)
    names = [name for name, cost in costs if cost == least]
    words = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} cheapest"
    return _Cheapest(
        names, "all cost the same" if len(names) == len(costs) else words, money(least, quotes[0][1].currency)
    )
