"""Compute profiles side by side: how they differ, and which is cheapest for how long."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests import cast
from tests.views import price_rows
from tests.views.profile_pages import compare
from tests.views.reading import text
from tests.views.sockets import no_outside  # noqa: F401
from tests.views.stopped_clock import clock  # noqa: F401
from workspaces.models import (
    ProfileLocation,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_outside", "empty_queues")]


@pytest.fixture
def alices(client, alice):
    return cast.sign_in(client, alice)


@pytest.fixture
def shelf(workspace):
    return price_rows.shelf(workspace)


# --- Side by side -----------------------------------------------------------------------------------------------------
def test_three_are_compared_with_what_differs_and_what_is_cheapest(alices, workspace, shelf) -> None:
    answer = compare(alices, workspace, shelf["ccx13"], shelf["ccx23"], shelf["cpx22"])
    shown = text(answer)
    assert "cpx22 is cheapest: €1.92 for 160 hours, €7.49 for a whole month." in shown
    assert "vCPU 2 4 +2 2" in shown
    assert "Memory 8 GB 16 GB +8 GB 4 GB −4 GB" in shown
    assert "Per month at most €12.75 list €14.49, KF-2026-03, clause 2 €25.07" in shown
    assert "160 hours of a month €3.27 €6.43 +€3.17 €1.92 cheapest −€1.35" in shown


def test_the_estimate_knows_the_cap(alices, workspace, shelf) -> None:
    price_rows.place(shelf["ccx33"], "fsn1", hourly=Decimal("0.01"), monthly=Decimal(50))
    pair = (shelf["cpx22"], shelf["ccx33"])  # 0.012 to 7.49, and 0.0088 to 44
    short = text(compare(alices, workspace, *pair, hours=100))
    assert "ccx33 is cheapest: €0.88 for 100 hours, €6.55 for a whole month." in short
    price_rows.place(shelf["ccx33"], "fsn1", hourly=Decimal("0.02"))
    assert "cpx22 is cheapest: €1.20 for 100 hours, €7.49 for a whole month." in text(
        compare(alices, workspace, *pair, hours=100)
    )
    assert "Capped after 625 hours never within a month" in text(compare(alices, workspace, *pair))


def test_part_of_a_month_may_be_cheaper_elsewhere_than_all_of_it(alices, workspace, shelf) -> None:
    price_rows.place(shelf["ccx33"], "fsn1", hourly=Decimal(1), monthly=Decimal(5))
    answer = compare(alices, workspace, shelf["cpx22"], shelf["ccx33"], hours=2)
    assert "2 hours: cpx22 is cheapest, €0.02. A whole month: ccx33 is cheapest, €4.40." in text(answer)


def test_what_cannot_be_compared_is_said(alices, workspace, shelf) -> None:
    assert "Tick two or three profiles" in text(compare(alices, workspace))
    assert "One profile alone" in text(compare(alices, workspace, shelf["ccx13"]))
    four = [shelf[name] for name in ("ccx13", "ccx23", "ccx33", "cpx22")]
    assert "1 more was ticked and left out." in text(compare(alices, workspace, *four))
    ProfileLocation.objects.filter(profile=shelf["ccx23"]).update(currency="USD")
    shown = text(compare(alices, workspace, shelf["ccx13"], shelf["ccx23"]))
    assert "They are priced in different currencies, so none is called the cheapest." in shown
    assert "cheapest " not in shown.partition("What it comes to")[2]
    ProfileLocation.objects.filter(profile=shelf["ccx13"], location="fsn1").delete()
    shown = text(compare(alices, workspace, shelf["ccx13"], shelf["ccx33"]))
    assert "Not all of them have a price at this location." in shown
    assert "not sold in fsn1" in shown


@pytest.mark.parametrize(
    ("hours", "shown"), [("", 160), ("x", 160), ("0", 1), ("745", 744), ("-5", 160), ("99999", 160)]
)
def test_hours_are_those_of_one_month(alices, workspace, shelf, hours, shown) -> None:
    answer = compare(alices, workspace, shelf["ccx13"], shelf["ccx23"], hours=hours)
    assert f'name="hours" value="{shown}"' in answer.content.decode()


def test_a_profile_of_another_organization_is_not_compared(alices, workspace, shelf) -> None:
    foreign = price_rows.profile(price_rows.account("fjord-cloud", of="Fjordline"), "ccx99")
    answer = compare(alices, workspace, shelf["ccx13"], foreign)
    assert "ccx99" not in text(answer)
