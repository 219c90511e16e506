"""Moving a workspace in a browser: another destination chosen, confirmed, and the proof read."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests import cast
from tests.browser import assert_accessible
from workspaces.models import Workspace

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]


def test_a_destination_is_chosen_confirmed_and_proven(open_page, workspace, alice, bob) -> None:
    cast.project("Customs")
    cast.project("Depot Systems")
    page = open_page(alice)
    page.goto(f"/workspaces/{workspace.pk}/transfer")
    assert_accessible(page)
    page.get_by_label("To project").select_option(label="Depot Systems")
    page.get_by_role("button", name="Transfer to Depot Systems").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 person loses access: Bob Berger.")
    assert_accessible(page)
    dialog.get_by_role("button", name="Transfer to Depot Systems").click()
    expect(page.get_by_role("heading", name="Moved from Freight Core to Depot Systems")).to_be_visible()
    expect(page.locator("#proof")).to_contain_text("As predicted")
    assert_accessible(page)
    assert Workspace.objects.get(pk=workspace.pk).project.name == "Depot Systems"


@pytest.mark.parametrize("width", [320, 390])
def test_a_narrow_window_shows_all_of_it_without_scrolling_sideways(
    open_page,
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
    assert_accessible(page)
