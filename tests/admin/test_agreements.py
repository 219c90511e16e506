"""Agreements and their clauses: refused in words what is none, and said what may not have been meant."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.test import Client

from tests import cast
from tests.admin.forms import address, agreement, errors, last, trail
from workspaces.models import BillingAgreement, Event, PriceOverride

ADD = "/admin/workspaces/billingagreement/add/"


def warnings(answer: Any) -> list[str]:
    """What is pointed out after a save."""
    return [str(message) for message in answer.context["messages"] if message.level_tag == "warn"]


def contract(number: str, first: date, until: date | None = None, of: str = "Kestrel Freight", **clause: Any) -> None:
    """An agreement with one clause 7 on the hourly price."""
    older = BillingAgreement.objects.create(
        organization=cast.organization(of), number=number, valid_from=first, valid_until=until, currency="EUR"
    )
    values = {"clause": "7", "component": "hourly", "kind": "percent", "amount": 95} | clause
    PriceOverride.objects.create(agreement=older, **values)


def test_an_agreement_is_added_with_its_clauses_and_an_event_each_under_one_request(as_root: Client) -> None:
    kestrel = cast.organization("Kestrel Freight")
    assert as_root.post(ADD, agreement(kestrel, {"family": "ccx*"}, {"component": "setup"})).status_code == 302
    assert PriceOverride.objects.count() == 2
    events = Event.objects.row_changes().exclude(request_id=None).order_by("id")
    assert [event.summary for event in events] == [
        "Added agreement KF-1",
        "Added agreement clause 1",
        "Added agreement clause 2",
    ]
    assert len({event.request_id for event in events}) == 1
    assert {event.organization_id for event in events} == {kestrel.pk}


def test_a_clause_that_changes_keeps_before_and_after(as_root: Client, rows: Any) -> None:
    clause = PriceOverride.objects.get()
    data = agreement(rows["organization"], {"clause": "4.1", "amount": "80", "id": str(clause.pk)}, number="KF-2026")
    data |= {"overrides-INITIAL_FORMS": 1}
    assert as_root.post(address("billingagreement", rows["billingagreement"]), data).status_code == 302
    assert last().summary == "Changed amount of agreement clause 4.1"
    assert trail() == [("agreement_clause.changed", {"amount": [90.0, 80.0]})]


def test_a_validity_that_ends_before_it_starts_is_refused_in_words(as_root: Client) -> None:
    data = agreement(cast.organization("Kestrel Freight"), valid_until="2026-01-01")
    answer = as_root.post(ADD, data)
    assert "Enter a day after the first one: on this day it no longer holds." in errors(answer)


@pytest.mark.parametrize(
    ("clause", "sentence"),
    [
        ({"amount": "-1"}, "Enter an amount of 0 or more."),
        ({"amount": "9000"}, "Enter a percentage from 0 to 1000."),
        ({"profile": "ccx23", "family": "ccx*"}, "Choose one: the profile or the family."),
    ],
)
def test_a_clause_that_is_none_is_refused_in_words(as_root: Client, clause: dict[str, str], sentence: str) -> None:
    data = agreement(cast.organization("Kestrel Freight"), clause)
    assert sentence in errors(as_root.post(ADD, data))
    assert not BillingAgreement.objects.exists()


@pytest.mark.parametrize("clause", [{"profile": "ccx23"}, {"family": "ccx*"}, {}, {"kind": "fixed", "amount": "9000"}])
def test_a_clause_speaks_of_a_profile_or_a_family_or_of_all(as_root: Client, clause: dict[str, str]) -> None:
    answer = as_root.post(ADD, agreement(cast.organization("Kestrel Freight"), clause), follow=True)
    assert BillingAgreement.objects.count() == 1
    assert warnings(answer) == []


def test_a_clause_above_the_list_price_is_pointed_out(as_root: Client) -> None:
    answer = as_root.post(ADD, agreement(cast.organization("Kestrel Freight"), {"amount": "112.5"}), follow=True)
    assert warnings(answer) == ["KF-1 1 is dearer than the list: 112.5 %."]


def test_agreements_that_hold_at_the_same_time_are_named_with_their_clauses_and_the_one_that_wins(
    as_root: Client,
) -> None:
    contract("OLD", date(2025, 1, 1), date(2026, 1, 1))  # its last day is the day before the new one starts
    contract("RUNNING", date(2025, 6, 1), family="ccx*")
    contract("LATER", date(2026, 4, 1), date(2026, 7, 1), component="setup")
    contract("FOREIGN", date(2025, 6, 1), of="Fjordline")
    kestrel = cast.organization("Kestrel Freight")
    answer = as_root.post(ADD, agreement(kestrel, {"family": "ccx*"}, {"component": "setup"}), follow=True)
    assert warnings(answer) == [
        "KF-1 and LATER both hold from 2026-04-01 to 2026-07-01 and set the same price in clauses 2 and 7 (setup). "
        "LATER wins, as its validity starts later.",
        "KF-1 and RUNNING both hold from 2026-01-01 on and set the same price in clauses 1 and 7 (hourly ccx*). "
        "KF-1 wins, as its validity starts later.",
    ]


def test_agreements_in_different_currencies_do_not_overlap(as_root: Client) -> None:
    contract("RUNNING", date(2025, 6, 1))
    data = agreement(cast.organization("Kestrel Freight"), {}, currency="USD")
    assert warnings(as_root.post(ADD, data, follow=True)) == []


def test_agreements_of_the_same_day_and_clauses_that_do_not_meet_are_told_apart(as_root: Client) -> None:
    contract("SAME", date(2026, 1, 1))
    contract("WIDER", date(2025, 6, 1), family="cx*")
    answer = as_root.post(ADD, agreement(cast.organization("Kestrel Freight"), {}), follow=True)
    assert warnings(answer) == [
        "KF-1 and SAME both hold from 2026-01-01 on and set the same price in clauses 1 and 7 (hourly). "
        "Both are valid from the same day, so the lower number wins.",
        "KF-1 and WIDER both hold from 2026-01-01 on. Where clauses of both match, the more specific one wins.",
    ]


def test_two_clauses_of_one_agreement_on_the_same_price_are_named(as_root: Client) -> None:
    answer = as_root.post(ADD, agreement(cast.organization("Kestrel Freight"), {}, {"amount": "80"}), follow=True)
    assert warnings(answer) == ["KF-1 1 and KF-1 2 set the same price: hourly. The lower number wins."]
