"""The page of an operation in a browser: a host left out, the log narrowed, a preflight opened; also without script."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser import assert_accessible, picture
from tests.views import an_upgrade
from workspaces.models import LogLine, Operation

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]
DRAIN_1 = 7


@pytest.fixture
def draining(workspace, alice, catalogue_rows) -> Operation:
    """alice's upgrade, waiting at the drain of its first host; a risk was seen before."""
    now = timezone.now()
    operation = an_upgrade.at(
        an_upgrade.started(workspace, alice),
        DRAIN_1,
        "waiting",
        message="2 pods left",
        state="waiting",
        started_at=now - timedelta(minutes=9),
        wake_at=now,
    )
    operation.steps.filter(position=DRAIN_1).update(cause="budget_blocks", who_can_fix="The owners of shop/web.")
    an_upgrade.checked(operation, at=now, control_plane_replicas="fail")
    LogLine.objects.create(operation=operation, source="ledger-prod-w1", level="warn", text="shop/web-0 not evicted")
    return operation


@pytest.mark.parametrize("width", [1440, 320])
def test_the_page_with_everything_open_is_accessible_and_fits(open_page, bob, draining, width):
    page = open_page(bob, width=width)
    page.goto(f"/operations/{draining.pk}")
    page.get_by_text("Preflight: 12 passed, 1 warning").click()
    expect(page.get_by_text("Evidence of control_plane_replicas.")).to_be_visible()
    picture(page, f"operation-held-up-{width}")
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_what_is_open_stays_open_while_the_page_follows_the_operation(open_page, bob, draining):
    page = open_page(bob)
    page.goto(f"/operations/{draining.pk}")
    page.get_by_text("Preflight: 12 passed, 1 warning").click()
    draining.steps.filter(position=DRAIN_1).update(message="1 pod left")
    expect(page.locator("#steps")).to_contain_text("1 pod left", timeout=15_000)
    expect(page.get_by_text("Evidence of control_plane_replicas.")).to_be_visible()


def test_a_host_is_left_out_from_its_row(open_page, bob, draining):
    page = open_page(bob)
    page.goto(f"/operations/{draining.pk}")
    page.get_by_role("button", name="Leave out ledger-prod-w3").click()
    dialog = page.get_by_role("dialog", name="Leave a host as it is?")
    expect(dialog.get_by_label("Host")).to_have_value("ledger-prod-w3")
    assert_accessible(page)
    dialog.get_by_label("Reason").fill("Its disk is failing")
    dialog.get_by_role("button", name="Leave the host out").click()
    expect(page.locator("#toasts")).to_contain_text("ledger-prod-w3 is left as it is.")
    expect(page.locator("#steps")).to_contain_text("ledger-prod-w3 left as it is by Bob Berger: Its disk is failing")


def test_the_log_is_narrowed_to_warnings_without_loading_the_page(open_page, bob, draining):
    page = open_page(bob)
    page.goto(f"/operations/{draining.pk}")
    page.evaluate("window.stayed = true")
    expect(page.locator("#log li:visible")).to_have_count(8)
    page.get_by_text("Warnings 1").click()
    expect(page.locator("#log li:visible")).to_have_count(1)
    LogLine.objects.create(operation=draining, source="ledger-prod-w1", text="shop/web-1 evicted")
    LogLine.objects.create(operation=draining, source="ledger-prod-w1", level="warn", text="shop/web-2 not evicted")
    expect(page.locator("#log")).to_contain_text("shop/web-2 not evicted", timeout=15_000)
    expect(page.locator("#log")).not_to_contain_text("shop/web-1 evicted")
    assert page.evaluate("window.stayed")


def test_without_javascript_a_host_is_left_out_and_the_log_narrowed(open_page, bob, draining):
    # The browser itself notes the answer 422 on its console.
    page = open_page(bob, java_script_enabled=False, complaining=True)
    page.goto(f"/operations/{draining.pk}")
    page.get_by_text("Warnings 1").click()
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator("#log li:visible")).to_have_count(1)
    page.get_by_role("button", name="Leave out ledger-prod-w2").click()
    page.get_by_label("Host", exact=True).select_option("ledger-prod-w2")
    page.get_by_label("Reason").fill(" ")
    page.get_by_role("button", name="Leave the host out").click()
    expect(page.locator(".error-summary")).to_contain_text("Enter why the host is left out")
    page.get_by_label("Reason").fill("Its disk is failing")
    page.get_by_role("button", name="Leave the host out").click()
    expect(page.locator("#steps")).to_contain_text("ledger-prod-w2 left as it is by Bob Berger: Its disk is failing")
