"""The page of compute profiles: what can be had where and for how much, and which clause says so."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests import cast
from tests.views import price_rows
from tests.views.profile_pages import CHECK, HTMX, bar, compare, names, row, url, words
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import (
    BillingAgreement,
    ComputeProfile,
    Host,
    Operation,
    PriceOverride,
    ProfileLocation,
    ProviderAccount,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def shelf(workspace):
    return price_rows.shelf(workspace)


# --- Who sees it ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["alice", "bob", "victor", "root"])
def test_members_see_it(client, request, who, workspace, shelf) -> None:
    answer = cast.sign_in(client, request.getfixturevalue(who)).get(url(workspace))
    assert answer.status_code == 200
    assert f'href="{url(workspace)}" aria-current="page">Compute profiles' in answer.content.decode()


def test_for_a_stranger_it_looks_as_if_it_did_not_exist(client, charlie, workspace, shelf) -> None:
    cast.sign_in(client, charlie)
    for path in ("", "/compare"):
        theirs, random = client.get(url(workspace) + path), client.get(f"/workspaces/{uuid.uuid4()}/profiles{path}")
        assert theirs.status_code == random.status_code == 404
    assert client.post(url(workspace)).status_code == 404


def test_a_viewer_reads_prices_and_is_told_who_orders(client, victor, workspace, shelf) -> None:
    cast.sign_in(client, victor)
    answer = client.get(url(workspace), {"profile": shelf["ccx23"].pk})
    assert "€25.07 a month at most" in text(answer)
    assert "An operator or an administrator of Freight Core can order hosts." in text(answer)
    assert "Order 1 host" not in text(answer)
    assert client.post(url(workspace), {"profile": shelf["ccx23"].pk}).status_code == 403
    assert not Operation.objects.exists()


def test_without_a_provider_account_it_says_what_to_do(alices, workspace) -> None:
    shown = text(alices.get(url(workspace)))
    assert "Nothing can be ordered here" in shown
    assert "Support staff name it in the admin, at the workspace." in shown


# --- What stands above the table --------------------------------------------------------------------------------------
def test_the_facts_name_the_agreement_its_effect_the_cost_and_the_age(alices, workspace, shelf) -> None:
    answer = alices.get(url(workspace))
    shown = text(answer)
    assert f'href="/agreements/{BillingAgreement.objects.get().pk}"' in answer.content.decode()
    assert "Agreement KF-2026-03 valid to 31 Mar 2027, 128 days left" in shown
    assert "What it changes CCX −12 % monthly price against list" in shown
    # 3 × (28.49 × 0.88 + 0.50), rounded once
    assert "This workspace now €76.71 / month 3 ccx23, list €86.97" in shown
    assert "Availability Checked 14:25 UTC told 7 min ago, with the token of kestrel-cloud" in shown


def test_a_host_without_a_known_price_is_counted_and_never_free(alices, workspace, shelf) -> None:
    Host.objects.filter(name="ledger-prod-w1").update(profile="gone1")
    Host.objects.filter(name="ledger-prod-w2").update(provider_account=None)
    assert "€25.57 / month 2 ccx23, 1 gone1, list €28.99, without 2 hosts of unknown price" in text(
        alices.get(url(workspace))
    )


def test_several_agreements_and_none(alices, workspace, shelf) -> None:
    second = price_rows.agreement("KF-2026-09", until=None)
    second.overrides.all().delete()
    BillingAgreement.objects.filter(pk=second.pk).update(valid_from=date(2026, 9, 1))
    shown = text(alices.get(url(workspace)))
    assert "2 agreements KF-2026-09, KF-2026-03" in shown
    assert "KF-2026-09 valid without an end; KF-2026-03 valid to 31 Mar 2027, 128 days left" in shown
    BillingAgreement.objects.update(valid_until=cast.NOW.date())  # the first day on which it no longer holds
    shown = text(alices.get(url(workspace)))
    assert "Agreement None list prices apply" in shown
    assert "What it changes Nothing no agreement holds today" in shown


def test_an_unknown_location_is_none_and_another_one_has_its_own_prices(alices, workspace, shelf) -> None:
    price_rows.place(shelf["ccx23"], "hel1", monthly=Decimal(100))
    assert "€25.07" in row(alices.get(url(workspace), {"location": "atlantis"}), "ccx23")
    assert "€88.00" in row(alices.get(url(workspace), {"location": "hel1"}), "ccx23")


# --- The table --------------------------------------------------------------------------------------------------------
def test_list_and_agreed_prices_stand_side_by_side(alices, workspace, shelf) -> None:
    answer = alices.get(url(workspace))
    assert words(row(answer, "ccx23")).startswith(
        "ccx23 used by ledger-prod-w1, ledger-prod-w2 and 1 more 4 16 GB 160 GB "
        "€0.0457 €0.0402 list €0.0457 €28.49 €25.07 list €28.49 available in fsn1 available in hel1 available in nbg1"
    )
    assert words(row(answer, "cpx22")).startswith("cpx22 2 4 GB 80 GB €0.0120 as list €0.0120 €7.49 as list €7.49")


def test_families_say_what_the_agreement_does_to_them(alices, workspace, shelf) -> None:
    shown = text(alices.get(url(workspace)))
    assert "Dedicated vCPU, x86 CCX, 12 % below list under KF-2026-03" in shown
    assert "Shared vCPU, Arm CAX, list price, no agreement covers this family" in shown
    assert names(alices.get(url(workspace))) == ["ccx13", "ccx23", "ccx33", "ccx43", "cpx22", "cax21"]


def test_setup_has_columns_only_where_somebody_asks_for_it(alices, workspace, shelf) -> None:
    assert "Setup, once" not in text(alices.get(url(workspace)))
    contract = BillingAgreement.objects.get()
    PriceOverride.objects.create(
        agreement=contract, clause="9", component="setup", family="ccx*", kind="fixed", amount=4
    )
    shown = text(alices.get(url(workspace)))
    assert "Setup, once" in shown
    assert "CCX, 12 % below list under KF-2026-03, setup €4.00" in shown
    assert "€0.00 €4.00 list €0.00" in words(row(alices.get(url(workspace)), "ccx13"))


def test_what_cannot_be_had_stays_visible_dimmed_with_its_reason(alices, workspace, shelf) -> None:
    price_rows.place(shelf["ccx33"], "fsn1", available=False)
    ProfileLocation.objects.filter(profile=shelf["ccx43"]).update(available=False)
    price_rows.place(shelf["cpx22"], "fsn1", unavailable_after=cast.NOW - timedelta(days=54))
    ComputeProfile.objects.filter(name="cax21").update(active=False, withdrawn_at=datetime(2026, 11, 12, tzinfo=UTC))
    ProfileLocation.objects.filter(profile=shelf["ccx13"], location="fsn1").delete()
    answer = alices.get(url(workspace))
    for name, reason in {
        "ccx33": "sold out in fsn1, available in hel1, nbg1",
        "ccx43": "sold out in fsn1, nowhere available",
        "cpx22": "no longer sold in fsn1 since 1 Oct 2026",
        "cax21": "withdrawn by the provider, seen on 12 Nov 2026",
        "ccx13": "not sold in fsn1",
    }.items():
        found = row(answer, name)
        assert reason in found, name
        assert found.startswith('<tr class="dim">'), name
        assert " disabled>" in found, name
    assert CHECK not in row(answer, "cax21")
    assert "disabled" not in row(answer, "ccx23")


def test_what_ends_can_still_be_had_and_says_until_when(alices, workspace, shelf) -> None:
    price_rows.place(shelf["ccx23"], "fsn1", unavailable_after=datetime(2027, 3, 1, tzinfo=UTC))
    answer = alices.get(url(workspace), {"profile": shelf["ccx23"].pk})
    assert "sold until 1 Mar 2027" in row(answer, "ccx23")
    assert "disabled" not in row(answer, "ccx23")
    assert "ccx23 is sold in fsn1 until 1 Mar 2027." in text(answer)


def test_what_support_has_switched_off_is_shown_only_where_it_is_used(alices, workspace, shelf) -> None:
    ComputeProfile.objects.filter(name__in=["ccx23", "ccx33"]).update(active=False)
    answer = alices.get(url(workspace))
    assert "ccx33" not in names(answer)
    assert "no longer offered" in row(answer, "ccx23")


# --- Nothing is shown as available when nobody knows ------------------------------------------------------------------
def test_what_is_not_known_is_never_shown_as_available(alices, workspace, shelf) -> None:
    ProfileLocation.objects.filter(profile=shelf["ccx23"]).update(available=None)
    answer = alices.get(url(workspace), {"profile": shelf["ccx23"].pk})
    found = row(answer, "ccx23")
    assert CHECK not in found
    assert "availability not known" in found
    assert words(found).count("not known for") == 3
    assert "not known: fsn1, hel1, nbg1" in found
    assert (
        "Whether it can be had now is not known. The order asks first, and ends without a host when it cannot."
        in text(answer)
    )
    assert "ccx23" not in names(alices.get(url(workspace), {"available": "on"}))
    assert CHECK in row(answer, "ccx13")


def test_knowledge_of_three_periods_ago_is_no_knowledge(alices, workspace, shelf, settings) -> None:
    settings.LOOPBACK_PROFILES_SECONDS = 600
    account = ProviderAccount.objects.get()
    price_rows.aged(account, cast.NOW - timedelta(seconds=1800))
    assert CHECK in alices.get(url(workspace)).content.decode()
    price_rows.aged(account, cast.NOW - timedelta(seconds=1801))
    answer = alices.get(url(workspace))
    assert CHECK not in answer.content.decode()
    assert "available in" not in words(answer.content.decode().partition("<tbody>")[2].partition("</table>")[0])
    assert "Availability Not known told 30 min ago" in text(answer)
    assert 'data-tone="bad" id="trouble"' in answer.content.decode()
    assert "Availability was not asked for lately." in text(answer)
    assert "Prices are those of 14:01 UTC, 30 min ago." in text(answer)


def test_a_provider_that_could_not_be_asked_is_said_loudly_and_old_prices_keep_their_age(
    alices, workspace, shelf
) -> None:
    ProfileLocation.objects.update(available=None)
    ProviderAccount.objects.update(profiles_error_code="credential", profiles_error="The token was refused.")
    answer = alices.get(url(workspace))
    assert 'data-tone="bad" id="trouble"' in answer.content.decode()
    assert "The provider could not be asked with the token of kestrel-cloud. Availability is not known." in text(answer)
    assert "The token was refused. Prices are those of 14:25 UTC, 7 min ago." in text(answer)
    assert CHECK not in answer.content.decode()
    assert "€25.07" in row(answer, "ccx23")


def test_an_account_that_was_never_asked_says_so(alices, workspace) -> None:
    price_rows.on_account(workspace, price_rows.account(profiles_checked_at=None))
    shown = text(alices.get(url(workspace)))
    assert "kestrel-cloud was not asked yet." in shown
    assert "Availability Not known kestrel-cloud was never asked" in shown
    assert "The provider has told none yet." in shown


# --- Filters ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"q": "CCX1"}, ["ccx13"]),
        ({"cores": "8"}, ["ccx33", "ccx43"]),
        ({"memory": "64"}, ["ccx43"]),
        ({"architecture": "arm"}, ["cax21"]),
        ({"architecture": "arm", "q": "ccx"}, []),
        (
            {"cores": "many", "memory": "-1", "architecture": "z80"},
            ["ccx13", "ccx23", "ccx33", "ccx43", "cpx22", "cax21"],
        ),
        ({"available": "on"}, ["ccx13", "ccx23", "ccx43", "cpx22", "cax21"]),
        ({"available": "on", "location": "hel1", "q": "ccx33"}, ["ccx33"]),
    ],
)
def test_filters_narrow_the_table(alices, workspace, shelf, asked, found) -> None:
    price_rows.place(shelf["ccx33"], "fsn1", available=False)
    assert names(alices.get(url(workspace), asked)) == found


def test_a_filter_that_leaves_nothing_says_how_to_go_on(alices, workspace, shelf) -> None:
    answer = alices.get(url(workspace), {"q": "zzz", "location": "hel1"})
    assert "No profile matches 6 profiles are known at all locations." in text(answer)
    assert f'href="{url(workspace)}?location=hel1">Clear filters' in answer.content.decode()


def test_htmx_gets_the_table_the_facts_and_the_bar_and_the_address_is_kept_short(alices, workspace, shelf) -> None:
    query = {"q": "ccx", "cores": "", "location": "hel1", "profile": shelf["cpx22"].pk}
    answer = alices.get(url(workspace), query, headers=HTMX | {"HX-Target": "profiles"})
    body = answer.content.decode()
    assert body.lstrip().startswith('<div id="profiles"')
    assert "<main" not in body
    assert 'id="order" method="post"' in body
    assert body.count('hx-swap-oob="true"') == 2
    assert names(answer) == ["ccx13", "ccx23", "ccx33", "ccx43"]
    # The choice is kept although the table does not show it.
    assert f'<input type="hidden" name="profile" value="{shelf["cpx22"].pk}">' in body
    assert answer["HX-Replace-Url"] == f"{url(workspace)}?q=ccx&location=hel1&profile={shelf['cpx22'].pk}"


def test_choosing_answers_with_the_bar_alone_and_few_queries(
    alices, workspace, shelf, django_assert_max_num_queries
) -> None:
    query = {"location": "hel1", "profile": shelf["ccx23"].pk, "hostname": "mine-1"}
    with django_assert_max_num_queries(8):
        answer = alices.get(url(workspace), query, headers=HTMX | {"HX-Target": "order"})
    assert answer.content.decode().startswith('<form class="savebar" id="order"')
    assert "ccx23 in hel1: €25.07 a month at most." in text(answer)
    assert 'value="mine-1"' in bar(answer)
    assert "profiles" not in names(answer)
    assert answer["HX-Replace-Url"].endswith(f"?location=hel1&profile={shelf['ccx23'].pk}")


# --- Cost -------------------------------------------------------------------------------------------------------------
def test_five_hundred_profiles_at_six_locations_cost_ten_queries(
    alices, workspace, django_assert_max_num_queries
) -> None:
    account = price_rows.account()
    price_rows.on_account(workspace, account)
    price_rows.crowd(account, profiles=500, locations=6, clauses=200)
    with django_assert_max_num_queries(10):
        answer = alices.get(url(workspace))
    assert answer.content.decode().count('name="profile" value=') == 1000
    assert len(answer.content) < 1_250_000
    three = list(ComputeProfile.objects.all()[:3])
    with django_assert_max_num_queries(10):
        assert compare(alices, workspace, *three).status_code == 200
