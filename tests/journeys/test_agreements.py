"""Agreements and left servers in a browser: by keyboard, in both themes, on a phone; and deleting a server by name."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from tests.browser import assert_accessible, picture
from tests.views.commercial import account, contract, left, listed, on_account
from workspaces.models import Host, LeftServer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]
SHAPES = [("light", 1440), ("dark", 1440), ("light", 390), ("dark", 320)]


@pytest.fixture
def agreement(workspace):
    """Three agreements of Kestrel Freight, and an account with what its hosts cost, left servers and a lost host."""
    cloud, today = account(observed_at=timezone.now()), timezone.now().date()
    for name, hourly, monthly in (("ccx13", "0.0200", "12.49"), ("ccx23", "0.0400", "24.99"), ("cpx31", "0.02", "13")):
        listed(cloud, name, hourly=hourly, monthly=monthly, primary_ip=Decimal("0.50"), backup=Decimal(5))
    on_account(workspace, cloud)
    Host.objects.filter(name="ledger-prod-w1").update(provider_status="gone")
    Host.objects.filter(name="ledger-prod-w3").update(profile="cx99")
    seen = {"first_seen_at": timezone.now() - timedelta(hours=3), "observed_at": timezone.now()}
    left(cloud, workspace=workspace, **seen)
    left(cloud, "unknown-price", provider_id=4712, profile="cx99", workspace=workspace, **seen)
    account("broken-cloud", error_code="unauthorized", error_message="The token is refused.", observed_at=None)
    account("quiet-cloud", observed_at=timezone.now())
    contract("KF-2025-11", {"family": "cpx*"}, first=date(2025, 1, 1), until=today)
    contract("KF-2026-09", {"family": "ccx*", "amount": Decimal(90)}, until=today + timedelta(days=30))
    return contract(
        "KF-2026-03",
        {"clause": "2.1", "family": "ccx*"},
        {"clause": "2.2", "family": "ccx*", "component": "hourly", "location": "fsn1", "minimum": Decimal("0.02")},
        {"clause": "2.3", "profile": "ccx23", "kind": "fixed", "amount": Decimal(20)},
        {"clause": "3", "component": "setup", "kind": "fixed", "amount": Decimal(0)},
        {"clause": "4", "family": "zz*"},
        until=today + timedelta(days=127),
    )


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("scheme", "width"), SHAPES)
def test_the_pages_are_accessible_and_do_not_scroll_sideways(
    open_page, alice, agreement, workspace, settings, scheme, width
):
    page = open_page(alice, color_scheme=scheme, width=width)
    settings.LOOPBACK_RECONCILE_SECONDS = 60  # what was found three hours ago may be deleted
    server = LeftServer.objects.get(name="ledger-prod-w9")
    addresses = {
        "agreements": "/agreements",
        "agreement": f"/agreements/{agreement.pk}?workspace={workspace.pk}",
        "left-servers": "/left-servers",
        "left-server-delete": f"/left-servers/{server.pk}/delete",
    }
    for name, address in addresses.items():
        page.goto(address)
        assert_accessible(page)
        assert fits(page), name
        picture(page, f"{name}-{scheme}-{width}")


def test_what_a_workspace_would_pay_is_answered_by_keyboard_without_leaving_the_page(
    open_page, alice, agreement, workspace
):
    page = open_page(alice)
    page.goto("/agreements")
    page.get_by_role("link", name="KF-2026-03").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Workspace", exact=True).focus()
    page.keyboard.type("ledger")
    # The select tells htmx at once; without the script the button does.
    answer = page.locator("#simulation")
    answer.get_by_text("a month at most under KF-2026-03").wait_for()
    assert "ledger-prod-w3 (cx99 in fsn1)" in answer.inner_text()
    assert "ccx23 in fsn1" in answer.inner_text()
    assert page.url.endswith(f"/agreements/{agreement.pk}")
    page.get_by_label("On, UTC day").fill("2035-01-01")
    answer.get_by_text("It does not hold on that day").wait_for()
    assert_accessible(page)


def test_without_the_script_the_form_is_a_plain_link(open_page, alice, agreement, workspace):
    # Chromium remarks that the palette's autofocus yields to the place in the address.
    page = open_page(alice, complaining=True, java_script_enabled=False)
    page.goto(f"/agreements/{agreement.pk}")
    page.get_by_label("Workspace", exact=True).select_option(label="ledger-prod")
    page.get_by_role("button", name="Show what it pays").click()
    assert page.get_by_text("a month at most under KF-2026-03").is_visible()


def test_a_left_server_is_deleted_by_typing_its_name(open_page, alice, agreement, workspace, settings):
    page = open_page(alice, complaining=True)  # the console names the 422 of a wrong name
    settings.LOOPBACK_RECONCILE_SECONDS = 60
    page.goto("/versions")
    page.get_by_role("link", name="Left servers 2").click()
    page.get_by_role("link", name="Delete server ledger-prod-w9").click()
    page.get_by_label("Server name").fill("ledger-prod")
    page.get_by_role("button", name="Delete server").click()
    assert page.locator("#confirm_name-error").is_visible()
    assert_accessible(page)
    page.get_by_label("Server name").fill("ledger-prod-w9")
    page.get_by_role("button", name="Delete server").click()
    page.wait_for_url("**/left-servers")
    assert page.get_by_text("ledger-prod-w9 is being deleted.").is_visible()
    assert page.get_by_role("cell", name="Being deleted").is_visible()
    assert LeftServer.objects.get(name="ledger-prod-w9").status == "deleting"


def test_somebody_of_a_project_sees_them_and_is_told_who_deletes(open_page, bob, agreement, workspace):
    page = open_page(bob)
    page.goto("/left-servers")
    assert page.get_by_text(
        "An administrator or operator of Kestrel Freight as a whole can delete them."
    ).first.is_visible()
    assert page.get_by_role("link", name="Delete server ledger-prod-w9").count() == 0
