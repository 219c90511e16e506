"""Clauses of agreements: what one speaks of, and which of two that speak of the same price wins.

What a price then is, is decided in `pricing.py`; where the clauses of an agreement get into each other's way is shown
by `agreements.py`.

A clause applies when its agreement holds on the day, it names the component, every condition it has (profile, family,
location) matches, and its currency is that of the list price. Of several that apply one wins, in this order:

    1. an exact profile, before a family pattern (the longer text before its first wildcard first), before any profile
    2. a named location, before any location
    3. the agreement that began later
    4. the lower agreement number, then the lower clause number, with numbers in them read as numbers (4.2 before 4.10)
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fnmatch import fnmatchcase


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


def matches(clause: Clause, profile: str, location: str, component: str, day: date) -> bool:
    """Whether the clause speaks of that price on that UTC day, whatever its currency."""
    return (
        clause.component == component
        and clause.agreement.holds_on(day)
        and clause.profile in ("", profile)
        and (not clause.family or fnmatchcase(profile, clause.family))
        and clause.location in ("", location)
    )


def precedence(clause: Clause) -> tuple[object, ...]:
    """Sorts clauses of any price as the module's docstring says, the winner first."""
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


def currencies(clause: Clause) -> set[str]:
    """One, unless the contract contradicts itself; then the clause applies nowhere."""
    return {clause.currency, clause.agreement.currency}
