"""Agreements and clauses in words: how long one holds, what a clause speaks of and what it asks.

Which clause wins is decided by `rules/clauses.py`; the rows are in `models/pricing.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from workspaces.models import BillingAgreement
from workspaces.rules.clauses import Clause
from workspaces.rules.lifecycle import Tone
from workspaces.views.money import HOURLY, exact, money

# An end that is as near is told in time to agree on what follows.
SOON: Final = 60
COMPONENTS: Final = {
    "setup": "Setup, once",
    "hourly": "Per hour",
    "monthly": "Per month at most",
    "traffic": "Traffic, per TB",
    "backup": "Backup, per month",
    "primary_ip": "IPv4 address, per month",
}
KINDS: Final = {"fixed": "Fixed amount", "percent": "Percent of list"}
_UNITS: Final = {
    "setup": "once",
    "hourly": "an hour",
    "monthly": "a month at most",
    "traffic": "per TB",
    "backup": "a month for backup",
    "primary_ip": "a month for the IPv4 address",
}
_FAMILY: Final = re.compile(r"[a-z0-9]+\*")


@dataclass(frozen=True, slots=True)
class State:
    """Whether an agreement holds, the tone of that, and the days it is about: `1 Apr 2026 to 31 Mar 2027`."""

    word: str
    tone: Tone
    days: str


def state_of(agreement: BillingAgreement, today: date) -> State:
    """As of `today` (UTC). The day named last is the last one on which it holds."""
    first, until = agreement.valid_from, agreement.valid_until
    held = days(first, until)
    if first > today:
        return State(f"Begins {_ahead(first, today)}", "idle", held)
    if until is None:
        return State("Holds", "ok", held)
    if until <= today:
        return State("Ended", "idle", held)
    near = (until - today).days <= SOON
    return State(f"Ends {_ahead(until, today)}" if near else "Holds", "warn" if near else "ok", held)


def days(first: date, until: date | None) -> str:
    """`1 Apr 2026 to 31 Mar 2027`, of days up to but without `until`."""
    return f"{day(first)} to {day(until - timedelta(days=1))}" if until else f"from {day(first)} on"


def day(of: date) -> str:
    """`1 Apr 2026`."""
    return f"{of.day} {of:%b %Y}"


def left(agreement: BillingAgreement, today: date) -> str:
    """`127 days left`; what the days of an agreement mean today."""
    first, until = agreement.valid_from, agreement.valid_until
    if first > today:
        return f"begins {_ahead(first, today)}, at 00:00 UTC"
    if until is None:
        return "no end is agreed"
    if until <= today:
        return f"ended {(today - until).days} days ago, at 00:00 UTC" if until < today else "ended today at 00:00 UTC"
    days = (until - today).days
    return f"{days} day{'s' if days > 1 else ''} left, ends at 00:00 UTC"


def _ahead(then: date, today: date) -> str:
    days = (then - today).days
    return "in 1 day" if days == 1 else f"in {days} days"


# --- Clauses ----------------------------------------------------------------------------------------------------------
def kind_of(clause: Clause) -> str:
    """The profiles a clause speaks of: `ccx23`, `CCX` for a family, `names like c?x*`, `every profile`."""
    if clause.profile:
        return clause.profile
    if not clause.family:
        return "every profile"
    return clause.family[:-1].upper() if _FAMILY.fullmatch(clause.family) else f"names like {clause.family}"


def subject(clause: Clause) -> str:
    """What a clause speaks of: `CCX in fsn1`."""
    return f"{kind_of(clause)} in {clause.location}" if clause.location else kind_of(clause)


def amount(clause: Clause) -> str:
    """What it asks: `88 %` or `€0.0402`."""
    return f"{_figure(clause.amount)} %" if clause.kind == "percent" else _money(clause, clause.amount)


def minimum(clause: Clause) -> str:
    """The least it asks; empty without a minimum."""
    return "" if clause.minimum is None else _money(clause, clause.minimum)


def sentence(clause: Clause) -> str:
    """`CCX in fsn1: 88 % of list an hour, at least €0.0200`."""
    unit = _UNITS.get(clause.component, "")
    if clause.amount == 0 and clause.minimum is None:
        terms = f"nothing {unit}"
    elif clause.kind == "percent":
        terms = f"{amount(clause)} of list {unit}"
    else:
        terms = f"{amount(clause)} {unit}"
    least = f", at least {minimum(clause)}" if clause.minimum is not None else ""
    what = subject(clause)
    return f"{what[0].upper()}{what[1:]}: {terms}{least}" if not clause.profile else f"{what}: {terms}{least}"


def kinds_of(clauses: Iterable[Clause]) -> list[str]:
    """The families and profiles that clauses change, each once, in the order of their names."""
    return sorted({kind_of(clause) for clause in clauses}, key=str.lower)


def number(clause: Clause) -> tuple[object, ...]:
    """Sorts clauses as people number them: 4.2 before 4.10."""
    parts = re.split(r"([0-9]+)", clause.clause)
    return tuple((int(part), "") if odd % 2 else (-1, part) for odd, part in enumerate(parts))


def places(component: str) -> int:
    """How many decimals of a component people read: an hour costs fractions of a cent."""
    return HOURLY if component == "hourly" else 2


def _money(clause: Clause, of: Decimal) -> str:
    """With all its decimals: a contract is not rounded."""
    return money(of, clause.currency, max(places(clause.component), len(exact(of).partition(".")[2])))


def _figure(of: Decimal) -> str:
    """A percentage without the zeros that the database adds."""
    return f"{of.normalize():f}"
