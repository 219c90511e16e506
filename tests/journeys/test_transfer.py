"""Moving a workspace in a browser: another destination chosen, confirmed, and the proof read."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests import cast
from tests.journeys.test_workspace_pages import chromium, open_page  # noqa: F401
from workspaces.models import Workspace

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]


def accessible(page: Page) -> None:
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found = Axe().run(page, options=rules)
    assert found.violations_count == 0, found.generate_report()


def test_a_destination_is_chosen_confirmed_and_proven(open_page, workspace, alice, bob) -> None:  # noqa: F811
    cast.project("Customs")
    cast.project("Depot Systems")
    page = open_page(alice)
    page.goto(f"/workspaces/{workspace.pk}/transfer")
    accessible(page)
    page.get_by_label("To project").select_option(label="Depot Systems")
    page.get_by_role("button", name="Transfer to Depot Systems").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 person loses access: Bob Berger.")
    accessible(page)
    dialog.get_by_role("button", name="Transfer to Depot Systems").click()
    expect(page.get_by_role("heading", name="Moved from Freight Core to Depot Systems")).to_be_visible()
    expect(page.locator("#proof")).to_contain_text("As predicted")
    accessible(page)
    assert Workspace.objects.get(pk=workspace.pk).project.name == "Depot Systems"


@pytest.mark.parametrize("width", [320, 390])
def test_a_narrow_window_shows_all_of_it_without_scrolling_sideways(
    open_page,  # noqa: F811
    workspace,
    alice,
    bob,
    width,
) -> None:
    cast.project("Customs")
    page = open_page(alice, width=width, color_scheme="dark")
    page.goto(f"/workspaces/{workspace.pk}/transfer")
    expect(page.get_by_text("Loses access", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    accessible(page)
