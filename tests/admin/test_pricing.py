"""Agreements in the admin: what is refused, what is pointed out, and the table of clauses that lose to others."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client

from tests import cast
from tests.admin.forms import address, agreement, errors
from workspaces.models import BillingAgreement, ComputeProfile, PriceOverride, ProfileLocation, ProviderAccount

ADD = "/admin/workspaces/billingagreement/add/"


def warnings(answer: Any) -> list[str]:
    """What is pointed out after a save."""
    return [str(message) for message in answer.context["messages"] if message.level_tag == "warn"]


def contract(number: str, first: date, *clauses: dict[str, Any], until: date | None = None) -> BillingAgreement:
    """An agreement of Kestrel Freight with clauses 1, 2, … of 90 % of the hourly price."""
    made = BillingAgreement.objects.create(
        organization=cast.organization("Kestrel Freight"), number=number, valid_from=first, valid_until=until
    )
    for position, clause in enumerate(clauses, 1):
        values = {"clause": str(position), "component": "hourly", "kind": "percent", "amount": 90} | clause
        PriceOverride.objects.create(agreement=made, **values)
    return made


@pytest.fixture
def sold(db: None) -> ProviderAccount:
    """An account of Kestrel Freight that was told about three profiles in fsn1 and hel1, in EUR."""
    account = ProviderAccount.objects.create(
        organization=cast.organization("Kestrel Freight"), name="Kestrel cloud", token="t"
    )
    for name in ("ccx13", "ccx23", "cpx22"):
        profile = ComputeProfile.objects.create(
            provider_account=account, name=name, cores=2, memory_gb=8, disk_gb=80, architecture="x86"
        )
        for location in ("fsn1", "hel1"):
            ProfileLocation.objects.create(profile=profile, location=location, currency="EUR", hourly=1, monthly=9)
    return account


def table(client: Client, row: BillingAgreement) -> list[str]:
    """The rows of the table on the agreement's page, a line each."""
    page = client.get(address("billingagreement", row)).content.decode()
    (found,) = re.findall(r"<table><thead>.*?<tbody>(.*?)</tbody></table>", page, re.DOTALL)
    return [
        " | ".join(unescape(cell).replace("<br>", " ") for cell in re.findall(r"<td>(.*?)</td>", line))
        for line in re.findall(r"<tr>(.*?)</tr>", found)
    ]


@pytest.mark.parametrize(
    ("clause", "sentence"),
    [
        ({"family": "CCX*"}, "Enter lower-case letters and digits, * for any text and ? for one character"),
        ({"family": "ccx[12]*"}, "Enter lower-case letters and digits, * for any text and ? for one character"),
        ({"family": "ccx"}, "Enter a pattern such as ccx*, or enter this as the profile."),
        ({"family": "*"}, "Leave it empty: without profile and family the clause is for all."),
        ({"profile": "ccx*"}, "Enter a whole name such as ccx23. A pattern is entered as the family."),
        ({"location": "fsn1, hel1"}, "Enter one location such as fsn1. Empty: everywhere."),
        ({"minimum": "-1"}, "Enter a minimum of 0 or more, or none."),
        ({"kind": "fixed", "amount": "2", "minimum": "2.01"}, "Enter a minimum of at most the amount"),
        ({"amount": "1000.01"}, "Enter a percentage from 0 to 1000."),
    ],
)
def test_a_clause_that_says_something_else_than_it_seems_is_refused(
    as_root: Client, clause: dict[str, str], sentence: str
) -> None:
    data = agreement(cast.organization("Kestrel Freight"), clause)
    assert sentence in errors(as_root.post(ADD, data))
    assert not BillingAgreement.objects.exists()


@pytest.mark.parametrize(
    "clause", [{"minimum": "0"}, {"kind": "fixed", "amount": "2", "minimum": "2"}, {"amount": "0"}]
)
def test_a_clause_at_the_bounds_is_taken(as_root: Client, clause: dict[str, str]) -> None:
    assert as_root.post(ADD, agreement(cast.organization("Kestrel Freight"), clause)).status_code == 302


@pytest.mark.parametrize("currency", ["eur", "EU", "€"])
def test_a_currency_is_three_capital_letters(as_root: Client, currency: str) -> None:
    data = agreement(cast.organization("Kestrel Freight"), currency=currency)
    assert "Enter three capital letters, such as EUR." in errors(as_root.post(ADD, data))


def test_an_agreement_in_a_currency_that_no_price_list_has_is_pointed_out(as_root: Client, sold: Any) -> None:
    data = agreement(sold.organization, {}, currency="USD")
    assert warnings(as_root.post(ADD, data, follow=True)) == [
        "KF-1 is in USD, the price lists of Kestrel Freight in EUR: no effect."
    ]


def test_clauses_for_profiles_and_locations_that_nobody_knows_are_pointed_out(as_root: Client, sold: Any) -> None:
    clauses = [{"family": "cax*"}, {"profile": "ccx99"}, {"family": "ccx?3", "location": "sin"}, {"family": "cp*"}]
    answer = as_root.post(ADD, agreement(sold.organization, *clauses), follow=True)
    assert warnings(answer) == [
        "KF-1 1 matches no known profile: cax*.",
        "KF-1 2 matches no known profile: ccx99.",
        "KF-1 3 matches no known profile: ccx?3 in sin.",
    ]


def test_partial_overlaps_are_shown_with_the_profiles_that_lose_and_the_days(as_root: Client, sold: Any) -> None:
    old = contract("OLD", date(2026, 1, 1), {"family": "ccx*"}, {"component": "setup", "kind": "fixed"})
    new = contract(
        "NEW", date(2026, 6, 1), {"profile": "ccx23", "location": "fsn1"}, {"location": "hel1"}, until=date(2027, 1, 1)
    )
    contract("LONG AGO", date(2020, 1, 1), {}, until=date(2026, 1, 1))
    expected = [
        "NEW 1 ccx23 in fsn1 | OLD 1 ccx* | Hourly | ccx23 | fsn1 | 2026-06-01 to 2027-01-01",
        "OLD 1 ccx* | NEW 2 any profile in hel1 | Hourly | ccx13, ccx23 | hel1 | 2026-06-01 to 2027-01-01",
    ]
    assert table(as_root, old) == expected
    assert table(as_root, new) == expected


def test_without_an_overlap_the_page_says_so_and_a_new_agreement_has_none_yet(as_root: Client, sold: Any) -> None:
    alone = contract("ALONE", date(2026, 1, 1), {"family": "ccx*"}, {"family": "cpx*"})
    page = as_root.get(address("billingagreement", alone)).content.decode()
    assert "None: no clause takes a price from another one." in page
    assert "Told when it is saved." in as_root.get(ADD).content.decode()


def test_what_somebody_writes_into_a_clause_is_text_on_the_page(as_root: Client, sold: Any) -> None:
    row = contract("KF-<b>", date(2026, 1, 1), {"clause": "<i>"}, {"clause": "2"})
    page = as_root.get(address("billingagreement", row)).content.decode()
    assert "KF-&lt;b&gt; &lt;i&gt;" in page
    assert "<i>" not in page


def test_an_accounts_page_shows_how_servers_are_ordered_and_what_was_told_when(as_root: Client, sold: Any) -> None:
    ProviderAccount.objects.update(
        profiles_checked_at=cast.NOW, profiles_error_code="credential", profiles_error="Token refused.", server_limit=40
    )
    page = as_root.get(address("provideraccount", sold)).content.decode()
    for name in ("image", "ssh_key", "connection", "server_limit"):
        assert f'name="{name}"' in page
    for name in ("profiles_checked_at", "profiles_error_code", "profiles_error"):
        assert f'name="{name}"' not in page
    assert "Token refused." in page
    data = {"name": "Kestrel cloud", "kind": "hetzner", "organization": str(sold.organization_id), "credential": ""}
    data |= {"image": "debian-12", "connection": '{"ansible_port": 2222}', "server_limit": "50", "profiles_error": "x"}
    assert as_root.post(address("provideraccount", sold), data).status_code == 302
    sold.refresh_from_db()
    assert (sold.image, sold.connection, sold.server_limit) == ("debian-12", {"ansible_port": 2222}, 50)
    assert sold.profiles_error == "Token refused."


def test_amounts_keep_ten_decimals(as_root: Client) -> None:
    clause = {"kind": "fixed", "amount": "0.0123456789", "minimum": "0.0000000001"}
    as_root.post(ADD, agreement(cast.organization("Kestrel Freight"), clause))
    row = PriceOverride.objects.get()
    assert (row.amount, row.minimum) == (Decimal("0.0123456789"), Decimal("0.0000000001"))
