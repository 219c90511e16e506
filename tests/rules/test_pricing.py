"""Which clause sets a price, and what it then is; compared with a calculator that knows no Decimal arithmetic."""

import re
from dataclasses import fields, is_dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspaces.rules.pricing import (
    Agreement,
    Clause,
    Ignored,
    ListPrice,
    PriceLine,
    monthly_estimate,
    price_line,
    shown,
)

TODAY = date(2026, 11, 24)
DAY = timedelta(days=1)
KF_1 = Agreement("KF-1", date(2026, 3, 1), date(2027, 3, 1), "EUR")
LATER = Agreement("KF-2", date(2026, 6, 1), None, "EUR")
HOURLY = ListPrice("hourly", Decimal("0.0400"), "EUR")
ANY = Clause(KF_1, "4.1", "hourly", "", "", "", "percent", Decimal("90"), "EUR")


def line(*clauses, price=HOURLY, profile="ccx23", location="fsn1", day=TODAY):
    return price_line(profile, location, price, clauses, day)


def winner(*clauses, **asked):
    """The number of the clause that wins, in whatever order they come."""
    (number,) = {line(*order, **asked).clause for order in (clauses, clauses[::-1])}
    return number


def test_without_a_clause_the_list_price_applies():
    assert line() == PriceLine("hourly", Decimal("0.04"), Decimal("0.04"), "EUR", None, None, (), ())


def test_a_price_line_says_list_and_agreed_and_which_clause_of_which_agreement_set_it():
    assert line(ANY) == PriceLine("hourly", Decimal("0.04"), Decimal("0.036"), "EUR", "KF-1", "4.1")


@pytest.mark.parametrize(
    ("kind", "amount", "agreed"),
    [
        ("percent", "80", "0.032"),
        ("percent", "0", "0"),
        ("percent", "100", "0.04"),
        ("percent", "112.5", "0.045"),
        ("percent", "33.3333333333", "0.0133333333"),
        ("fixed", "0.0310", "0.031"),
        ("fixed", "0", "0"),
        ("fixed", "0.05", "0.05"),
    ],
)
def test_percent_is_what_is_paid_of_list_and_fixed_replaces_it(kind, amount, agreed):
    assert line(replace(ANY, kind=kind, amount=Decimal(amount))).agreed == Decimal(agreed)


@pytest.mark.parametrize(
    ("listed", "percent", "agreed"),
    [
        ("0.0123456789", "88", "0.0108641974"),
        ("0.0000000001", "50", "0E-10"),
        ("0.0000000003", "50", "2E-10"),
        ("0.0000000005", "50", "2E-10"),
        ("0.0000000007", "50", "4E-10"),
        ("9999999999.9999999999", "99.9999999999", "9999999999.9899999999"),
        ("1234567890.1234567890", "1234567890.1234567890", "15241578753238836.7501905200"),
        ("1259736.7475881934", "2298481.2082840411", "28954812417.1631886407"),  # 28 digits would say ...406
    ],
)
def test_a_percentage_of_a_price_with_ten_decimals_is_rounded_once_half_even(listed, percent, agreed):
    clause = replace(ANY, amount=Decimal(percent))
    assert str(line(clause, price=ListPrice("hourly", Decimal(listed), "EUR")).agreed) == agreed


def test_the_arithmetic_of_the_caller_does_not_change_a_price():
    with localcontext(prec=3, rounding="ROUND_UP"):
        clause = replace(ANY, amount=Decimal("88"))
        assert line(clause, price=ListPrice("hourly", Decimal("0.0123456789"), "EUR")).agreed == Decimal("0.0108641974")
        assert monthly_estimate(Decimal("0.0123456789"), None, 730) == Decimal("9.0123455970")
        assert shown(Decimal("1234.5649")) == Decimal("1234.56")


@pytest.mark.parametrize(
    ("kind", "amount", "minimum", "agreed"),
    [
        ("percent", "50", "0.0250", "0.025"),
        ("percent", "50", "0.0150", "0.02"),
        ("percent", "90", "0.0500", "0.05"),
        ("fixed", "0.01", "0.0250", "0.025"),
    ],
)
def test_a_component_never_costs_less_than_the_minimum_of_its_clause(kind, amount, minimum, agreed):
    assert line(replace(ANY, kind=kind, amount=Decimal(amount), minimum=Decimal(minimum))).agreed == Decimal(agreed)


@pytest.mark.parametrize(
    ("day", "number"),
    [
        (date(2026, 2, 28), None),
        (date(2026, 3, 1), "4.1"),
        (date(2027, 2, 28), "4.1"),
        (date(2027, 3, 1), None),
    ],
)
def test_the_first_day_is_in_an_agreement_and_the_last_is_not(day, number):
    assert line(ANY, day=day).clause == number


def test_an_agreement_without_an_end_goes_on():
    assert line(replace(ANY, agreement=LATER), day=date(2099, 12, 31)).agreement == "KF-2"


def test_of_two_agreements_that_follow_each_other_one_holds_on_the_day_of_the_change():
    old = replace(ANY, agreement=Agreement("old", date(2025, 3, 1), date(2026, 3, 1), "EUR"))
    for day, number in ((date(2026, 2, 28), "old"), (date(2026, 3, 1), "KF-1")):
        found = line(old, ANY, day=day)
        assert (found.agreement, found.overruled) == (number, ())


@pytest.mark.parametrize(
    "condition",
    [
        {"component": "monthly"},
        {"profile": "ccx33"},
        {"profile": "ccx2"},
        {"family": "cax*"},
        {"family": "ccx"},
        {"family": "CCX*"},
        {"location": "nbg1"},
        {"profile": "ccx23", "family": "cax*"},
        {"profile": "ccx23", "location": "hel1"},
    ],
)
def test_a_clause_with_a_condition_that_does_not_hold_is_not_even_overruled(condition):
    assert line(replace(ANY, **condition)) == line()


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ({"profile": "ccx23"}, {"family": "ccx23"}),
        ({"profile": "ccx23"}, {"family": "ccx*", "location": "fsn1"}),
        ({"family": "*"}, {"location": "fsn1"}),
        ({"family": "ccx2*"}, {"family": "ccx*", "location": "fsn1"}),
        ({"family": "ccx*"}, {"family": "c*23"}),
        ({"family": "cc?23"}, {"family": "c[a-d]x23"}),
        ({"profile": "ccx23", "location": "fsn1"}, {"profile": "ccx23", "family": "ccx2*"}),
        ({"family": "ccx*", "location": "fsn1"}, {"family": "ccx*"}),
        ({"location": "fsn1"}, {}),
    ],
)
def test_the_more_specific_clause_wins_however_late_and_low_the_other_is(more, less):
    more = replace(ANY, clause="9", **more)
    less = replace(ANY, agreement=LATER, clause="1", **less)
    assert winner(more, less) == "9"
    assert line(less, more).overruled == (less,)


def test_of_equally_specific_clauses_that_of_the_later_agreement_wins():
    assert winner(replace(ANY, clause="1"), replace(ANY, agreement=LATER, clause="9")) == "9"


def test_numbers_of_agreements_and_clauses_are_compared_as_people_count():
    tenth = replace(ANY, agreement=replace(KF_1, number="KF-10"), clause="1")
    assert winner(tenth, replace(ANY, clause="4.10")) == "4.10"
    assert winner(replace(ANY, clause="4.10"), replace(ANY, clause="4.2")) == "4.2"
    assert winner(replace(ANY, clause="4.1"), replace(ANY, clause="4.01")) == "4.01"
    assert winner(replace(ANY, clause="b"), replace(ANY, clause="2"), replace(ANY, clause="")) == ""


def test_the_overruled_come_best_first():
    family, exact = replace(ANY, clause="7", family="ccx*"), replace(ANY, clause="8", profile="ccx23")
    found = line(ANY, exact, family)
    assert (found.clause, found.overruled) == ("8", (family, ANY))


def test_a_clause_in_another_currency_never_applies_and_is_reported():
    dollars = replace(ANY, agreement=replace(KF_1, currency="USD"), profile="ccx23", currency="USD")
    found = line(dollars, ANY)
    assert (found.agreement, found.clause, found.currency, found.overruled) == ("KF-1", "4.1", "EUR", ())
    assert found.ignored == (Ignored(dollars, "Clause 4.1 of KF-1 is in USD, the list price in EUR."),)
    assert line(dollars).agreed == Decimal("0.04")
    assert line(replace(dollars, location="hel1")).ignored == ()


def test_a_contract_that_contradicts_itself_about_its_currency_applies_nowhere():
    torn = replace(ANY, currency="USD")
    for currency in ("EUR", "USD"):
        found = line(torn, price=replace(HOURLY, currency=currency))
        assert (found.agreed, found.clause) == (Decimal("0.04"), None)
        assert found.ignored[0].reason == f"Clause 4.1 of KF-1 is in EUR and USD, the list price in {currency}."


def test_a_clause_of_unknown_kind_is_an_error_and_not_a_price():
    with pytest.raises(ValueError, match=r"Clause 4\.1 of KF-1 is of an unknown kind: rebate\."):
        line(replace(ANY, kind="rebate"))


@pytest.mark.parametrize(
    ("kind", "listed", "amount"),
    [("percent", 0.04, Decimal("90")), ("percent", Decimal("0.04"), 90.0), ("fixed", Decimal("0.04"), 0.03)],
)
def test_a_float_is_an_error_and_not_a_price(kind, listed, amount):
    with pytest.raises((TypeError, AttributeError)):
        line(replace(ANY, kind=kind, amount=amount), price=replace(HOURLY, amount=listed))


@pytest.mark.parametrize(
    ("hourly", "cap", "hours", "costs"),
    [
        ("0.0232", "14.49", 0, "0"),
        ("0.0232", "14.49", 1, "0.0232"),
        ("0.0232", "14.49", 624, "14.4768"),
        ("0.0232", "14.49", 625, "14.49"),
        ("0.0232", "14.49", 744, "14.49"),
        ("0.0232", None, 744, "17.2608"),
        ("0.0232", "0", 744, "0"),
        ("0.0123456789", "99", 730, "9.0123455970"),
    ],
)
def test_a_month_is_metered_by_the_hour_up_to_its_cap(hourly, cap, hours, costs):
    assert monthly_estimate(Decimal(hourly), cap and Decimal(cap), hours) == Decimal(costs)


def test_a_month_has_no_negative_hours():
    with pytest.raises(ValueError, match="A month has no -1 hours"):
        monthly_estimate(Decimal("0.0232"), None, -1)


@pytest.mark.parametrize(
    ("amount", "places", "words"),
    [
        ("12.345", 2, "12.35"),
        ("12.3449999999", 2, "12.34"),
        ("0.125", 2, "0.13"),
        ("-12.345", 2, "-12.35"),
        ("-0.0040", 2, "0.00"),
        ("14", 2, "14.00"),
        ("0.02041", 4, "0.0204"),
        ("0.02045", 4, "0.0205"),
    ],
)
def test_people_read_money_rounded_half_up(amount, places, words):
    assert str(shown(Decimal(amount), places)) == words


# What follows prices everything a second time: fractions for decimals, days one by one, duels instead of a sort.

amounts = st.decimals(min_value=0, max_value=200, places=10)
agreements = st.builds(
    Agreement,
    number=st.sampled_from(["KF-1", "KF-2", "KF-10"]),
    valid_from=st.sampled_from([TODAY - 2 * DAY, TODAY, TODAY + DAY]),
    valid_until=st.sampled_from([None, TODAY, TODAY + DAY, TODAY + 2 * DAY]),
    currency=st.sampled_from(["EUR", "EUR", "EUR", "USD"]),
)
written = st.builds(
    Clause,
    agreement=agreements,
    clause=st.sampled_from(["1", "2", "4.2", "4.10"]),
    component=st.sampled_from(["hourly", "hourly", "monthly"]),
    profile=st.sampled_from(["", "", "ccx23", "cax11"]),
    family=st.sampled_from(["", "", "*", "c*", "ccx*", "ccx2?", "cax*"]),
    location=st.sampled_from(["", "", "fsn1", "hel1"]),
    kind=st.sampled_from(["fixed", "percent"]),
    amount=amounts,
    currency=st.just(""),
    minimum=st.none() | amounts,
).map(lambda clause: replace(clause, currency=clause.agreement.currency))
contracts = st.lists(written, max_size=12, unique_by=lambda clause: (clause.agreement.number, clause.clause))


def speaks_of(clause, price):
    """Whether the clause is about an hour of ccx23 in fsn1 today, whatever its currency."""
    end = clause.agreement.valid_until or TODAY + 9 * DAY
    days = {clause.agreement.valid_from + DAY * number for number in range((end - clause.agreement.valid_from).days)}
    pattern = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in clause.family)
    return (
        TODAY in days
        and clause.component == price.component
        and not (clause.profile and clause.profile != "ccx23")
        and (clause.family == "" or re.fullmatch(pattern, "ccx23") is not None)
        and not (clause.location and clause.location != "fsn1")
    )


def beats(one, other):
    """One duel: the first question on which they differ decides."""
    numbers = ["KF-1", "KF-2", "KF-10"], ["1", "2", "4.2", "4.10"]
    patterns = ["ccx2?", "ccx*", "c*", "*"]
    questions = [
        lambda clause: 0 if clause.profile else 1,
        lambda clause: 0 if clause.profile else (patterns.index(clause.family) if clause.family else 9),
        lambda clause: 0 if clause.location else 1,
        lambda clause: (TODAY - clause.agreement.valid_from).days,
        lambda clause: numbers[0].index(clause.agreement.number),
        lambda clause: numbers[1].index(clause.clause),
    ]
    for question in questions:
        if question(one) != question(other):
            return question(one) < question(other)
    raise AssertionError("two clauses with the same number")


def ten_decimals(exact):
    """A fraction as the number of 1E-10 in it; a tie goes to the even one, as `round` does with a Fraction."""
    return round(exact * 10**10)


def second_opinion(clause, price):
    listed = Fraction(str(price.amount))
    if clause is None:
        return ten_decimals(listed)
    amount = Fraction(str(clause.amount))
    paid = listed * amount / 100 if clause.kind == "percent" else amount
    floor = Fraction(str(clause.minimum)) if clause.minimum is not None else Fraction(0)
    return ten_decimals(paid if paid >= floor else floor)


def leaves(value):
    """Every plain value inside dataclasses and tuples."""
    if is_dataclass(value):
        return [leaf for field in fields(value) for leaf in leaves(getattr(value, field.name))]
    return [leaf for item in value for leaf in leaves(item)] if isinstance(value, tuple) else [value]


@given(contracts, amounts)
def test_a_second_calculator_finds_the_same_price_and_the_same_clause(clauses, amount):
    price = ListPrice("hourly", amount, "EUR")
    found = line(*clauses, price=price)
    speaking = [clause for clause in clauses if speaks_of(clause, price)]
    euros = [clause for clause in speaking if clause.currency == "EUR"]
    best = next((one for one in euros if all(one is other or beats(one, other) for other in euros)), None)
    assert (found.agreement, found.clause) == (best and best.agreement.number, best and best.clause)
    assert Fraction(str(found.agreed)) * 10**10 == second_opinion(best, price)
    assert found.list == amount
    # Each clause that speaks of the price is in exactly one part: it won, it lost, or it is in another currency.
    parts = [*([best] if best else []), *found.overruled, *(one.clause for one in found.ignored)]
    assert sorted(map(id, parts)) == sorted(map(id, speaking))
    assert all(beats(one, other) for one, other in zip(found.overruled, found.overruled[1:], strict=False))
    assert all(one.clause.currency == "USD" for one in found.ignored)


@given(st.data(), contracts, amounts)
def test_the_order_of_the_clauses_changes_nothing_and_no_float_comes_out(data, clauses, amount):
    price = ListPrice("hourly", amount, "EUR")
    shuffled = data.draw(st.permutations(clauses))
    assert line(*shuffled, price=price) == line(*clauses, price=price)
    assert not [leaf for leaf in leaves(line(*clauses, price=price)) if isinstance(leaf, float)]


@given(amounts, st.none() | amounts, st.lists(st.integers(0, 744), min_size=1, max_size=6))
def test_the_parts_of_a_month_sum_to_the_whole_until_the_cap(hourly, cap, parts):
    whole = monthly_estimate(hourly, cap, sum(parts))
    together = sum((Fraction(str(monthly_estimate(hourly, cap, part))) for part in parts), Fraction(0))
    capped = together if cap is None else min(together, Fraction(str(cap)))
    assert (type(whole), Fraction(str(whole))) == (Decimal, capped)
