"""What a price component costs under an organization's agreements: list price, agreed price, and which clause set it.

Which rows are asked is `models/price_list.py`; what is ordered at that price is not decided here.

A clause applies when its agreement holds on the day, it names the component, every condition it has (profile, family,
location) matches, and its currency is that of the list price. Of several that apply one wins, in this order:

    1. an exact profile, before a family pattern (the longer text before its first wildcard first), before any profile
    2. a named location, before any location
    3. the agreement that began later
    4. the lower agreement number, then the lower clause number, with numbers in them read as numbers (4.2 before 4.10)

Amounts are net Decimals. Agreed amounts and estimates are exact to 10 decimals, half even, which is what the database
keeps; this is the only rounding until `shown` rounds for people, half up.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from fnmatch import fnmatchcase
from typing import Final

# A stored amount has 20 digits. Times another one it has 40, which the default 28 would round once too often.
_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)
_STORED: Final = Decimal("1E-10")


@dataclass(frozen=True, slots=True)
class Agreement:
    """A contract. `valid_from` is the first UTC day in it, `valid_until` the first one that is not; None: no end."""

    number: str
    valid_from: date
    valid_until: date | None
    currency: str

    def holds_on(self, day: date) -> bool:
        """Whether `day` is in its half-open validity."""
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)


@dataclass(frozen=True, slots=True)
class Clause:
    """What a component costs where all conditions match; an empty condition matches everything.

    `profile` is an exact name, `family` a pattern of names such as "ccx*", both case-sensitive. `kind` is "fixed"
    (`amount` in `currency` replaces list) or "percent" (`amount` percent of list: at 80 you pay 80 %). The component
    never costs less than `minimum` by this clause. `clause` is its number, once in an agreement.
    """

    agreement: Agreement
    clause: str
    component: str
    profile: str
    family: str
    location: str
    kind: str
    amount: Decimal
    currency: str
    minimum: Decimal | None = None


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
    matching = sorted(
        (clause for clause in clauses if _matches(clause, profile, location, price.component, day)), key=_precedence
    )
    applying = [clause for clause in matching if _currencies(clause) == {price.currency}]
    ignored = (clause for clause in matching if _currencies(clause) != {price.currency})
    best = applying[0] if applying else None
    return PriceLine(
        component=price.component,
        list=price.amount,
        agreed=_agreed(price.amount, best),
        currency=price.currency,
        agreement=best.agreement.number if best else None,
        clause=best.clause if best else None,
        overruled=tuple(applying[1:]),
        ignored=tuple(Ignored(clause, _wrong_currency(clause, price.currency)) for clause in ignored),
    )


def monthly_estimate(hourly: Decimal, monthly_cap: Decimal | None, hours: int) -> Decimal:
    """What `hours` begun hours of one month cost: never more than the cap (None: there is none).

    A part of an hour counts as a whole one, and a stopped server counts too. ValueError for negative hours.
    """
    if hours < 0:
        raise ValueError(f"A month has no {hours} hours.")
    metered = _EXACT.multiply(hourly, Decimal(hours))
    return _stored(metered if monthly_cap is None else min(metered, monthly_cap))


def shown(amount: Decimal, places: int = 2) -> Decimal:
    """Money as people read it, rounded half up: to cents, or to `places` for an hourly price.

    Only for showing: sums are made of exact amounts and rounded once, afterwards.
    """
    rounded = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT)
    return rounded if rounded else abs(rounded)  # never "-0.00"


def _matches(clause: Clause, profile: str, location: str, component: str, day: date) -> bool:
    return (
        clause.component == component
        and clause.agreement.holds_on(day)
        and clause.profile in ("", profile)
        and (not clause.family or fnmatchcase(profile, clause.family))
        and clause.location in ("", location)
    )


def _precedence(clause: Clause) -> tuple[object, ...]:
    """Sorts clauses as the module's docstring says, the winner first."""
    if clause.profile:
        breadth, prefix = 0, 0
    elif clause.family:
        breadth, prefix = 1, len(re.split(r"[*?\[]", clause.family, maxsplit=1)[0])
    else:
        breadth, prefix = 2, 0
    agreement = clause.agreement
    began = agreement.valid_from.toordinal()
    return breadth, -prefix, not clause.location, -began, _natural(agreement.number), _natural(clause.clause)


def _natural(text: str) -> tuple[list[str | int], str]:
    """Words and numbers in turn; the text itself then tells "4.1" from "4.01"."""
    parts = re.split(r"([0-9]+)", text)
    return [int(part) if odd % 2 else part for odd, part in enumerate(parts)], text


def _currencies(clause: Clause) -> set[str]:
    """One, unless the contract contradicts itself; then the clause applies nowhere."""
    return {clause.currency, clause.agreement.currency}


def _wrong_currency(clause: Clause, currency: str) -> str:
    theirs = " and ".join(sorted(_currencies(clause)))
    return f"Clause {clause.clause} of {clause.agreement.number} is in {theirs}, the list price in {currency}."


def _agreed(amount: Decimal, clause: Clause | None) -> Decimal:
    if clause is None:
        return _stored(amount)
    match clause.kind:
        case "fixed":
            agreed = clause.amount
        case "percent":
            agreed = _EXACT.multiply(amount, clause.amount).scaleb(-2, _EXACT)
        case kind:
            raise ValueError(f"Clause {clause.clause} of {clause.agreement.number} is of an unknown kind: {kind}.")
    return _stored(agreed if clause.minimum is None else max(agreed, clause.minimum))


def _stored(amount: Decimal) -> Decimal:
    return amount.quantize(_STORED, context=_EXACT)
