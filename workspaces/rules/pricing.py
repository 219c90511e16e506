"""What a price component costs under an organization's agreements: list price, agreed price, and which clause set it.

Which clause speaks of a price and which of several wins stands in `clauses.py`; which rows are asked in
`models/price_list.py`. What is ordered at that price is not decided here.

Amounts are net Decimals, rounded as `amounts.py` says and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fnmatch import translate
from typing import Any, Final, Self

from workspaces.rules.amounts import monthly_estimate as monthly_estimate
from workspaces.rules.amounts import percentage as percentage
from workspaces.rules.amounts import shown as shown
from workspaces.rules.amounts import stored as stored
from workspaces.rules.amounts import total as total
from workspaces.rules.clauses import Agreement as Agreement
from workspaces.rules.clauses import Clause as Clause
from workspaces.rules.clauses import currencies, matches, precedence

# In the order in which people read them. All but traffic (per TB) are an amount an hour or a month, or once (setup).
COMPONENTS: Final = ("setup", "hourly", "monthly", "traffic", "backup", "primary_ip")


@dataclass(frozen=True, slots=True)
class ListPrice:
    """What the provider asks for a component, net."""

    component: str
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A clause that would match and cannot apply, and the sentence that says why."""

    clause: Clause
    reason: str


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A component's list and agreed amount in `currency`, and the numbers of the agreement and clause that set it.

    Both numbers are None when list applies. `overruled` are the clauses that match but lost, best first.
    """

    component: str
    list: Decimal
    agreed: Decimal
    currency: str
    agreement: str | None
    clause: str | None
    overruled: tuple[Clause, ...] = ()
    ignored: tuple[Ignored, ...] = ()


def price_line(profile: str, location: str, price: ListPrice, clauses: Iterable[Clause], day: date) -> PriceLine:
    """What `price` becomes for a profile at a location on a UTC day. The order of `clauses` does not matter.

    ValueError for a winning clause of unknown kind: a price is never guessed.
    """
    matching = [clause for clause in clauses if matches(clause, profile, location, price.component, day)]
    return _line(price, *_verdict(_judged(sorted(matching, key=precedence), price.currency)))


class PriceBook:
    """The clauses of a day, sorted and sorted out once: answers what `price_line` does, for thousands of prices.

    It keeps what it has found out, so it is made for one page or one job and not for longer.
    """

    def __init__(self, clauses: Iterable[Clause], day: date) -> None:
        holding = sorted((clause for clause in clauses if clause.agreement.holds_on(day)), key=precedence)
        self._clauses: dict[str, list[Clause]] = {}
        for clause in holding:
            self._clauses.setdefault(clause.component, []).append(clause)
        self._judged: dict[tuple[str, str], _Judged] = {}
        families = {clause.family for clause in holding if clause.family}
        self._families = [(family, re.compile(translate(family)).match) for family in sorted(families)]
        self._profiles = {clause.profile for clause in holding if clause.profile}
        self._locations = {clause.location for clause in holding if clause.location}
        # What clauses can tell apart of a profile: most profiles, locations and prices are alike to them.
        self._kinds: dict[str, int] = {}
        self._alike: dict[_Kind, int] = {}
        self._known: list[_Kind] = []
        self._verdicts: dict[_Key, _Verdict] = {}
        self._lines: dict[tuple[_Key, Decimal], PriceLine] = {}

    def line(self, profile: str, location: str, price: ListPrice) -> PriceLine:
        """What `price` becomes for a profile at a location. ValueError for a winning clause of unknown kind."""
        key = self._key(profile, location, price.component, price.currency)
        line = self._lines.get((key, price.amount))
        if line is None:
            line = self._lines[key, price.amount] = _line(price, *self._verdict(key))
        return line

    def contest(self, profile: str, location: str, component: str, currency: str) -> tuple[Clause, ...]:
        """Those that speak of that price in that currency, the winner first; the same object for the same ones."""
        applying, _ = self._verdict(self._key(profile, location, component, currency))
        return applying

    def quote(self, profile: str, location: str, prices: Iterable[ListPrice]) -> Quote:
        """All prices of a profile at a location, which are in one currency (ValueError for none or for several)."""
        lines = sorted((self.line(profile, location, price) for price in prices), key=_as_read)
        (currency,) = {line.currency for line in lines}
        return Quote(profile, location, currency, tuple(lines))

    def _key(self, profile: str, location: str, component: str, currency: str) -> _Key:
        number = self._kinds.get(profile)
        if number is None:
            number = self._kinds[profile] = self._number(self._kind(profile))
        return number, location if location in self._locations else "", component, currency

    def _number(self, kind: _Kind) -> int:
        number = self._alike.setdefault(kind, len(self._known))
        if number == len(self._known):
            self._known.append(kind)
        return number

    def _kind(self, profile: str) -> _Kind:
        families = frozenset(family for family, match in self._families if match(profile))
        return profile if profile in self._profiles else "", families

    def _verdict(self, key: _Key) -> _Verdict:
        if key not in self._verdicts:
            number, location, component, currency = key
            if (component, currency) not in self._judged:
                self._judged[component, currency] = _judged(self._clauses.get(component, ()), currency)
            name, families = self._known[number]
            self._verdicts[key] = _verdict(
                (clause, ignored)
                for clause, ignored in self._judged[component, currency]
                if clause.profile in ("", name)
                and (not clause.family or clause.family in families)
                and clause.location in ("", location)
            )
        return self._verdicts[key]


@dataclass(frozen=True, slots=True)
class Quote:
    """What a profile at a location costs: a line for each component whose list price is known, in their order."""

    profile: str
    location: str
    currency: str
    lines: tuple[PriceLine, ...]

    def line(self, component: str) -> PriceLine | None:
        """The line of that component; None when its list price is not known, which is not free."""
        return next((line for line in self.lines if line.component == component), None)

    @property
    def setup(self) -> Decimal:
        """Agreed, once. LookupError when it is not known; so are the next two."""
        return self._known("setup").agreed

    @property
    def hourly(self) -> Decimal:
        """Agreed, an hour."""
        return self._known("hourly").agreed

    @property
    def monthly(self) -> Decimal:
        """Agreed, the most that the hours of a month cost."""
        return self._known("monthly").agreed

    @property
    def monthly_total(self) -> Decimal:
        """Agreed, what a server costs a month at most, its public IPv4 address included; no traffic, no backup.

        Without the address where its price is not known: `line("primary_ip")` is None then, and has to be told.
        """
        address = self.line("primary_ip")
        return total(self.monthly, address.agreed) if address else self.monthly

    @property
    def list_monthly_total(self) -> Decimal:
        """What `monthly_total` is without any agreement."""
        monthly, address = self._known("monthly").list, self.line("primary_ip")
        return total(monthly, address.list) if address else monthly

    def confirms(self, amount: Decimal) -> bool:
        """Whether somebody who names `amount` has seen this price: it is the agreed monthly or hourly one, exactly."""
        return amount in (self.monthly, self.hourly)

    def same_price(self, other: Quote) -> bool:
        """Whether every component costs the same, whatever the list says and whichever clause sets it."""
        return self._agreed() == other._agreed()

    def document(self) -> dict[str, Any]:
        """As plain JSON, to be stored with what is ordered: amounts as text, "" for no agreement and no clause."""
        components = [
            {
                "component": line.component,
                "list": f"{line.list:f}",
                "agreed": f"{line.agreed:f}",
                "agreement": line.agreement or "",
                "clause": line.clause or "",
            }
            for line in self.lines
        ]
        return {
            "profile": self.profile,
            "location": self.location,
            "currency": self.currency,
            "components": components,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """The quote that `document` was made of, without the clauses that lost."""
        currency = document["currency"]
        lines = tuple(
            PriceLine(
                one["component"],
                Decimal(one["list"]),
                Decimal(one["agreed"]),
                currency,
                one["agreement"] or None,
                one["clause"] if one["agreement"] else None,
            )
            for one in document["components"]
        )
        return cls(document["profile"], document["location"], currency, lines)

    def _known(self, component: str) -> PriceLine:
        if (line := self.line(component)) is None:
            raise LookupError(f"The {component} price of {self.profile} in {self.location} is not known.")
        return line

    def _agreed(self) -> tuple[str, dict[str, Decimal]]:
        return self.currency, {line.component: line.agreed for line in self.lines}


# A profile as far as clauses can tell: its name when one names it, and the families that it is of.
type _Kind = tuple[str, frozenset[str]]
type _Judged = list[tuple[Clause, Ignored | None]]
# Such a profile (by number), location, component and currency.
type _Key = tuple[int, str, str, str]
# The clauses that speak of a price in its currency, the winner first, and those that are in another one.
type _Verdict = tuple[tuple[Clause, ...], tuple[Ignored, ...]]


def _judged(clauses: Iterable[Clause], currency: str) -> _Judged:
    """Each clause, with why it cannot set a price in that currency."""
    return [
        (clause, None if currencies(clause) == {currency} else Ignored(clause, _wrong_currency(clause, currency)))
        for clause in clauses
    ]


def _verdict(judged: Iterable[tuple[Clause, Ignored | None]]) -> _Verdict:
    """Which of the clauses that match, the best first, sets the price."""
    applying: list[Clause] = []
    ignored: list[Ignored] = []
    for clause, why in judged:
        if why is None:
            applying.append(clause)
        else:
            ignored.append(why)
    return tuple(applying), tuple(ignored)


def _line(price: ListPrice, applying: tuple[Clause, ...], ignored: tuple[Ignored, ...]) -> PriceLine:
    best = applying[0] if applying else None
    agreement, clause = (best.agreement.number, best.clause) if best else (None, None)
    agreed = _agreed(price.amount, best)
    return PriceLine(price.component, price.amount, agreed, price.currency, agreement, clause, applying[1:], ignored)


def _as_read(line: PriceLine) -> int:
    return COMPONENTS.index(line.component)


def _wrong_currency(clause: Clause, currency: str) -> str:
    theirs = " and ".join(sorted(currencies(clause)))
    return f"Clause {clause.clause} of {clause.agreement.number} is in {theirs}, the list price in {currency}."


def _agreed(amount: Decimal, clause: Clause | None) -> Decimal:
    if clause is None:
        return stored(amount)
    match clause.kind:
        case "fixed":
            agreed = stored(clause.amount)
        case "percent":
            agreed = percentage(amount, clause.amount)
        case kind:
            raise ValueError(f"Clause {clause.clause} of {clause.agreement.number} is of an unknown kind: {kind}.")
    return agreed if clause.minimum is None else max(agreed, stored(clause.minimum))
