"""Deleting a workspace in a browser: planned, taken back, agreed to by two people, run to its end, and the receipt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, Locator, Page, expect

from tests import cast
from tests.browser import assert_accessible, picture
from tests.journeys import recently
from tests.operations import deleting, harness
from tests.simulators.running import RunningWorld
from tests.views.test_deletion import SILENT, STRAY, begun, looked, scheduled, url
from workspaces.models import Account, Actor, Deletion, DeletionPolicy, Operation, Workspace
from workspaces.operations import deletion_schedule, forgetting, inventory

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]
BACKUPS = ("The manifests and settings", "The data on its volumes", "The secrets and certificates")


@pytest.fixture
def open_page(chromium: Browser, live_server) -> Iterator[Any]:
    """Makes pages with somebody who has signed in just now. No page may complain."""
    with recently.pages(chromium, live_server.url, noted=recently.OF_ERRORS) as opened:
        yield opened


def erin() -> Account:
    """Another administrator."""
    return cast.account("erin@kestrel.example", "administrator", on=cast.organization("Kestrel Freight"))


def fill_in(page: Page, name: str) -> None:
    """The form, but its button."""
    for label in BACKUPS:
        page.get_by_label(label).check()
    page.get_by_label("Workspace name").fill(name)
    page.get_by_label("Reason, for the audit log").fill("Pilot ended")


def schedule(page: Page) -> None:
    page.get_by_role("button", name="Schedule deletion").click()


# --- From the plan to the receipt -------------------------------------------------------------------------------------
@pytest.mark.usefixtures("catalogue_rows")
@pytest.mark.timeout(300)
def test_a_workspace_is_planned_undone_agreed_to_deleted_and_its_receipt_taken(
    open_page, world: RunningWorld, alice, tmp_path
) -> None:
    deleting.policy()
    DeletionPolicy.objects.update(second_person=True)
    workspace = deleting.whole(world, "bye-browser")
    page = open_page(alice)
    page.goto(url(workspace))
    expect(page.locator("#plan")).to_contain_text("being looked at")
    inventory.take(workspace.pk)
    expect(page.locator("#plan")).to_contain_text("bye-browser-lb", timeout=15_000)
    expect(page.locator("#safeguards")).to_contain_text("1 volume deleted for good")
    expect(page.locator("#safeguards")).to_contain_text("none blocks deletion")

    fill_in(page, "bye-browser")
    schedule(page)
    expect(page.get_by_role("heading", name="Deletion begins")).to_be_visible()
    page.get_by_role("button", name="Undo the deletion").click()
    expect(page.locator("#toasts")).to_contain_text("It stays.")
    workspace.refresh_from_db()
    assert workspace.state == "active"

    fill_in(page, "bye-browser")
    schedule(page)
    expect(page.get_by_text("You asked for it, so somebody else has to agree.")).to_be_visible()
    expect(page.get_by_role("button", name="Agree to the deletion")).to_have_count(0)
    agree(open_page(erin()), workspace)

    operation = begin(workspace)
    page.goto(url(workspace))
    expect(page.get_by_role("main")).to_contain_text("It is at Look that all is as it was agreed to")
    assert harness.drive(operation).state == "succeeded"
    page.goto(url(workspace))
    page.wait_for_url("**/receipt")
    expect(page.get_by_role("main")).to_contain_text("bye-browser-other")
    assert_accessible(page)
    picture(page, "deletion-done")
    told = download(page, tmp_path)
    assert told.splitlines()[0] == "Receipt of the deletion of bye-browser"
    assert "bye-browser-data" in told
    workspace.refresh_from_db()
    deleting.nothing_unsaid(workspace, Deletion.objects.get(operation=operation).receipt or {})


def agree(page: Page, workspace: Workspace) -> None:
    """As a second person, on a page of their own."""
    page.goto(url(workspace))
    page.get_by_role("button", name="Agree to the deletion").click()
    expect(page.get_by_role("main")).to_contain_text("erin@kestrel.example agreed")


def begin(workspace: Workspace) -> Operation:
    """Not before its time: then the tick begins it."""
    assert deletion_schedule.begin_due(timezone.now()) == 0
    # The clock is the one thing that is not waited for.
    Deletion.objects.filter(workspace=workspace, state="scheduled").update(begins_at=timezone.now())
    assert deletion_schedule.begin_due(timezone.now()) == 1
    return Operation.objects.get(workspace=workspace, kind="deletion")


def download(page: Page, into: Path) -> str:
    """The receipt as text."""
    with page.expect_download() as downloading:
        page.get_by_role("link", name="Download as text").click()
    assert downloading.value.suggested_filename == "bye-browser-receipt.txt"
    downloading.value.save_as(into / "receipt.txt")
    return (into / "receipt.txt").read_text()


# --- By keyboard ------------------------------------------------------------------------------------------------------
def tab_to(page: Page, wanted: Locator) -> None:
    """Press Tab until it has the focus; a page that does not lead there fails."""
    for _ in range(120):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {wanted}")


def test_what_is_missing_is_found_and_the_deletion_scheduled_with_the_keyboard_alone(
    open_page, workspace, alice
) -> None:
    looked(workspace)
    page = open_page(alice)
    page.goto(url(workspace))
    tab_to(page, page.get_by_role("button", name="Schedule deletion"))
    page.keyboard.press("Enter")
    summary = page.get_by_role("alert")
    expect(summary).to_contain_text("Deletion cannot be scheduled yet")
    assert_accessible(page)
    tab_to(page, summary.get_by_role("link", name="Confirm each of the three"))
    page.keyboard.press("Enter")
    # From the anchor on, the next key is at the first tick.
    page.keyboard.press("Tab")
    expect(page.get_by_label(BACKUPS[0])).to_be_focused()
    page.keyboard.press("Space")
    for label in BACKUPS[1:]:
        tab_to(page, page.get_by_label(label))
        page.keyboard.press("Space")
    tab_to(page, page.get_by_label("Workspace name"))
    page.keyboard.type("ledger-prod")
    tab_to(page, page.get_by_label("Reason, for the audit log"))
    page.keyboard.type("Pilot ended")
    tab_to(page, page.get_by_role("button", name="Schedule deletion"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Deletion begins")).to_be_visible()
    assert Deletion.objects.get().reason == "Pilot ended"


# --- Every state, in both themes and on a phone -----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("width", "scheme"), [(1440, "light"), (1440, "dark"), (390, "light")], ids=["light", "dark", "phone"]
)
@pytest.mark.timeout(240)
def test_every_state_is_accessible_and_fits(open_page, workspace, alice, width, scheme) -> None:
    page = open_page(alice, width=width, color_scheme=scheme)

    def see(state: str, says: str, what: str = "delete", *, stay: bool = False) -> None:
        if not stay:
            page.goto(url(workspace, what).rstrip("/"))
        expect(page.get_by_role("main")).to_contain_text(says)
        picture(page, f"deletion-{state}-{width}-{scheme}")
        assert_accessible(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, state

    see("looking", "being looked at")
    looked(workspace, not_asked=[SILENT])
    see("silent", "Account kestrel did not answer.")
    looked(workspace, STRAY)
    see("plan", "none blocks deletion")
    schedule(page)
    see("errors", "Deletion cannot be scheduled yet", stay=True)

    DeletionPolicy.objects.create(second_person=True)
    deletion = scheduled(workspace, alice)
    see("waits", "nobody has agreed yet, so it does not begin")
    see("overview", "See the plan, or undo it", what="")
    assert deletion_schedule.undo(deletion, Actor.of(alice)) is None
    workspace.refresh_from_db()
    failed = begun(
        workspace,
        "failed",
        step="failed",
        error_message="The data store default is not ready.",
        error_who_can_fix="The operator of the management cluster.",
    )
    see("failed", "Continue the deletion")
    see("forget", "What stays behind, unseen", what="forget")
    deletion = Deletion.objects.get(operation=failed)
    words = {"confirm_name": workspace.name, "reason": "The cluster burned"}
    assert forgetting.forget(deletion, **words, actor=Actor.of(alice)) is None
    see("forgotten", "nobody has asked whether what follows is still there", what="receipt")
