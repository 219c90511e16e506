"""Price lists as a whole: the book answers what a single price line does, and a quote is the sum of its parts.

The second calculator knows no Decimal arithmetic, no sorting and no caching: fractions, days one by one, duels.
"""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rules.test_pricing import leaves, ten_decimals
from workspaces.rules.pricing import COMPONENTS, Agreement, Clause, ListPrice, PriceBook, PriceLine, Quote, price_line

TODAY = date(2026, 11, 24)
KF = Agreement("KF-1", date(2026, 3, 1), date(2027, 3, 1), "EUR")
LATER = Agreement("KF-2", date(2026, 6, 1), None, "EUR")
CLAUSES = (
    Clause(KF, "1", "setup", "", "", "", "fixed", Decimal(4), "EUR"),
    Clause(KF, "2", "setup", "", "ccx*", "", "fixed", Decimal(0), "EUR"),
    Clause(KF, "3", "hourly", "", "ccx*", "", "percent", Decimal(88), "EUR"),
    Clause(KF, "4", "monthly", "", "ccx*", "", "percent", Decimal(88), "EUR"),
    Clause(LATER, "1", "monthly", "", "", "", "percent", Decimal(50), "EUR", Decimal("12.00")),
    Clause(LATER, "2", "primary_ip", "", "", "hel1", "fixed", Decimal("0.4"), "EUR"),
)
LISTED = {
    "setup": Decimal("0E-10"),
    "hourly": Decimal("0.0457000000"),
    "monthly": Decimal("28.4900000000"),
    "traffic": Decimal("1.0000000000"),
    "backup": Decimal("5.6980000000"),
    "primary_ip": Decimal("0.5000000000"),
}


def prices(currency="EUR", **amounts):
    """The list prices of a profile; None for one that is not known."""
    return [
        ListPrice(component, amount, currency) for component, amount in (LISTED | amounts).items() if amount is not None
    ]


def quote(profile="ccx23", location="fsn1", *, clauses=CLAUSES, day=TODAY, **amounts):
    return PriceBook(clauses, day).quote(profile, location, prices(**amounts))


# --- Golden cases -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("profile", "location", "agreed"),
    [
        ("ccx23", "fsn1", ["0 2", "0.040216 3", "25.0712 4", "1 -", "5.698 -", "0.5 -"]),
        ("ccx23", "hel1", ["0 2", "0.040216 3", "25.0712 4", "1 -", "5.698 -", "0.4 2"]),
        ("cpx32", "hel1", ["4 1", "0.0457 -", "14.245 1", "1 -", "5.698 -", "0.4 2"]),
        ("ccx", "nbg1", ["0 2", "0.040216 3", "25.0712 4", "1 -", "5.698 -", "0.5 -"]),
    ],
)
def test_a_quote_has_a_line_for_each_component_with_the_clause_that_sets_it(profile, location, agreed):
    found = quote(profile, location)
    assert [line.component for line in found.lines] == list(COMPONENTS)
    assert [f"{line.agreed.normalize():f} {line.clause or '-'}" for line in found.lines] == agreed
    assert [line.list for line in found.lines] == list(LISTED.values())
    assert (found.profile, found.location, found.currency) == (profile, location, "EUR")


def test_a_minimum_holds_where_the_percentage_would_go_below_it():
    assert quote("cpx12", monthly=Decimal("23.99")).monthly == Decimal("12.00")
    assert quote("cpx12", monthly=Decimal("24.01")).monthly == Decimal("12.005")


@pytest.mark.parametrize(
    ("day", "monthly"),
    [
        (date(2026, 2, 28), "28.49"),
        (date(2026, 3, 1), "25.0712"),
        (date(2027, 2, 28), "25.0712"),
        (date(2027, 3, 1), "14.245"),
    ],
)
def test_the_day_an_agreement_ends_is_not_in_it(day, monthly):
    assert quote(day=day).monthly == Decimal(monthly)


def test_the_order_of_list_prices_does_not_matter_and_neither_does_the_callers_arithmetic():
    book = PriceBook(CLAUSES, TODAY)
    with localcontext(prec=2, rounding="ROUND_UP"):
        assert book.quote("ccx23", "fsn1", prices()[::-1]) == quote()
        assert quote().monthly_total == Decimal("25.5712")
        assert quote().list_monthly_total == Decimal("28.99")


def test_a_component_whose_list_price_is_not_known_has_no_line_and_is_not_free():
    found = quote(backup=None, primary_ip=None)
    assert [line.component for line in found.lines] == ["setup", "hourly", "monthly", "traffic"]
    assert (found.line("primary_ip"), found.line("backup")) == (None, None)
    assert (found.monthly_total, found.list_monthly_total) == (Decimal("25.0712"), Decimal("28.49"))
    with pytest.raises(LookupError, match=r"The monthly price of ccx23 in fsn1 is not known\."):
        _ = quote(monthly=None).monthly


def test_a_quote_is_in_one_currency():
    with pytest.raises(ValueError, match="unpack"):
        PriceBook(CLAUSES, TODAY).quote("ccx23", "fsn1", [*prices(), ListPrice("setup", Decimal(0), "USD")])
    with pytest.raises(ValueError, match="unpack"):
        PriceBook(CLAUSES, TODAY).quote("ccx23", "fsn1", [])


def test_a_clause_of_unknown_kind_is_an_error_and_not_a_price():
    rebate = (replace(CLAUSES[0], kind="rebate"),)
    with pytest.raises(ValueError, match=r"Clause 1 of KF-1 is of an unknown kind: rebate\."):
        quote("cpx32", clauses=rebate)


# --- Confirmed and stored ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("amount", "confirms"),
    [
        ("25.0712", True),
        ("25.07120", True),
        ("0.040216", True),
        ("25.07", False),
        ("0.0402", False),
        ("28.49", False),
        ("25.5712", False),
        ("0", False),
    ],
)
def test_who_names_the_agreed_monthly_or_hourly_price_exactly_has_seen_it(amount, confirms):
    assert quote().confirms(Decimal(amount)) is confirms


def test_a_quote_is_stored_as_text_and_comes_back_the_same():
    document = quote(location="hel1").document()
    assert document["components"][2] == {
        "component": "monthly",
        "list": "28.4900000000",
        "agreed": "25.0712000000",
        "agreement": "KF-1",
        "clause": "4",
    }
    assert document["components"][3] == {
        "component": "traffic",
        "list": "1.0000000000",
        "agreed": "1.0000000000",
        "agreement": "",
        "clause": "",
    }
    assert document["components"][0]["list"] == "0.0000000000"
    back = Quote.of(json.loads(json.dumps(document)))
    assert back.document() == document
    assert back.same_price(quote(location="hel1"))
    assert back.lines[3] == PriceLine("traffic", Decimal(1), Decimal(1), "EUR", None, None)
    assert (back.line("monthly").agreement, back.line("monthly").clause) == ("KF-1", "4")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (quote(), True),
        (quote("ccx23", "hel1"), False),
        (quote("ccx99", "nbg1"), True),
        (quote(clauses=[replace(clause, clause=f"9.{clause.clause}") for clause in CLAUSES]), True),
        (quote(backup=Decimal("5.6980000001")), False),
        (quote(backup=None), False),
        (PriceBook((), TODAY).quote("ccx23", "fsn1", prices()), False),
        (replace(quote(), currency="USD"), False),
    ],
)
def test_a_price_is_the_same_when_every_component_and_the_currency_are(other, same):
    assert quote().same_price(other) is same


# --- Against a second calculator --------------------------------------------------------------------------------------
NAMES = ("ccx23", "ccx33", "cx22", "cax11", "cpx2")
PLACES = ("fsn1", "hel1", "ash")
PATTERNS = {  # pattern -> text before its first wildcard, and those of NAMES that it matches, written down by hand
    "*": ("", NAMES),
    "c*": ("c", NAMES),
    "ccx*": ("ccx", ("ccx23", "ccx33")),
    "ccx2?": ("ccx2", ("ccx23",)),
    "c?x*": ("c", ("ccx23", "ccx33", "cax11", "cpx2")),
    "cx*": ("cx", ("cx22",)),
    "*2": ("", ("cx22", "cpx2")),
    "gpu*": ("gpu", ()),
}
NUMBERS = ("KF-1", "KF-2", "KF-10")
CLAUSE_NUMBERS = ("1", "2", "4.2", "4.10")

money = st.decimals(min_value=0, max_value=500, places=10)
agreements = st.builds(
    Agreement,
    number=st.sampled_from(NUMBERS),
    valid_from=st.sampled_from([TODAY - timedelta(2), TODAY - timedelta(1), TODAY, TODAY + timedelta(1)]),
    valid_until=st.sampled_from([None, TODAY, TODAY + timedelta(1), TODAY + timedelta(2)]),
    currency=st.sampled_from(["EUR", "EUR", "EUR", "USD"]),
)
clauses_of = st.lists(
    st.builds(
        Clause,
        agreement=agreements,
        clause=st.sampled_from(CLAUSE_NUMBERS),
        component=st.sampled_from(COMPONENTS),
        profile=st.sampled_from(["", "", "", *NAMES[:3]]),
        family=st.sampled_from(["", "", *PATTERNS]),
        location=st.sampled_from(["", "", *PLACES[:2]]),
        kind=st.sampled_from(["fixed", "percent"]),
        amount=st.sampled_from([Decimal(0), Decimal(100), Decimal("112.5")]) | money,
        currency=st.just("EUR"),
        minimum=st.none() | st.none() | money,
    ).map(lambda clause: replace(clause, currency=clause.agreement.currency)),
    max_size=20,
    unique_by=lambda clause: (clause.agreement.number, clause.clause),
)
listed = st.fixed_dictionaries(dict.fromkeys(COMPONENTS, money))


def speaks(clause, profile, location, component):
    """Days are counted, one after the other, from the first; the last one is never reached."""
    day, end = clause.agreement.valid_from, clause.agreement.valid_until or TODAY + timedelta(9)
    days = []
    while day < end:
        days.append(day)
        day += timedelta(1)
    if TODAY not in days or clause.component != component:
        return False
    if clause.profile and clause.profile != profile:
        return False
    if clause.family and profile not in PATTERNS[clause.family][1]:
        return False
    return not clause.location or clause.location == location


def rank(clause):
    """Bigger is better, as in a card game."""
    score = 0
    score = score * 100 + (99 if clause.profile else len(PATTERNS[clause.family][0]) + 1 if clause.family else 0)
    score = score * 2 + bool(clause.location)
    score = score * 1000 + 500 - (TODAY - clause.agreement.valid_from).days
    score = score * 10 + 9 - NUMBERS.index(clause.agreement.number)
    return score * 10 + 9 - CLAUSE_NUMBERS.index(clause.clause)


def cents(text):
    """A decimal as a fraction, through its text."""
    return Fraction(str(text))


def by_hand(clauses, profile, location, component, amount):
    """The winner and what is paid, in units of 1E-10."""
    best = None
    for clause in clauses:
        speaking = speaks(clause, profile, location, component) and clause.currency == "EUR"
        if speaking and (best is None or rank(clause) > rank(best)):
            best = clause
    paid = cents(amount)
    if best and best.kind == "fixed":
        paid = cents(best.amount)
    elif best:
        paid = paid * cents(best.amount) / 100
    if best and best.minimum is not None and paid < cents(best.minimum):
        paid = cents(best.minimum)
    return best, ten_decimals(paid)


@settings(max_examples=150, deadline=None)
@given(clauses_of, listed, st.sampled_from(NAMES), st.sampled_from(PLACES))
def test_a_second_calculator_quotes_the_same_and_the_parts_sum_to_the_total(clauses, amounts, profile, location):
    found = PriceBook(clauses, TODAY).quote(profile, location, prices(**amounts))
    whole = {}
    for component in COMPONENTS:
        best, paid = by_hand(clauses, profile, location, component, amounts[component])
        line = found.line(component)
        assert (line.agreement, line.clause) == ((best.agreement.number, best.clause) if best else (None, None))
        assert cents(line.agreed) * 10**10 == paid
        whole[component] = Fraction(paid, 10**10)
    assert cents(found.monthly_total) == whole["monthly"] + whole["primary_ip"]
    assert cents(found.list_monthly_total) == cents(amounts["monthly"]) + cents(amounts["primary_ip"])
    values = [*leaves(found), found.monthly_total, found.list_monthly_total, found.setup, found.hourly, found.monthly]
    assert not [value for value in values if isinstance(value, float)]
    assert Quote.of(found.document()).same_price(found)
    assert found.confirms(found.hourly)


@settings(max_examples=150, deadline=None)
@given(st.data(), clauses_of, listed)
def test_the_book_answers_what_a_price_line_does_in_whatever_order_the_clauses_come(data, clauses, amounts):
    book = PriceBook(data.draw(st.permutations(clauses)), TODAY)
    for profile in NAMES:
        for location in PLACES:
            for price in prices(**amounts):
                # Each twice: the second time from what the book has kept.
                for _ in range(2):
                    assert book.line(profile, location, price) == price_line(profile, location, price, clauses, TODAY)
            contest = book.contest(profile, location, "hourly", "EUR")
            line = book.line(profile, location, prices(**amounts)[1])
            assert contest[1:] == line.overruled
            assert (contest[0].clause if contest else None) == line.clause
