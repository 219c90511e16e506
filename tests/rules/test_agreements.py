"""Which clause loses to which, and for what; found out a second time by pricing every profile, place and day."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings

from tests.rules.test_pricing_book import NAMES, PLACES, TODAY, clauses_of
from workspaces.rules.agreements import overlaps, refuse_family, speaks_of_nothing
from workspaces.rules.pricing import Agreement, Clause, ListPrice, price_line

KF = Agreement("KF-1", date(2026, 1, 1), date(2027, 1, 1), "EUR")
LATER = Agreement("KF-2", date(2026, 6, 1), None, "EUR")
ANY = Clause(KF, "1", "hourly", "", "", "", "percent", Decimal(90), "EUR")
KNOWN = ("ccx13", "ccx23", "cpx22")


def found(*clauses, names=KNOWN, locations=("fsn1", "hel1", "ash")):
    """What overlaps, in short; the same in whatever order the clauses come."""
    one, other = (overlaps(order, names, locations) for order in (clauses, clauses[::-1]))
    assert one == other
    return [
        (
            f"{lap.winner.agreement.number} {lap.winner.clause}",
            f"{lap.loser.agreement.number} {lap.loser.clause}",
            lap.component,
            lap.profiles,
            lap.locations,
        )
        for lap in one
    ]


def test_clauses_that_never_speak_of_the_same_price_do_not_overlap():
    assert found() == []
    assert found(ANY) == []
    assert found(ANY, replace(ANY, clause="2", component="setup")) == []
    assert found(replace(ANY, family="ccx*"), replace(ANY, clause="2", family="cpx*")) == []
    assert found(replace(ANY, location="fsn1"), replace(ANY, clause="2", location="hel1")) == []
    assert found(replace(ANY, family="gpu*"), replace(ANY, clause="2", family="gp*")) == [], "no such profile is known"


def test_the_same_price_twice_goes_to_the_lower_number_for_all_that_is_known():
    assert found(ANY, replace(ANY, clause="2")) == [("KF-1 1", "KF-1 2", "hourly", KNOWN, ())]


def test_a_partial_overlap_names_the_profiles_and_the_places_that_are_lost():
    exact = replace(ANY, clause="2", profile="ccx23")
    family = replace(ANY, clause="3", family="ccx*")
    here = replace(ANY, clause="4", location="hel1")
    assert found(family, exact) == [("KF-1 2", "KF-1 3", "hourly", ("ccx23",), ())]
    assert found(family, here) == [("KF-1 3", "KF-1 4", "hourly", ("ccx13", "ccx23"), ("hel1",))]
    assert found(here, ANY) == [("KF-1 4", "KF-1 1", "hourly", KNOWN, ("hel1",))]
    assert found(replace(exact, location="fsn1"), family, here) == [
        ("KF-1 2", "KF-1 3", "hourly", ("ccx23",), ("fsn1",)),
        ("KF-1 3", "KF-1 4", "hourly", ("ccx13", "ccx23"), ("hel1",)),
    ]


def test_where_a_third_clause_beats_both_neither_loses_to_the_other():
    top = replace(ANY, clause="2", profile="ccx23")
    assert found(top, replace(ANY, clause="3", family="ccx2*"), ANY) == [
        ("KF-1 2", "KF-1 3", "hourly", ("ccx23",), ()),
        ("KF-1 2", "KF-1 1", "hourly", ("ccx23",), ()),
    ]


def test_a_profile_that_only_a_clause_names_is_looked_at_too():
    assert found(ANY, replace(ANY, clause="2", profile="ccx99"), names=()) == [
        ("KF-1 2", "KF-1 1", "hourly", ("ccx99",), ())
    ]
    assert found(ANY, replace(ANY, clause="2", location="sin"), locations=("fsn1",)) == [
        ("KF-1 2", "KF-1 1", "hourly", KNOWN, ("sin",))
    ]


def test_agreements_overlap_on_the_days_on_which_both_hold():
    later = replace(ANY, agreement=LATER, clause="9")
    (lap,) = overlaps([ANY, later], KNOWN, ())
    assert (lap.winner, lap.loser) == (later, ANY)
    assert (lap.first, lap.until) == (date(2026, 6, 1), date(2027, 1, 1))
    endless = replace(ANY, agreement=replace(KF, valid_until=None))
    (lap,) = overlaps([endless, later], KNOWN, ())
    assert (lap.first, lap.until) == (date(2026, 6, 1), None)
    following = replace(ANY, agreement=Agreement("KF-3", date(2027, 1, 1), None, "EUR"))
    assert found(ANY, following) == [], "one ends on the day on which the other begins"


def test_what_a_third_clause_takes_for_some_time_is_lost_to_it_then():
    summer = Agreement("KF-S", date(2026, 7, 1), date(2026, 8, 1), "EUR")
    exact, family = replace(ANY, agreement=summer, profile="ccx23"), replace(ANY, clause="2", family="ccx2*")
    spans = {
        (lap.winner.agreement.number, lap.loser.clause): (lap.first, lap.until)
        for lap in overlaps([exact, family, ANY], KNOWN, ())
    }
    assert spans == {
        ("KF-S", "2"): (date(2026, 7, 1), date(2026, 8, 1)),
        ("KF-S", "1"): (date(2026, 7, 1), date(2026, 8, 1)),
        ("KF-1", "1"): (date(2026, 1, 1), date(2027, 1, 1)),
    }


def test_clauses_in_different_currencies_never_meet():
    dollars = replace(ANY, agreement=replace(LATER, currency="USD"), clause="2", currency="USD")
    assert found(ANY, dollars) == []
    assert found(ANY, dollars, replace(dollars, clause="3")) == [("KF-2 2", "KF-2 3", "hourly", KNOWN, ())]


@settings(max_examples=60, deadline=None)
@given(clauses_of)
def test_pricing_everything_on_every_day_finds_the_same_pairs(clauses):
    """The other way round: each price is asked for, each day, and whoever is overruled is noted."""
    expected = {}
    for ahead in range(-3, 4):
        day = TODAY + timedelta(ahead)
        for component, currency in {(clause.component, clause.currency) for clause in clauses}:
            for profile in NAMES:
                for place in PLACES:
                    price = ListPrice(component, Decimal(1), currency)
                    line = price_line(profile, place, price, clauses, day)
                    for loser in line.overruled:
                        key = line.agreement, line.clause, loser.agreement.number, loser.clause
                        pair = expected.setdefault(key, (set(), set(), set()))
                        for whole, part in zip(pair, (profile, place, day), strict=True):
                            whole.add(part)
    laps = overlaps(clauses, NAMES, PLACES)
    assert {
        (lap.winner.agreement.number, lap.winner.clause, lap.loser.agreement.number, lap.loser.clause): (
            set(lap.profiles), set(lap.locations or PLACES), lap.first,
        )
        for lap in laps
    } == {key: (profiles, places, min(days)) for key, (profiles, places, days) in expected.items()}  # fmt: skip
    for lap in laps:
        days = expected[lap.winner.agreement.number, lap.winner.clause, lap.loser.agreement.number, lap.loser.clause][2]
        assert lap.until == (None if max(days) == TODAY + timedelta(3) else max(days) + timedelta(1))
    assert all(one.winner.component == one.loser.component == one.component for one in laps)
    assert len(laps) == len(expected)
    assert list(pairwise(laps)) == [pair for pair in pairwise(laps) if pair[0] != pair[1]]


@pytest.mark.parametrize("pattern", ["", "ccx*", "c?x*", "*3", "ccx2?", "gpu-*"])
def test_a_pattern_of_profile_names_is_taken(pattern):
    assert refuse_family(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("CCX*", "Enter lower-case letters"),
        ("ccx[1]*", "Enter lower-case letters"),
        ("ccx *", "Enter lower-case letters"),
        ("ccx*,cpx*", "Enter lower-case letters"),
        ("ccx", "Enter a pattern such as ccx*, or enter this as the profile."),
        ("**", "Leave it empty: without profile and family the clause is for all."),
    ],
)
def test_what_is_no_pattern_of_profile_names_is_refused(pattern, sentence):
    assert refuse_family(pattern).startswith(sentence)


@pytest.mark.parametrize(
    ("condition", "nothing"),
    [
        ({}, False),
        ({"profile": "ccx23"}, False),
        ({"family": "cp*", "location": "hel1"}, False),
        ({"profile": "ccx99"}, True),
        ({"family": "cax*"}, True),
        ({"location": "sin"}, True),
    ],
)
def test_a_clause_that_matches_nothing_known_is_told_apart(condition, nothing):
    assert speaks_of_nothing(replace(ANY, **condition), KNOWN, ("fsn1", "hel1")) is nothing
