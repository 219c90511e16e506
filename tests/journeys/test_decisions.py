"""The decision log, one window, the last runs and the calendar feed in a browser; and the log without JavaScript."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
import vobject
from django.utils import timezone
from playwright.sync_api import expect

from tests import cast
from tests.browser import assert_accessible, picture
from tests.views.past_windows import blocked, decide, host_done, run, started
from workspaces.models import Decision, Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


@pytest.fixture
def windows(workspace: Workspace, metal: Workspace, catalogue_rows) -> None:
    """Of the last days: done, stopped early and gone on, blocked, missed, failed, nothing to do, and one that runs."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    day, minute = timedelta(days=1), timedelta(minutes=1)
    for row in (workspace, metal):
        paused = run(row, hour - 6 * day + minute, hour - 5 * day + 20 * minute)
        host_done(paused, f"{row.name}-w1", hour - 6 * day + 58 * minute, 4, restarted=True)
        host_done(paused, f"{row.name}-w2", hour - 5 * day + 19 * minute, 4)
        started(paused, hour - 6 * day)
        why = f"Its hour ended at {hour:%H:%M} UTC, and it may overrun by 60 min."
        started(paused, hour - 5 * day, reason="continues", message=why)
        blocked(row, hour - 4 * day)
        decide(row, hour - 3 * day)
        missed = "No scheduler ran from Fri 20 Nov 01:58 to Fri 20 Nov 02:50 UTC."
        decide(row, hour - 2 * day, "missed", reason="scheduler_stopped", message=missed, evidence={})
    failed = run(
        metal, hour - day, hour - day + 9 * minute, state="failed", error_message="customs-archive-2 cannot be reached."
    )
    host_done(failed, "customs-archive-1", hour - day + 5 * minute, 3)
    host_done(failed, "customs-archive-2", None)
    started(failed, hour - day, decided_at=hour - day)
    started(run(workspace, hour, state="running"), hour, decided_at=hour)


def sign_in_again(page) -> None:
    """What needs a recent sign-in asks for the password first."""
    page.get_by_label("Password").fill(cast.PASSWORD)
    page.locator("main button[type=submit]").first.click()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("light", 320)])
def test_the_pages_are_accessible(open_page, alice, workspace, windows, scheme, width):
    page = open_page(alice, color_scheme=scheme, width=width)
    resumed = Decision.objects.filter(workspace=workspace, reason="continues").get()
    held = Decision.objects.filter(workspace=workspace, outcome="blocked").get()
    for name, address in (
        ("list", "/maintenance/decisions"),
        ("filtered", "/maintenance/decisions?outcome=blocked&lane=routine&from=tomorrow"),
        ("empty", "/maintenance/decisions?workspace=nothing"),
        ("run", f"/maintenance/decisions/{resumed.pk}"),
        ("blocked", f"/maintenance/decisions/{held.pk}"),
        ("maintenance", f"/workspaces/{workspace.pk}/maintenance"),
        ("feed", f"/projects/{workspace.project_id}/calendar"),
    ):
        page.goto(address)
        picture(page, f"decisions-{name}-{scheme}-{width}")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name


def test_it_is_narrowed_while_typing_opened_and_taken_as_a_file(open_page, alice, windows, tmp_path: Path):
    page = open_page(alice)
    page.goto("/maintenance/decisions")
    expect(page.locator("#list tbody tr")).to_have_count(12)
    page.get_by_role("searchbox", name="Workspace").fill("ledger")
    expect(page.locator("#list tbody tr")).to_have_count(6)
    page.get_by_label("Outcome").select_option("Blocked")
    expect(page.locator("#list tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"workspace=ledger&outcome=blocked$"))
    with page.expect_download() as download:
        page.get_by_role("link", name="Export what matches as CSV").click()
    download.value.save_as(tmp_path / "decisions.csv")
    assert len((tmp_path / "decisions.csv").read_text().splitlines()) == 2
    page.locator("#list tbody th a").click()
    expect(page.get_by_role("heading", name="What stopped it")).to_be_visible()
    page.go_back()
    expect(page.locator("#list tbody tr")).to_have_count(1)


def test_it_works_without_javascript(open_page, alice, windows):
    page = open_page(alice, java_script_enabled=False)
    page.goto("/maintenance/decisions")
    page.get_by_label("Workspace, by name or ID").fill("customs")
    page.get_by_role("button", name="Apply").click()
    assert page.locator("#list tbody tr").count() == 6


def test_a_feed_is_made_copied_read_renewed_and_ended(open_page, alice, workspace, windows):
    page = open_page(alice, permissions=["clipboard-read", "clipboard-write"], complaining=True)
    page.goto(f"/projects/{workspace.project_id}/calendar")
    page.get_by_role("button", name="Make the address").click()
    sign_in_again(page)
    page.get_by_role("button", name="Make the address").click()
    address = page.get_by_label("Address").input_value()
    picture(page, "decisions-feed-made")
    assert_accessible(page)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == address
    entries = vobject.readOne(page.request.get(address).text()).contents["vevent"]
    assert any("ledger-prod" in entry.summary.value for entry in entries)
    page.get_by_role("link", name="Done, I have the address").click()
    expect(page.locator("main")).to_contain_text("Last read")
    expect(page.locator("main")).not_to_contain_text(".ics")
    page.get_by_role("button", name="Make a new address").click()
    page.get_by_role("dialog").get_by_role("button", name="Make a new address").click()
    renewed = page.get_by_label("Address").input_value()
    assert page.request.get(address).status == 404
    page.goto(f"/projects/{workspace.project_id}/calendar")
    page.get_by_role("button", name="End the feed").click()
    picture(page, "decisions-feed-end")
    page.get_by_role("dialog").get_by_role("button", name="End the feed").click()
    expect(page.locator(".toast")).to_contain_text("The calendar feed of Freight Core has ended.")
    assert page.request.get(renewed).status == 404
