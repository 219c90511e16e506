"""Where the clauses of agreements get into each other's way: which one loses to which, and for what.

Shown before somebody wonders about a price. Who wins is decided in `clauses.py`; here it is only found out for every
profile, place and day that make a difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from itertools import pairwise

from workspaces.rules.clauses import Clause, currencies, precedence
from workspaces.rules.pricing import PriceBook


@dataclass(frozen=True, slots=True)
class Overlap:
    """`loser` would set the price of `component` for `profiles` at `locations` (empty: everywhere), and `winner` does.

    It does so on UTC days from `first` to before `until` (None: no end), though not on all of them when a third clause
    beats both for some time. Where a third clause always beats both, neither loses to the other.
    """

    winner: Clause
    loser: Clause
    component: str
    profiles: tuple[str, ...]
    locations: tuple[str, ...]
    first: date
    until: date | None


@dataclass(slots=True)
class _Meeting:
    """What has been found out about two clauses."""

    profiles: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)
    spans: list[tuple[date, date | None]] = field(default_factory=list)


def overlaps(clauses: Iterable[Clause], names: Sequence[str], locations: Sequence[str]) -> list[Overlap]:
    """Every pair of clauses of which one takes a price from the other, sorted by the winner and then the loser.

    `names` and `locations` are the profiles and places that are known; those that a clause names are looked at too.
    Clauses in different currencies never meet, nor do those that never hold on the same day.
    """
    known = sorted(clauses, key=precedence)
    ranks = {id(clause): rank for rank, clause in enumerate(known)}
    profiles = sorted({*names, *(clause.profile for clause in known if clause.profile)})
    named = sorted({clause.location for clause in known if clause.location})
    elsewhere = sorted(set(locations) - set(named))
    # Places that no clause names are alike: one of them is enough.
    places = [*named, *elsewhere[:1]] or [""]
    meetings: dict[tuple[int, int], _Meeting] = {}
    for first, until in _spans(known):
        book = PriceBook(known, first)
        for place, winner, losers, alike in _decided(book, known, profiles, places):
            for loser in losers:
                meeting = meetings.setdefault((ranks[id(winner)], ranks[id(loser)]), _Meeting())
                meeting.profiles.update(alike)
                meeting.places.update(elsewhere if place in elsewhere else [place])
                meeting.spans.append((first, until))
    everywhere = {*named, *elsewhere} or {""}
    return [
        _overlap(known[winner], known[loser], meetings[winner, loser], everywhere) for winner, loser in sorted(meetings)
    ]


def _spans(clauses: Iterable[Clause]) -> list[tuple[date, date | None]]:
    """The half-open spans of days on which the same agreements hold."""
    agreements = {clause.agreement for clause in clauses}
    days = {one.valid_from for one in agreements} | {one.valid_until for one in agreements if one.valid_until}
    edges = sorted(days)
    return [*pairwise(edges), *((last, None) for last in edges[-1:])]


def _decided(
    book: PriceBook, clauses: Iterable[Clause], profiles: Iterable[str], places: Iterable[str]
) -> Iterator[tuple[str, Clause, tuple[Clause, ...], list[str]]]:
    """Place, winner, losers, and the profiles for which they are that; without the many for which nothing is lost."""
    asked = sorted({(clause.component, one) for clause in clauses for one in currencies(clause)})
    for component, currency in asked:
        for place in places:
            alike: dict[int, tuple[tuple[Clause, ...], list[str]]] = {}
            for profile in profiles:
                contest = book.contest(profile, place, component, currency)
                if len(contest) > 1:
                    alike.setdefault(id(contest), (contest, []))[1].append(profile)
            for contest, names in alike.values():
                yield place, contest[0], contest[1:], names


def _overlap(winner: Clause, loser: Clause, meeting: _Meeting, everywhere: set[str]) -> Overlap:
    ends = [until for _, until in meeting.spans]
    return Overlap(
        winner=winner,
        loser=loser,
        component=winner.component,
        profiles=tuple(sorted(meeting.profiles)),
        locations=() if meeting.places == everywhere else tuple(sorted(meeting.places)),
        first=min(first for first, _ in meeting.spans),
        until=None if None in ends else max(end for end in ends if end),
    )


def refuse_family(pattern: str) -> str:
    """A sentence why this is no pattern of profile names, or ""."""
    if not re.fullmatch(r"[a-z0-9*?-]*", pattern):
        return "Enter lower-case letters and digits, * for any text and ? for one character, such as ccx*."
    if pattern and not re.search(r"[*?]", pattern):
        return "Enter a pattern such as ccx*, or enter this as the profile."
    if pattern and not pattern.strip("*"):
        return "Leave it empty: without profile and family the clause is for all."
    return ""


def speaks_of_nothing(clause: Clause, names: Iterable[str], locations: Iterable[str]) -> bool:
    """Whether the clause matches none of the known profiles, or names none of the known places."""
    known = any(
        clause.profile in ("", name) and (not clause.family or fnmatchcase(name, clause.family)) for name in names
    )
    return not known or clause.location not in ("", *locations)
