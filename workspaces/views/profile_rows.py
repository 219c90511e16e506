"""The table of compute profiles as plain values and ready cells: five hundred rows of it are printed in one page.

What is orderable is told from rows alone: where the provider could not be asked, nothing is shown as available.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from html import escape
from itertools import groupby
from typing import Final, NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString

from workspaces.models import ComputeProfile
from workspaces.models.price_list import Offer, PriceList, ProfileOffers
from workspaces.rules.pricing import PriceLine, Quote
from workspaces.views.money import HOURLY, money
from workspaces.views.profile_dates import date_of
from workspaces.views.profile_effects import Effect, effect_of
from workspaces.views.profile_query import ProfileQuery

_ARCHITECTURES: Final = {"x86": "x86", "arm": "Arm"}
_PROCESSORS: Final = {"dedicated": "Dedicated vCPU", "shared": "Shared vCPU"}
# Tone, icon and words of what is known about a profile at a location.
_KNOWN: Final = {
    True: ("ok", "check", "available in"),
    False: ("idle", "minus", "not available in"),
    None: ("warn", "help", "not known for"),
}


class Group(NamedTuple):
    """A family: its kind, what the agreements do to it, and its rows as markup."""

    title: str
    effect: str
    rows: SafeString


@dataclass(slots=True)
class Listing:
    """The table for one location: its columns, its groups, and what the agreements do to each family, by name."""

    locations: list[str]
    groups: list[Group]
    effects: dict[str, Effect]
    setup: bool
    count: int
    total: int
    has_chosen: bool

    @property
    def columns(self) -> int:
        """How many there are, for the rows that span them."""
        return 10 + 2 * self.setup + len(self.locations)

    @property
    def leading(self) -> int:
        """How many there are before the prices."""
        return 5


# A template would take twenty nodes for each of five hundred rows, which is half of what the page may take.
_ROW: Final = (
    '<tr{dim}><td><label class="check"><input type="radio" name="profile" value="{pk}" aria-label="{name}"{state}>'
    '</label></td><th scope="row"><span class="name mono">{name}</span>{remark}</th><td class="n" data-label="vCPU">'
    '{cores}</td><td class="n" data-label="Memory">{memory} GB</td><td class="n" data-label="Disk">{disk} GB</td>'
    '{prices}{marks}<td data-label="Compare"><span><label class="check"><input type="checkbox" name="profile" '
    'value="{pk}" form="compare" aria-label="Compare {name}"></label></span></td>'
    '<td class="only-small" data-label="Available in" data-wide>{places}</td></tr>\n'
)


@dataclass(slots=True)
class _Printer:
    """Writes the rows of a table; cells that are alike are made once."""

    query: ProfileQuery
    locations: Sequence[str]
    setup: bool
    used: Mapping[str, str]
    now: datetime
    _marks: dict[tuple[str, bool | None, bool], str] = field(default_factory=dict)

    def row(self, offers: ProfileOffers) -> str:
        """One profile as it stands at the location that was asked for: why it cannot be had, and what uses it."""
        profile, offer = offers.profile, offers.at(self.query.location)
        why_not = reason_not(offers, self.query.location, self.now)
        remarks = [f"used by {self.used[profile.name]}"] if profile.name in self.used else []
        remarks += [words] if (words := why_not or _unless_told(offer, self.now)) else []
        return _ROW.format(
            dim=' class="dim"' if why_not else "",
            pk=profile.pk,
            name=escape(profile.name),
            state=" disabled" * bool(why_not) + " checked" * (profile.pk == self.query.profile),
            remark=f'<span class="sub">{escape(". ".join(remarks))}</span>' if remarks else "",
            cores=profile.cores,
            memory=gigabytes(profile.memory_gb),
            disk=profile.disk_gb,
            prices=self._prices(offer.quote if offer else None),
            marks=self._all_marks(offers),
            places=escape(_places(offers)),
        )

    def _prices(self, quote: Quote | None) -> str:
        wanted = [("setup", "Setup", 2)] if self.setup else []
        wanted += [("hourly", "Hourly", HOURLY), ("monthly", "Monthly", 2)]
        return "".join(_price_cells(quote.line(one) if quote else None, title, places) for one, title, places in wanted)

    def _all_marks(self, offers: ProfileOffers) -> str:
        known = {offer.location: offer.available for offer in offers.offers}
        sold = offers.profile.active
        return "".join(
            self._mark(place, known.get(place, False) if sold else False, first=number == 0)
            for number, place in enumerate(self.locations)
        )

    def _mark(self, place: str, available: bool | None, *, first: bool) -> str:
        key = (place, available, first)
        if key not in self._marks:
            tone, icon, words = _KNOWN[available]
            self._marks[key] = format_html(
                '<td class="avail hide-small{}" data-tone="{}"><svg class="icon" aria-hidden="true"><use href="#i-{}"/>'
                '</svg><span class="visually-hidden">{} {}</span></td>',
                " pair-start" if first else "", tone, icon, words, place,
            )  # fmt: skip
        return self._marks[key]


def listing(
    prices: PriceList, query: ProfileQuery, locations: Sequence[str], used: Mapping[str, str], now: datetime
) -> Listing:
    """The rows that pass the filters, by family; `used` says which hosts have a profile, by its name."""
    offered = [one for one in prices.profiles if _is_listed(one.profile, used)]
    quotes: dict[str, list[Quote]] = {}
    for one in offered:
        if offer := one.at(query.location):
            quotes.setdefault(one.profile.family, []).append(offer.quote)
    setup = any(_has_setup(quote) for family in quotes.values() for quote in family)
    printer = _Printer(query, locations, setup, used, now)
    effects = {
        family: effect_of(quotes.get(family, []), agreements=bool(prices.agreements))
        for family in sorted({one.profile.family for one in offered})
    }
    shown = sorted((one for one in offered if query.shows(one)), key=_order)
    groups = [
        Group(_title(kind), _effect(family, effects[family]), SafeString("".join(map(printer.row, members))))
        for (kind, family), members in groupby(shown, key=lambda one: (_kind(one.profile), one.profile.family))
    ]
    chosen = any(one.profile.pk == query.profile for one in shown)
    return Listing(list(locations), groups, effects, setup, len(shown), len(offered), chosen)


def _is_listed(profile: ComputeProfile, used: Mapping[str, str]) -> bool:
    """Offered, or told to be withdrawn, or used here although support has switched it off."""
    return profile.active or profile.withdrawn_at is not None or profile.name in used


def _has_setup(quote: Quote) -> bool:
    line = quote.line("setup")
    return line is not None and bool(line.list or line.agreed)


def _kind(profile: ComputeProfile) -> tuple[str, str]:
    return profile.cpu_type, profile.architecture


def _order(one: ProfileOffers) -> tuple[object, ...]:
    """Dedicated before shared, x86 before Arm, then by family and size."""
    profile = one.profile
    kind = (profile.cpu_type != "dedicated", profile.architecture != "x86", profile.cpu_type, profile.architecture)
    return *kind, profile.family, profile.cores, profile.memory_gb, profile.name


def _title(kind: tuple[str, str]) -> str:
    processor, architecture = kind
    known = (_PROCESSORS.get(processor, processor), _ARCHITECTURES.get(architecture, architecture))
    return ", ".join(word for word in known if word) or "Other profiles"


def _effect(family: str, effect: Effect) -> str:
    return f"{family.upper()}, {effect.sentence}" if family else effect.sentence


def gigabytes(amount: Decimal) -> str:
    """`16` or `3.5`."""
    return f"{amount:f}".rstrip("0").rstrip(".") if "." in f"{amount:f}" else f"{amount:f}"


# --- Whether it can be had --------------------------------------------------------------------------------------------
def reason_not(offers: ProfileOffers, location: str, now: datetime, *, elsewhere: bool = True) -> str:
    """Why a new host cannot have this profile at `location`, and whether it can `elsewhere`; empty: it can, or nobody
    knows."""
    profile, offer = offers.profile, offers.at(location)
    if not profile.active:
        at = profile.withdrawn_at
        return f"withdrawn by the provider, seen on {date_of(at)}" if at else "no longer offered"
    if offer is None:
        return f"not sold in {location}"
    ends = offer.unavailable_after
    if ends is not None and ends <= now:
        return f"no longer sold in {location} since {date_of(ends)}"
    if offer.available is not False:
        return ""
    places = ", ".join(one.location for one in offers.offers if one.available)
    where = f", available in {places}" if places else ", nowhere available"
    return f"sold out in {location}{where if elsewhere else ''}"


def _unless_told(offer: Offer | None, now: datetime) -> str:
    """What has to be known of a profile that can be chosen."""
    if offer is None:
        return ""
    ends = offer.unavailable_after
    words = ["availability not known"] if offer.available is None else []
    words += [f"sold until {date_of(ends)}"] if ends is not None else []
    return ", ".join(words)


def _places(offers: ProfileOffers) -> str:
    """For small screens, where the marks have no room."""
    if not offers.profile.active:
        return "nowhere"
    places = ", ".join(one.location for one in offers.offers if one.available)
    unknown = ", ".join(one.location for one in offers.offers if one.available is None)
    return "; ".join(words for words in (places, unknown and f"not known: {unknown}") if words) or "nowhere"


def _price_cells(line: PriceLine | None, title: str, places: int) -> str:
    """List, muted and not on small screens, and the agreed price, strong where it is another one."""
    if line is None:
        return f'<td class="n soft hide-small pair-start">–</td><td class="n" data-label="{title}">not known</td>'
    listed = escape(money(line.list, line.currency, places))
    if line.agreed == line.list:
        mine = f'<span class="muted">as list</span><span class="sub only-small">{listed}</span>'
    else:
        strong = "" if places == HOURLY else ' class="price"'
        agreed = escape(money(line.agreed, line.currency, places))
        mine = f'<span{strong}>{agreed}</span><span class="sub only-small">list {listed}</span>'
    return (
        f'<td class="n soft hide-small pair-start">{listed}</td><td class="n" data-label="{title}, yours">{mine}</td>'
    )
