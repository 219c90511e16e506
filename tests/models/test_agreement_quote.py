"""What a workspace would pay under an agreement, and where its clauses get into the way of others."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from tests import cast
from tests.models.test_price_list import account, contract, offered
from workspaces.models import Host, PriceOverride, ProfileLocation, Workspace
from workspaces.models.agreement_quote import MONTHLY_TOTAL, idle_clauses, known_offers, overlaps_of, simulate

TODAY = cast.NOW.date()


@pytest.fixture
def rented(workspace) -> Workspace:
    """ledger-prod: two ccx23 and a cpx32 in fsn1, with all their list prices."""
    Host.objects.update(provider_account=account())
    Host.objects.filter(name="ledger-prod-w3").update(profile="cpx32")
    offered(prices=(Decimal("0.04"), Decimal("25")))
    offered("cpx32", prices=(Decimal("0.02"), Decimal("12")))
    ProfileLocation.objects.update(backup=Decimal("5"), primary_ip=Decimal("0.5"), traffic=Decimal(1))
    return Workspace.objects.get(pk=workspace.pk)


def clause(agreement, number, component, **fields):
    values = {"kind": "percent", "amount": Decimal(90)} | fields
    return PriceOverride.objects.create(agreement=agreement, clause=number, component=component, **values)


def test_each_host_has_its_price_as_it_is_under_the_agreement_and_without_it(rented):
    contract("KF-1", ("1", "monthly", "80"))
    planned = contract("KF-2", valid_from=date(2027, 1, 1), valid_until=None)
    clause(planned, "7", "monthly", family="ccx*", amount=Decimal(60))
    clause(planned, "8", "setup", kind="fixed", amount=Decimal(4))
    found = simulate(planned, rented, TODAY)
    assert (found.agreement, found.workspace, found.day, found.holds, found.unknown) == (
        planned, rented, TODAY, False, (),
    )  # fmt: skip
    assert [(host.name, host.profile, host.location) for host in found.hosts] == [
        ("ledger-prod-w1", "ccx23", "fsn1"),
        ("ledger-prod-w2", "ccx23", "fsn1"),
        ("ledger-prod-w3", "cpx32", "fsn1"),
    ]
    assert [line.component for line in found.hosts[0].lines] == [
        "setup", "hourly", "monthly", "traffic", "backup", "primary_ip",
    ]  # fmt: skip
    ccx23, cpx32 = found.hosts[0].line("monthly"), found.hosts[2].line("monthly")
    assert (ccx23.list, ccx23.now.agreed, ccx23.under.agreed, ccx23.difference) == (25, 20, 15, -5)
    assert (ccx23.now.agreement, ccx23.now.clause) == ("KF-1", "1")
    assert (ccx23.under.agreement, ccx23.under.clause) == ("KF-2", "7")
    assert ccx23.without == ccx23.now
    assert (cpx32.under.agreement, cpx32.difference) == ("KF-1", 0)
    assert found.hosts[2].line("setup").difference == 4


def test_totals_are_exact_sums_of_the_parts_by_currency(rented):
    offered("ccx33", prices=(Decimal("0.1"), Decimal("50")), location="ash", currency="USD")
    extra = Host.objects.create(
        workspace=rented, name="us", profile="ccx33", location="ash", provider_account=account()
    )
    agreement = contract("KF-1", ("1", "monthly", "33.3333333333"))
    found = simulate(agreement, rented, TODAY)
    (euros, dollars) = found.total("monthly")
    assert (euros.currency, euros.hosts, euros.list, euros.under) == ("EUR", 3, 62, Decimal("20.6666666666"))
    assert (dollars.currency, dollars.hosts, dollars.list, dollars.under) == ("USD", 1, 50, 50), extra
    whole, abroad = found.total(MONTHLY_TOTAL)
    assert (whole.list, whole.under, whole.difference) == (Decimal("63.5"), Decimal("22.1666666666"), 0)
    assert (abroad.list, abroad.hosts) == (50, 1)
    assert found.total("traffic") == [], "a price per TB has no sum"
    for one in found.totals:
        if one.component != MONTHLY_TOTAL:
            lines = [
                line for host in found.hosts if (line := host.line(one.component)) and line.currency == one.currency
            ]
            for name in ("now", "under", "without"):
                parts = sum((Fraction(str(getattr(line, name).agreed)) for line in lines), Fraction(0))
                assert Fraction(str(getattr(one, name))) == parts
                assert type(getattr(one, name)) is Decimal


def test_an_agreement_that_holds_is_compared_with_the_world_without_it(rented):
    contract("OLD", ("1", "monthly", "80"), valid_from=date(2025, 1, 1))
    agreement = contract("KF-1", ("1", "monthly", "50"))
    found = simulate(agreement, rented, TODAY)
    (whole,) = found.total("monthly")
    assert (found.holds, whole.list, whole.now, whole.under, whole.without) == (True, 62, 31, 31, Decimal("49.6"))


@pytest.mark.parametrize(
    ("day", "holds", "now"),
    [
        (date(2025, 12, 31), False, 62),
        (date(2026, 1, 1), True, 31),
        (date(2026, 12, 31), True, 31),
        (date(2027, 1, 1), False, 62),
    ],
)
def test_on_a_day_on_which_it_does_not_hold_it_is_taken_as_if_it_did(rented, day, holds, now):
    found = simulate(contract("KF-1", ("1", "monthly", "50")), rented, day)
    (whole,) = found.total("monthly")
    assert (found.holds, whole.now, whole.under) == (holds, now, 31)


def test_which_agreement_began_later_decides_in_the_simulation_too(rented):
    """Of equally specific clauses that of the later one wins: the planned one, but not one that ended before."""
    contract("RUNNING", ("1", "monthly", "80"), valid_from=TODAY)
    planned = contract("PLANNED", ("1", "monthly", "90"), valid_from=date(2027, 1, 1), valid_until=None)
    past = contract("PAST", ("1", "monthly", "10"), valid_from=date(2025, 1, 1), valid_until=date(2025, 6, 1))
    assert simulate(planned, rented, TODAY).hosts[0].line("monthly").under.agreement == "PLANNED"
    assert simulate(past, rented, TODAY).hosts[0].line("monthly").under.agreement == "RUNNING"


def test_hosts_with_an_unknown_price_are_named_and_in_no_total(rented, metal):
    Host.objects.filter(name="ledger-prod-w1").update(profile="ccx99")
    agreement = contract("KF-1", ("1", "monthly", "50"))
    found = simulate(agreement, rented, TODAY)
    assert [(host.name, host.profile, host.lines) for host in found.unknown] == [("ledger-prod-w1", "ccx99", ())]
    assert [one.hosts for one in found.total("monthly")] == [2]
    bare = simulate(agreement, metal, TODAY)
    assert ([host.name for host in bare.unknown], bare.hosts, bare.totals) == (
        ["customs-archive-1", "customs-archive-2"], (), (),
    )  # fmt: skip


def test_an_agreement_of_another_organization_is_refused(rented):
    with pytest.raises(ValueError, match="FJ-1 is an agreement of another organization"):
        simulate(contract("FJ-1", of="Fjordline"), rented, TODAY)


@pytest.mark.parametrize("hosts", [1, 30])
def test_at_most_five_queries_whatever_the_number_of_hosts(db, hosts, django_assert_max_num_queries):
    made = cast.kubernetes("wide", hosts=hosts)
    Host.objects.update(provider_account=account())
    offered()
    agreement = contract("KF-1", *((f"{number}", "monthly", "50") for number in range(9)))
    bare = Workspace.objects.get(pk=made.pk)
    with django_assert_max_num_queries(5):
        assert len(simulate(agreement, bare, TODAY).hosts) == hosts


# --- In each other's way ----------------------------------------------------------------------------------------------
def test_overlaps_are_those_with_any_agreement_that_holds_at_the_same_time(rented, django_assert_num_queries):
    mine = contract("MINE", ("1", "monthly", "50"))
    beside = contract("BESIDE", valid_from=date(2026, 6, 1))
    clause(beside, "1", "monthly", profile="ccx23")
    clause(beside, "2", "monthly", family="ccx2*")
    contract("BEFORE", ("1", "monthly", "50"), valid_from=date(2025, 1, 1), valid_until=date(2026, 1, 1))
    contract("AFTER", ("1", "monthly", "50"), valid_from=date(2027, 1, 1), valid_until=None)
    contract("THEIRS", ("1", "monthly", "50"), of="Fjordline")
    with django_assert_num_queries(2):
        found = overlaps_of(mine)
    assert [(one.winner.agreement.number, one.winner.clause, one.loser.agreement.number) for one in found] == [
        ("BESIDE", "1", "MINE")
    ]
    assert (found[0].profiles, found[0].locations, found[0].first) == (("ccx23",), (), date(2026, 6, 1))
    assert len(overlaps_of(beside)) == 2


def test_clauses_that_match_nothing_known_are_told_once_anything_is_known(workspace):
    agreement = contract("KF-1")
    clause(agreement, "1", "hourly", profile="ccx99")
    clause(agreement, "2", "hourly", family="ccx*", location="fsn1")
    clause(agreement, "3", "hourly", location="sin")
    assert idle_clauses(agreement) == []
    offered()
    offered("cax11", location="hel1", by=account("theirs", of="Fjordline"))
    assert known_offers(agreement.organization_id) == (["ccx23"], ["fsn1"])
    assert [one.clause for one in idle_clauses(agreement)] == ["1", "3"]
