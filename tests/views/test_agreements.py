"""Agreements: which hold, what each clause says, which wins, and what a workspace would pay with and without one."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from tests import cast
from tests.views.commercial import account, contract, listed, on_account, text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import Host
from workspaces.views import agreement_simulation

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]
TODAY = cast.NOW.date()


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def cloud(workspace):
    """ledger-prod's three ccx23 are on it; cx22 is known, too."""
    made = account()
    listed(made, "ccx23", hourly="0.0400", monthly="24.99", primary_ip=Decimal("0.50"), backup=Decimal("4.998"))
    listed(made, "cx22", hourly="0.0060", monthly="3.79")
    on_account(workspace, made)
    return made


def page(client, agreement, **query):
    return client.get(f"/agreements/{agreement.pk}", query)


def row(said, number):
    return re.search(rf"{number} Kestrel Freight (.*?)(?= KF-| FL-|$)", said).group(1)


# --- The list ---------------------------------------------------------------------------------------------------------
def test_the_list_tells_state_days_clauses_what_is_changed_and_what_is_touched(alices, cloud, metal):
    contract("KF-1", {"family": "ccx*"}, {"family": "cp?*"}, {"profile": "cx22"}, {}, until=None)
    contract("KF-2", {"profile": "cx22"}, until=TODAY + timedelta(days=60))
    contract("KF-3", {"family": "ccx*", "location": "nbg1"}, until=TODAY + timedelta(days=61))
    contract("KF-4", first=TODAY + timedelta(days=1), until=None)
    contract("KF-5", until=TODAY)
    contract("KF-6", until=TODAY + timedelta(days=1))
    said = text(alices.get("/agreements"))
    # Bare metal has no profile, so that only "every profile" speaks of it.
    assert row(said, "KF-1") == "Holds from 1 Mar 2026 on 4 CCX, cx22, every profile, names like cp?* 2"
    assert row(said, "KF-2") == "Ends in 60 days 1 Mar 2026 to 22 Jan 2027 1 cx22 0"
    assert row(said, "KF-3") == "Holds 1 Mar 2026 to 23 Jan 2027 1 CCX 0"
    assert row(said, "KF-4") == "Begins in 1 day from 25 Nov 2026 on 0 nothing 0"
    assert row(said, "KF-5") == "Ended 1 Mar 2026 to 23 Nov 2026 0 nothing 0"
    assert row(said, "KF-6") == "Ends in 1 day 1 Mar 2026 to 24 Nov 2026 0 nothing 0"
    # Those that hold first, then those to come, then those that have ended.
    assert re.findall(r"KF-\d", said)[-2:] == ["KF-4", "KF-5"]


def test_the_end_of_an_agreement_is_a_warning_from_sixty_days_on(alices):
    for days, tone in ((60, "warn"), (61, "ok")):
        agreement = contract(f"KF-{days}", until=TODAY + timedelta(days=days))
        head = page(alices, agreement).content.decode().partition("<main")[2].partition("</h1>")[2]
        assert head.startswith(f'<span class="status" data-tone="{tone}">')


def test_without_an_agreement_list_prices_are_paid(alices):
    assert "No agreement List prices are paid." in text(alices.get("/agreements"))


def test_everybody_sees_the_agreements_of_their_organizations_and_no_others(
    client, alice, bob, victor, charlie, root, cloud
):
    kestrels, fjordlines = contract("KF-1", {}), contract("FL-1", {}, of="Fjordline")
    cast.kubernetes("rates", project=cast.project("Customs"), hosts=1)
    for who, sees in (
        (alice, ["KF-1"]),
        (bob, ["KF-1"]),
        (victor, ["KF-1"]),
        (charlie, ["FL-1"]),
        (root, ["FL-1", "KF-1"]),
    ):
        cast.sign_in(client, who)
        assert sorted(re.findall(r"KF-1|FL-1", text(client.get("/agreements")))) == sees, who
        for agreement in (kestrels, fjordlines):
            expected = 200 if agreement.number in sees else 404
            assert page(client, agreement).status_code == expected, who
    # Workspaces are counted as far as the reader sees them.
    assert row(text(cast.sign_in(client, bob).get("/agreements")), "KF-1").endswith(" 1")
    assert row(text(cast.sign_in(client, alice).get("/agreements")), "KF-1").endswith(" 2")


def test_the_list_is_paged_and_costs_a_fixed_number_of_queries(alices, cloud, django_assert_max_num_queries):
    for number in range(60):
        contract(f"KF-{number:03}", {"family": "ccx*"}, {})
    with django_assert_max_num_queries(12):
        first = alices.get("/agreements")
    assert "1 to 50 of 60" in text(first)
    assert len(first.content) < 60_000
    assert "51 to 60 of 60" in text(alices.get("/agreements?page=2"))


# --- Clauses ----------------------------------------------------------------------------------------------------------
def test_every_clause_is_told_in_words(alices, cloud):
    agreement = contract(
        "KF-1",
        {"clause": "4.10", "family": "ccx*", "location": "fsn1", "component": "hourly"},
        {"clause": "4.2", "profile": "ccx23", "amount": Decimal("92.5"), "minimum": Decimal("3")},
        {"clause": "5", "component": "setup", "kind": "fixed", "amount": Decimal(0), "family": "ccx*"},
        {"clause": "6", "component": "traffic", "kind": "fixed", "amount": Decimal("0.987")},
        {"clause": "7", "component": "hourly", "kind": "fixed", "amount": Decimal("0.00401"), "family": "zz*"},
    )
    said = text(page(alices, agreement))
    start = said.index("4.2 Per month at most")
    assert said[start:].startswith(
        "4.2 Per month at most ccx23 1 known profile Percent of list 92.5 % €3.00 "
        "ccx23: 92.5 % of list a month at most, at least €3.00 "
        "4.10 Per hour CCX in fsn1 1 known profile Percent of list 88 % CCX in fsn1: 88 % of list an hour "
        "5 Setup, once CCX 1 known profile Fixed amount €0.00 CCX: nothing once "
        "6 Traffic, per TB every profile 2 known profiles Fixed amount €0.987 Every profile: €0.987 per TB "
        "7 Per hour ZZ No known profile Fixed amount €0.00401 ZZ: €0.00401 an hour"
    )


def test_the_facts_say_how_long_it_holds_what_it_changes_and_what_it_touches(alices, cloud):
    agreement = contract("KF-1", {"family": "ccx*"}, {"profile": "cx22"})
    said = text(page(alices, agreement))
    assert "1 Mar 2026 to 31 Mar 2027 128 days left, ends at 00:00 UTC Currency EUR" in said
    assert "Changes CCX, cx22 2 clauses Touches 1 workspace of those that you see" in said


def test_where_two_clauses_meet_it_says_which_one_wins_also_against_another_agreement(alices, cloud):
    listed(cloud, "ccx13", hourly="0.02", monthly="12.49")
    agreement = contract("KF-1", {"family": "ccx*"}, {"profile": "ccx23", "amount": Decimal(80)})
    contract("KF-2", {"family": "ccx*", "amount": Decimal(90)}, first=date(2026, 9, 1), until=None)
    contract("FL-1", {"profile": "ccx23"}, of="Fjordline")
    said = text(page(alices, agreement))
    assert "Which clause wins 3 places where clauses speak of the same price" in said
    assert (
        "Per month at most Clause 2 ccx23: 80 % of list a month at most "
        "KF-2, clause 1 CCX: 90 % of list a month at most ccx23 1 Sep 2026 to 31 Mar 2027"
    ) in said
    assert "Clause 2 ccx23: 80 % of list a month at most Clause 1 CCX: 88 % of list a month at most ccx23" in said
    # It began later, so that it wins where both families match and no profile is named.
    assert (
        "KF-2, clause 1 CCX: 90 % of list a month at most Clause 1 CCX: 88 % of list a month at most ccx13 1 Sep 2026"
    ) in said
    assert "FL-1" not in said


def test_clauses_that_never_meet_again_are_not_shown(alices, cloud):
    agreement = contract("KF-2", {"family": "ccx*"})
    contract("KF-1", {"family": "ccx*"}, first=date(2026, 1, 1), until=TODAY)
    said = text(page(alices, agreement))
    assert "No two where clauses speak of the same price Each price is set by one clause at most" in said


def test_an_agreement_without_a_clause_changes_nothing(alices, cloud):
    assert "No clause Without a clause the agreement changes no price." in text(page(alices, contract("KF-1")))


# --- What a workspace would pay ---------------------------------------------------------------------------------------
def test_an_agreement_that_holds_is_compared_with_being_without_it(alices, cloud, workspace):
    agreement = contract("KF-1", {"family": "ccx*"})
    said = text(page(alices, agreement, workspace=workspace.pk))
    # 3 × (24.99 + 0.50) by list; 3 × (21.9912 + 0.50) under it: rounded once, after the sum.
    assert "ledger-prod on 24 Nov 2026: €67.47 a month at most under KF-1, €76.47 without it, €76.47 by list." in said
    assert "It holds on that day, so this is what is paid." in said
    assert "3 × ccx23 in fsn1 ledger-prod-w1, ledger-prod-w2, ledger-prod-w3 Per hour €0.0400 €0.0400 list" in said
    assert "Per month at most €24.99 €24.99 list €21.99 KF-1, clause 1 −€3.00" in said
    assert "Backup, per month €5.00 €5.00 list €5.00 list no difference" in said
    assert (
        "A month at most, 3 hosts with the IPv4 address, without traffic and backup €76.47 €76.47 €67.47 −€9.00" in said
    )


def test_one_that_has_ended_is_compared_with_what_is_paid_today(alices, cloud, workspace):
    ended = contract("KF-1", {"family": "ccx*", "amount": Decimal(110)}, until=TODAY)
    contract("KF-2", {}, first=date(2026, 1, 1), until=None)
    said = text(page(alices, ended, workspace=workspace.pk, on=TODAY.isoformat()))
    assert (
        "€83.97 a month at most under KF-1, €67.47 as things are, €76.47 by list. It does not hold on that day" in said
    )
    assert "Per month at most €24.99 €21.99 KF-2, clause 1 €27.49 KF-1, clause 1 +€5.50" in said
    # 3 × 5.4978: what is paid today is what it is compared with, not the list.
    assert "without traffic and backup €76.47 €67.47 €83.97 +€16.49" in said


def test_a_host_whose_price_is_not_known_is_named_and_in_no_sum(alices, cloud, workspace):
    Host.objects.filter(name="ledger-prod-w2").update(profile="cx99")
    said = text(page(alices, contract("KF-1", {}), workspace=workspace.pk))
    assert "1 host has a price that is not known and in no sum: ledger-prod-w2 (cx99 in fsn1)." in said
    assert "A month at most, 2 hosts" in said
    Host.objects.update(profile="cx99")
    said = text(page(alices, contract("KF-2", {}), workspace=workspace.pk))
    assert "3 hosts have prices that are not known and in no sum" in said
    assert "ledger-prod on 24 Nov 2026: nothing can be reckoned." in said
    assert "€" not in said.partition("What would this workspace pay")[2]


def test_the_day_is_the_first_or_the_last_of_one_that_does_not_hold_today(alices, cloud):
    for agreement, day in (
        (contract("KF-1", first=date(2027, 1, 1), until=None), "2027-01-01"),
        (contract("KF-2", until=date(2026, 10, 1)), "2026-09-30"),
        (contract("KF-3"), "2026-11-24"),
    ):
        assert f'name="on" value="{day}"' in page(alices, agreement).content.decode()


def test_what_cannot_be_read_is_refused_at_its_field(alices, cloud, workspace):
    agreement = contract("KF-1", {})
    answer = page(alices, agreement, workspace=workspace.pk, on="31.12.2026")
    assert answer.status_code == 422
    assert "Nothing was reckoned Enter a day such as 2026-11-24" in text(answer)
    assert 'value="31.12.2026" aria-invalid="true"' in answer.content.decode()


def test_a_workspace_of_others_is_answered_like_one_that_is_not_there(client, bob, cloud):
    agreement = contract("KF-1", {})
    hidden = cast.kubernetes("rates", project=cast.project("Customs"), hosts=1)
    fjord = cast.kubernetes("fjord-1", project=cast.project("Fjord", of="Fjordline"), hosts=1)
    cast.sign_in(client, bob)
    for asked in (hidden.pk, fjord.pk, uuid4(), "rates", "x\0"):
        answer = page(client, agreement, workspace=asked)
        assert answer.status_code == 422, asked
        assert "You see no workspace of Kestrel Freight with this name or id" in text(answer)
    assert "rates" not in text(page(client, agreement))


def test_many_workspaces_are_typed_by_name(alices, cloud, workspace, monkeypatch):
    monkeypatch.setattr(agreement_simulation, "CHOICES", 1)
    cast.kubernetes("rates", hosts=0)
    answer = page(alices, contract("KF-1", {}), workspace="ledger-prod")
    assert '<input class="input" type="text" id="workspace" name="workspace" value="ledger-prod"' in (
        answer.content.decode()
    )
    assert "ledger-prod on 24 Nov 2026:" in text(answer)


def test_htmx_gets_the_answer_alone(alices, cloud, workspace, django_assert_max_num_queries):
    agreement = contract("KF-1", {})
    with django_assert_max_num_queries(9):
        answer = alices.get(f"/agreements/{agreement.pk}", {"workspace": workspace.pk}, HTTP_HX_REQUEST="true")
    html = answer.content.decode()
    assert html.startswith('<div id="simulation"')
    assert "<main" not in html
    assert "a month at most under KF-1" in text(answer)


def test_the_page_costs_a_fixed_number_of_queries_and_bytes(alices, cloud, workspace, django_assert_max_num_queries):
    """200 clauses of three agreements and 60 hosts."""
    clauses = [{"family": f"c{number}x*", "clause": f"{number}"} for number in range(100)]
    agreement = contract("KF-1", *clauses, {"clause": "a"})
    contract("KF-2", *clauses[:50], first=date(2026, 6, 1))
    contract("KF-3", *clauses[:50], first=date(2026, 7, 1))
    Host.objects.bulk_create(
        Host(workspace=workspace, name=f"more-{number}", provider_account=cloud, profile="ccx23", location="fsn1")
        for number in range(57)
    )
    with django_assert_max_num_queries(17):
        answer = page(alices, agreement, workspace=workspace.pk)
    assert "A month at most, 60 hosts" in text(answer)
    assert len(answer.content) < 120_000
