"""Ordering a host on the page of compute profiles: what the save bar says, and what comes of the click."""

from __future__ import annotations

import uuid
from decimal import Decimal

import django_rq
import pytest

from tests import cast
from tests.views import price_rows
from tests.views.profile_pages import HTMX, bar, hidden, url, words
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import (
    PLATFORM,
    ComputeProfile,
    Host,
    Operation,
    ProviderAccount,
    StepPlan,
    Workspace,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def shelf(workspace):
    return price_rows.shelf(workspace)


# --- The save bar -----------------------------------------------------------------------------------------------------
def test_the_bar_repeats_the_price_line_and_the_clause(alices, workspace, shelf) -> None:
    answer = alices.get(url(workspace), {"profile": shelf["ccx23"].pk})
    shown = words(bar(answer).partition("<ul")[2].partition("</ul>")[0])
    assert "ccx23 in fsn1: €25.07 a month at most. List €28.49. Price of KF-2026-03, clause 2." in shown
    assert "€0.0402 an hour (list €0.0457, KF-2026-03, clause 3), €0.50 a month for its IPv4 address," in shown
    assert "With its address at most €25.57 a month." in shown
    assert hidden(answer, "confirmed_price") == "25.0712"
    assert hidden(answer, "location") == "fsn1"
    assert 'name="hostname" value="ledger-prod-w4"' in bar(answer)


def test_nothing_is_chosen_at_first_and_a_strange_choice_is_none(alices, workspace, shelf) -> None:
    for query in ({}, {"profile": uuid.uuid4()}, {"profile": "x"}):
        answer = alices.get(url(workspace), query)
        assert "Choose a profile to see what a host of it costs." in text(answer)
        assert "Order 1 host" not in text(answer)


def test_what_is_sold_out_has_no_button(alices, workspace, shelf) -> None:
    price_rows.place(shelf["ccx23"], "fsn1", available=False)
    whole = alices.get(url(workspace), {"profile": shelf["ccx23"].pk})
    query = {"profile": shelf["ccx23"].pk, "location": "fsn1"}
    alone = alices.get(url(workspace), query, headers=HTMX | {"HX-Target": "order"})
    assert "ccx23 cannot be ordered: sold out in fsn1, available in hel1, nbg1." in text(whole)
    assert "ccx23 cannot be ordered: sold out in fsn1." in text(alone)
    for answer in (whole, alone):
        assert "confirmed_price" not in answer.content.decode()


def test_an_open_operation_a_closed_workspace_and_a_missing_key_are_told_before(alices, workspace, shelf) -> None:
    query = {"profile": shelf["ccx23"].pk}
    running = Operation.start(workspace, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
    answer = alices.get(url(workspace), query)
    assert "“Upgrade it” is open. A workspace has one operation at a time." in text(answer)
    assert f'href="/operations/{running.pk}"' in bar(answer)
    Operation.objects.all().delete()
    ProviderAccount.objects.update(ssh_key=None)
    assert "kestrel-cloud has no SSH key for new hosts." in text(alices.get(url(workspace), query))
    Workspace.objects.update(state="gated")
    assert "Hosts are ordered for active workspaces only." in text(alices.get(url(workspace), query))


# --- Ordering ---------------------------------------------------------------------------------------------------------
def order(client, workspace, chosen, **more):
    form = {"profile": chosen.pk, "location": "fsn1", "hostname": "ledger-prod-w4", "confirmed_price": "25.0712"}
    return client.post(url(workspace), form | more)


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_an_order_starts_an_operation_with_the_confirmed_price(
    client, request, who, workspace, shelf, django_capture_on_commit_callbacks
) -> None:
    cast.sign_in(client, request.getfixturevalue(who))
    with django_capture_on_commit_callbacks(execute=True):
        answer = order(client, workspace, shelf["ccx23"])
    operation = Operation.objects.get()
    assert (answer.status_code, answer["Location"]) == (303, f"/operations/{operation.pk}")
    assert operation.kind == "host_order"
    assert operation.title == "Order host ledger-prod-w4, ccx23 in fsn1"
    monthly = next(one for one in operation.parameters["price"]["components"] if one["component"] == "monthly")
    assert Decimal(monthly["agreed"]) == Decimal("25.0712")
    assert (monthly["agreement"], monthly["clause"]) == ("KF-2026-03", "2")
    assert operation.requested_by == str(request.getfixturevalue(who))
    assert [job.args for job in django_rq.get_queue("operations").jobs] == [(str(operation.pk),)]


def test_a_changed_price_shows_both_and_asks_again(alices, workspace, shelf) -> None:
    price_rows.place(shelf["ccx23"], "fsn1", monthly=Decimal(30))
    answer = order(alices, workspace, shelf["ccx23"])
    assert answer.status_code == 409
    assert "Confirmed was 25.0712, the price is €26.40 a month at most and €0.0402 an hour." in text(answer)
    assert hidden(answer, "confirmed_price") == "26.40"
    assert not Operation.objects.exists()
    again = order(alices, workspace, shelf["ccx23"], confirmed_price=hidden(answer, "confirmed_price"))
    assert again.status_code == 303


def test_what_is_wrong_with_a_name_stands_at_the_field_and_keeps_what_was_typed(alices, workspace, shelf) -> None:
    for typed, status in (("Ledger W4", 422), ("", 422), ("-w4", 422), ("ledger-prod-w3", 409)):
        answer = order(alices, workspace, shelf["ccx23"], hostname=typed)
        assert answer.status_code == status, typed
        assert 'id="hostname-error"' in bar(answer)
        assert f'value="{typed or "ledger-prod-w4"}"' in bar(answer)
        assert 'href="#hostname"' in answer.content.decode()
    assert not Operation.objects.exists()


@pytest.mark.parametrize("price", ["", "NaN", "-1", "Infinity", "1e999999", "25,07", "x" * 5000])
def test_a_price_that_is_none_orders_nothing(alices, workspace, shelf, price) -> None:
    answer = order(alices, workspace, shelf["ccx23"], confirmed_price=price)
    assert answer.status_code == 422 if price != "1e999999" else answer.status_code in (409, 422)
    assert not Operation.objects.exists()


def test_an_unknown_profile_place_or_none_orders_nothing(alices, workspace, shelf) -> None:
    foreign = price_rows.profile(price_rows.account("fjord-cloud", of="Fjordline"), "ccx23")
    for more, status in (
        ({"profile": ""}, 422),
        ({"profile": foreign.pk}, 409),
        ({"profile": uuid.uuid4()}, 409),
        ({"location": "atlantis"}, 409),
    ):
        assert order(alices, workspace, shelf["ccx23"], **more).status_code == status, more
    assert not Operation.objects.exists()


def test_a_refusal_links_to_the_operation_that_runs(alices, workspace, shelf) -> None:
    running = Operation.start(workspace, "upgrade", "Upgrade it", [StepPlan("a", "A")], actor=PLATFORM)
    answer = order(alices, workspace, shelf["ccx23"])
    assert answer.status_code == 409
    assert f'href="/operations/{running.pk}">Open the running operation' in answer.content.decode()


def test_names_are_shown_as_text(alices, workspace, shelf) -> None:
    Host.objects.filter(name="ledger-prod-w1").update(name="<b>w</b>")
    ComputeProfile.objects.filter(name="cpx22").update(name="<i>cpx</i>")
    body = alices.get(url(workspace), {"q": "<script>"}).content.decode()
    assert "<script>&quot;" not in body
    body = alices.get(url(workspace)).content.decode()
    assert "<b>w</b>" not in body
    assert "<i>cpx</i>" not in body
    assert "&lt;i&gt;cpx&lt;/i&gt;" in body
