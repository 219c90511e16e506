"""What the hosts of a workspace cost, from rows."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from tests import cast
from workspaces.models import (
    BillingAgreement,
    ComputeProfile,
    Host,
    PriceOverride,
    ProfileLocation,
    ProviderAccount,
    Workspace,
)
from workspaces.models.price_list import account_of, clauses_of, find_offer, lines_of, price_list
from workspaces.rules.pricing import PriceLine

TODAY = cast.NOW.date()
CCX23 = (Decimal("0.0400"), Decimal("24.9900"))


def account(name: str = "hetzner", of: str = "Kestrel Freight") -> ProviderAccount:
    """The cloud account of that name."""
    organization = cast.organization(of)
    return ProviderAccount.objects.get_or_create(organization=organization, name=name, defaults={"token": "t"})[0]


def offered(name="ccx23", prices=CCX23, *, by=None, location="fsn1", currency="EUR", **fields) -> ProfileLocation:
    """A profile of the account with its list prices at a location."""
    size = {"cores": 4, "memory_gb": 16, "disk_gb": 160, "architecture": "x86"}
    profile, _ = ComputeProfile.objects.get_or_create(
        provider_account=by or account(), name=name, defaults=size | fields
    )
    hourly, monthly = prices
    return ProfileLocation.objects.create(
        profile=profile, location=location, currency=currency, hourly=hourly, monthly=monthly
    )


def contract(number: str = "KF-1", *clauses: tuple[str, str, str], of: str = "Kestrel Freight", **fields):
    """An agreement of 2026 in which each clause (number, component, percent) covers every profile."""
    validity = {"valid_from": date(2026, 1, 1), "valid_until": date(2027, 1, 1)}
    made = BillingAgreement.objects.create(organization=cast.organization(of), number=number, **(validity | fields))
    for clause, component, percent in clauses:
        PriceOverride.objects.create(
            agreement=made, clause=clause, component=component, kind="percent", amount=Decimal(percent)
        )
    return made


def priced(workspace: Workspace, day: date = TODAY):
    return lines_of(Workspace.objects.select_related("project").get(pk=workspace.pk), day)


@pytest.fixture
def rented(workspace) -> Workspace:
    """ledger-prod with its three ccx23 in fsn1 rented from the account."""
    Host.objects.update(provider_account=account())
    return workspace


def test_every_host_has_its_list_and_agreed_price_and_the_clause_of_each_component(rented):
    offered()
    contract("KF-1", ("4.1", "hourly", "80"), ("4.2", "monthly", "50"))
    hosts = priced(rented)
    assert [(host.name, host.profile, host.location) for host in hosts] == [
        ("ledger-prod-w1", "ccx23", "fsn1"),
        ("ledger-prod-w2", "ccx23", "fsn1"),
        ("ledger-prod-w3", "ccx23", "fsn1"),
    ]
    assert hosts[0].host == Host.objects.get(name="ledger-prod-w1").pk
    for host in hosts:
        assert host.hourly == PriceLine("hourly", Decimal("0.04"), Decimal("0.032"), "EUR", "KF-1", "4.1")
        assert host.monthly == PriceLine("monthly", Decimal("24.99"), Decimal("12.495"), "EUR", "KF-1", "4.2")
        assert type(host.hourly.agreed) is Decimal


def test_a_clause_about_one_component_leaves_the_other_as_list(rented):
    offered()
    contract("KF-1", ("4.1", "hourly", "80"))
    host = priced(rented)[0]
    assert (host.hourly.agreed, host.monthly.agreed) == (Decimal("0.032"), Decimal("24.99"))
    assert (host.monthly.agreement, host.monthly.clause) == (None, None)


def test_profile_family_location_and_kind_come_from_the_rows(rented):
    offered()
    agreement = contract("KF-1", ("1", "hourly", "99"))
    common = {"agreement": agreement, "component": "hourly", "kind": "fixed"}
    PriceOverride.objects.create(clause="2", family="ccx*", amount=Decimal("0.0300"), **common)
    PriceOverride.objects.create(clause="3", profile="ccx33", amount=Decimal("0.0200"), **common)
    PriceOverride.objects.create(clause="4", location="hel1", profile="ccx23", amount=Decimal("0.0100"), **common)
    line = priced(rented)[0].hourly
    assert (line.clause, line.agreed) == ("2", Decimal("0.03"))
    assert [clause.clause for clause in line.overruled] == ["1"]


@pytest.mark.parametrize(
    "unknown",
    [
        {"profile": "ccx99"},
        {"profile": ""},
        {"location": "nbg1"},
        {"location": ""},
        {"provider_account": None},
    ],
)
def test_a_host_whose_price_is_not_known_has_none_and_is_not_free(rented, unknown):
    offered()
    offered("cax11", location="nbg1")
    contract("KF-1", ("4.1", "hourly", "80"))
    Host.objects.filter(name="ledger-prod-w2").update(**unknown)
    hosts = priced(rented)
    assert [host.name for host in hosts if host.hourly is None] == ["ledger-prod-w2"]
    assert [host.name for host in hosts if host.monthly is None] == ["ledger-prod-w2"]


def test_existing_machines_are_listed_without_a_price(metal):
    hosts = priced(metal)
    assert [(host.name, host.hourly, host.monthly) for host in hosts] == [
        ("customs-archive-1", None, None),
        ("customs-archive-2", None, None),
    ]


def test_a_host_costs_what_its_own_account_was_told(rented):
    offered()
    offered(prices=(Decimal("0.0700"), Decimal("40")), by=account("second"))
    Host.objects.filter(name="ledger-prod-w3").update(provider_account=account("second"))
    assert [host.hourly.list for host in priced(rented)] == [Decimal("0.04"), Decimal("0.04"), Decimal("0.07")]


def test_each_location_has_its_own_price(rented):
    offered()
    offered(prices=(Decimal("0.0500"), Decimal("30")), location="hel1", currency="USD")
    Host.objects.filter(name="ledger-prod-w3").update(location="hel1")
    contract("KF-1", ("4.1", "hourly", "80"))
    first, _, third = priced(rented)
    assert (first.hourly.agreed, first.hourly.currency) == (Decimal("0.032"), "EUR")
    assert (third.hourly.agreed, third.hourly.currency) == (Decimal("0.05"), "USD")
    assert [one.reason for one in third.hourly.ignored] == ["Clause 4.1 of KF-1 is in EUR, the list price in USD."]


def test_a_profile_that_is_no_longer_offered_still_has_its_price(rented):
    offered(active=False)
    assert priced(rented)[0].monthly.list == Decimal("24.99")


def test_the_agreements_of_another_organization_change_nothing(rented):
    offered()
    contract("FJ-1", ("4.1", "hourly", "10"), of="Fjordline")
    assert priced(rented)[0].hourly.agreement is None


@pytest.mark.parametrize(
    ("day", "clause"),
    [
        (date(2025, 12, 31), None),
        (date(2026, 1, 1), "4.1"),
        (date(2026, 12, 31), "4.1"),
        (date(2027, 1, 1), None),
    ],
)
def test_the_first_day_is_in_an_agreement_and_the_last_is_not(rented, day, clause):
    offered()
    contract("KF-1", ("4.1", "hourly", "80"))
    assert priced(rented, day)[0].hourly.clause == clause


def test_clauses_carry_their_agreement(rented):
    contract("KF-1", ("4.1", "setup", "0"), valid_until=None, currency="USD")
    (clause,) = clauses_of(rented.project.organization_id, TODAY)
    assert (clause.agreement.number, clause.agreement.valid_from, clause.agreement.valid_until) == (
        "KF-1",
        date(2026, 1, 1),
        None,
    )
    assert (clause.clause, clause.component, clause.amount, clause.minimum) == ("4.1", "setup", Decimal("0"), None)
    assert (clause.currency, clause.agreement.currency) == ("USD", "USD")


@pytest.mark.parametrize("hosts", [1, 40])
def test_four_queries_whatever_the_number_of_hosts_prices_and_clauses(db, hosts, django_assert_num_queries):
    made = cast.kubernetes(hosts=hosts)
    for number, host in enumerate(Host.objects.order_by("name")):
        profile = f"ccx{number % 8}3"
        Host.objects.filter(pk=host.pk).update(provider_account=account(), profile=profile)
        if number < 8:
            offered(profile)
        contract(f"KF-{number}", ("1", "hourly", "90"), ("2", "monthly", "90"))
    bare = Workspace.objects.get(pk=made.pk)
    with django_assert_num_queries(4):
        found = lines_of(bare, TODAY)
    assert [host.hourly.agreed for host in found] == [Decimal("0.036")] * hosts
    selected = Workspace.objects.select_related("project").get(pk=made.pk)
    with django_assert_num_queries(3):
        assert lines_of(selected, TODAY) == found


def test_the_minimum_of_a_clause_comes_from_its_row(rented):
    offered()
    agreement = contract("KF-1")
    PriceOverride.objects.create(
        agreement=agreement, clause="1", component="monthly", kind="percent", amount=50, minimum=Decimal("15.5")
    )
    assert priced(rented)[0].monthly.agreed == Decimal("15.5")


def test_a_workspace_without_hosts_costs_nothing_to_look_at(db, django_assert_max_num_queries):
    made = cast.kubernetes(hosts=0)
    with django_assert_max_num_queries(4):
        assert lines_of(Workspace.objects.get(pk=made.pk), TODAY) == []


# --- Where hosts are ordered ------------------------------------------------------------------------------------------
def test_the_only_account_of_the_organization_is_where_hosts_are_ordered(workspace):
    assert account_of(workspace) is None
    account("other", of="Fjordline")
    assert account_of(workspace) is None, "another organization's account"
    only = account()
    assert account_of(workspace) == only
    account("second")
    assert account_of(workspace) is None, "nobody said which"


def test_most_hosts_decide_between_two_accounts_and_the_workspace_overrules_them(workspace, django_assert_num_queries):
    first, second, third = account("first"), account("second"), account("third")
    Host.objects.update(provider_account=second)
    Host.objects.filter(name="ledger-prod-w1").update(provider_account=first)
    elsewhere = cast.kubernetes("elsewhere", hosts=5)
    elsewhere.hosts.update(provider_account=third)
    assert account_of(workspace) == second
    workspace.provider_account = third
    workspace.save()
    bare = Workspace.objects.get(pk=workspace.pk)
    with django_assert_num_queries(1):
        assert account_of(bare) == third


# --- What can be ordered ----------------------------------------------------------------------------------------------
@pytest.fixture
def sold(workspace):
    """ccx23 and cpx22 in fsn1 and hel1, told at cast.NOW; cx22 is withdrawn."""
    for name in ("cpx22", "ccx23", "cx22"):
        for location in ("hel1", "fsn1"):
            offered(name, location=location)
    ComputeProfile.objects.filter(name="cx22").update(active=False, withdrawn_at=cast.NOW)
    ProfileLocation.objects.update(available=True, checked_at=cast.NOW, primary_ip=Decimal("0.5"))
    ProviderAccount.objects.update(profiles_checked_at=cast.NOW)
    return workspace


def test_a_price_list_has_every_profile_at_every_location_with_agreed_prices(sold):
    kept = contract("KF-2", ("1", "hourly", "90"), valid_from=date(2026, 2, 1))
    older, ended = contract("KF-1", ("1", "monthly", "50")), contract("KF-0", valid_until=date(2026, 11, 24))
    found = price_list(sold, cast.NOW)
    assert (found.account, found.checked_at, found.error) == (account(), cast.NOW, "")
    assert found.agreements == [kept, older]
    assert ended not in found.agreements
    assert [one.profile.name for one in found.profiles] == ["ccx23", "cpx22"]
    ccx23 = found.profiles[0]
    assert [(offer.location, offer.available, offer.checked_at) for offer in ccx23.offers] == [
        ("fsn1", True, cast.NOW),
        ("hel1", True, cast.NOW),
    ]
    offer = ccx23.at("hel1")
    assert (offer.quote.hourly, offer.quote.monthly) == (Decimal("0.036"), Decimal("12.495"))
    assert (offer.quote.line("hourly").agreement, offer.quote.line("monthly").agreement) == ("KF-2", "KF-1")
    assert (offer.quote.monthly_total, offer.quote.line("backup")) == (Decimal("12.995"), None)
    assert offer.row == ProfileLocation.objects.get(profile__name="ccx23", location="hel1")
    assert (offer.row.profile, offer.row.monthly) == (ccx23.profile, Decimal("24.99"))
    assert ccx23.at("sin") is None


def test_what_is_not_offered_is_listed_only_when_asked_for(sold):
    found = price_list(sold, cast.NOW, inactive=True)
    assert [(one.profile.name, one.profile.active) for one in found.profiles] == [
        ("ccx23", True),
        ("cpx22", True),
        ("cx22", False),
    ]


def test_the_error_is_told_and_an_old_availability_is_not_known(sold, settings):
    settings.LOOPBACK_PROFILES_SECONDS = 60
    ProviderAccount.objects.update(profiles_error_code="credential", profiles_error="Token refused.")
    found = price_list(sold, cast.NOW + timedelta(minutes=4))
    assert (found.error, found.checked_at) == ("Token refused.", cast.NOW)
    assert {offer.available for one in found.profiles for offer in one.offers} == {None}
    assert found.profiles[0].at("fsn1").quote.monthly == Decimal("24.99")


def test_a_workspace_without_an_account_has_agreements_and_nothing_to_order(workspace):
    contract("KF-1", ("1", "hourly", "90"))
    found = price_list(workspace, cast.NOW)
    assert (found.account, found.checked_at, found.error, found.profiles) == (None, None, "", [])
    assert [one.number for one in found.agreements] == ["KF-1"]
    assert find_offer(workspace, uuid.uuid4(), "fsn1", cast.NOW) is None


@pytest.mark.parametrize(
    ("moment", "clause"),
    [
        (datetime(2025, 12, 31, 23, 59, 59, 999999, UTC), None),
        (datetime(2026, 1, 1, tzinfo=UTC), "4.1"),
        (datetime(2026, 12, 31, 23, 59, 59, 999999, UTC), "4.1"),
        (datetime(2027, 1, 1, tzinfo=UTC), None),
        # The same instants as somebody's clock shows them: the day is the UTC date.
        (datetime(2026, 1, 1, 0, 59, tzinfo=timezone(timedelta(hours=1))), None),
        (datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=1))), "4.1"),
        (datetime(2026, 12, 31, 18, 59, tzinfo=timezone(timedelta(hours=-5))), "4.1"),
        (datetime(2026, 12, 31, 19, 0, tzinfo=timezone(timedelta(hours=-5))), None),
    ],
)
def test_an_agreement_begins_and_ends_at_midnight_utc(sold, moment, clause):
    contract("KF-1", ("4.1", "monthly", "80"))
    found = price_list(sold, moment)
    assert found.profiles[0].at("fsn1").quote.line("monthly").clause == clause
    assert bool(found.agreements) is (clause is not None)
    offer = find_offer(sold, found.profiles[0].profile.pk, "fsn1", moment)
    assert offer.quote == found.profiles[0].at("fsn1").quote


def test_one_offer_is_found_offered_or_not_but_never_that_of_another_account(sold):
    cx22 = ComputeProfile.objects.get(name="cx22")
    offer = find_offer(sold, cx22.pk, "hel1", cast.NOW)
    assert (offer.profile, offer.row.profile.active, offer.location, offer.available) == (cx22, False, "hel1", True)
    assert find_offer(sold, cx22.pk, "sin", cast.NOW) is None
    foreign = offered("ccx63", by=account("theirs", of="Fjordline"))
    assert find_offer(sold, foreign.profile_id, "fsn1", cast.NOW) is None


@pytest.mark.parametrize(("profiles", "contracts"), [(1, 1), (60, 8)])
def test_three_queries_for_a_list_and_three_for_an_offer_whatever_their_size(
    sold, profiles, contracts, django_assert_num_queries
):
    for number in range(profiles):
        offered(f"t{number}")
    for number in range(contracts):
        contract(f"KF-{number}", *((f"{clause}", "monthly", "90") for clause in range(20)))
    bare = Workspace.objects.get(pk=sold.pk)
    with django_assert_num_queries(3):
        found = price_list(bare, cast.NOW)
        assert len(found.profiles) == profiles + 2
        assert len(found.agreements) == contracts
        for one in found.profiles:
            for offer in one.offers:
                assert (offer.quote.monthly, offer.row.profile.name) == (Decimal("22.491"), one.profile.name)
    with django_assert_num_queries(3):
        assert find_offer(bare, found.profiles[0].profile.pk, "fsn1", cast.NOW).quote.monthly == Decimal("22.491")
