"""The version page in a browser: several hops chosen, a preflight followed to its end, a risk taken."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser import assert_accessible, picture
from tests.views import preflights
from workspaces.models import Operation, Preflight

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues", "catalogue_rows"),
]


def lately(preflight: Preflight) -> Preflight:
    """The clock of the browser's server is not stopped."""
    now = timezone.now()
    preflight.asked_at = now - timedelta(minutes=3)
    preflight.finished_at = preflight.finished_at and now - timedelta(minutes=3)
    preflight.save()
    return preflight


def test_several_hops_are_chosen_a_risk_is_taken_and_the_dialog_says_both(open_page, bob, workspace):
    lately(preflights.finished(workspace, nodes_ready="fail", capacity="fail", deprecated_apis="cannot_tell"))
    page = open_page(bob)
    page.goto(f"/workspaces/{workspace.pk}/version")
    picture(page, "version-preflight")
    assert_accessible(page)
    page.locator("label:has([value='1.36.2'])").click()
    expect(page.get_by_role("heading", name="Route to 1.36.2")).to_be_visible()
    expect(page.locator("#graph .stop[data-state=target] + .label")).to_have_text("1.36.2")
    page.locator("#accept-nodes_ready").check()
    expect(page.locator("#accept-nodes_ready")).to_be_focused()
    page.locator("#accept-deprecated_apis").check()
    expect(page.locator("#confirm [name=accept]")).to_have_count(2)
    picture(page, "version-hops")
    page.get_by_role("button", name="Upgrade to 1.36.2").click()
    dialog = page.get_by_role("dialog", name="Upgrade ledger-prod to 1.36.2 now?")
    expect(dialog).to_contain_text("You take these risks, and your name stays with them:")
    expect(dialog).to_contain_text("Every host is Ready, failed.")
    expect(dialog).to_contain_text("1.34.8 to 1.35.7")
    picture(page, "version-hops-dialog")
    assert_accessible(page)
    page.get_by_role("button", name="Start upgrade").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Upgrade ledger-prod from 1.34.8 to 1.36.2")
    operation = Operation.objects.get()
    assert [hop["to"] for hop in operation.parameters["hops"]] == ["1.35.7", "1.36.2"]
    assert operation.accepted_risks == {"nodes_ready", "deprecated_apis"}


def test_a_preflight_is_asked_for_and_followed_to_its_end_without_loading_the_page(open_page, bob, workspace):
    page = open_page(bob)
    page.goto(f"/workspaces/{workspace.pk}/version")
    page.evaluate("window.stayed = true")
    page.get_by_role("button", name="Check now").click()
    expect(page.locator("#preflight")).to_contain_text("A worker looks, asked by Bob Berger")
    asked = Preflight.objects.get()
    checks = [preflights.check("nodes_ready", "fail").document()]
    Preflight.objects.filter(pk=asked.pk).update(finished_at=timezone.now(), checks=checks)
    expect(page.locator("#preflight")).to_contain_text("Evidence of nodes_ready.", timeout=15_000)
    expect(page.locator("#said")).to_have_text("Preflight for 1.35.7: 1 failed.")
    expect(page.locator("#start")).to_contain_text("Take the risk: Every host is Ready, failed.")
    assert page.locator("#preflight[hx-trigger]").count() == 0
    assert page.evaluate("window.stayed")
    assert_accessible(page)


def test_without_script_a_preflight_is_asked_for_and_a_risk_taken(open_page, bob, workspace):
    lately(preflights.finished(workspace, nodes_ready="fail"))
    page = open_page(bob, java_script_enabled=False)
    page.goto(f"/workspaces/{workspace.pk}/version")
    page.locator("#accept-nodes_ready").check()
    page.get_by_role("button", name="Take the ticked risks").click()
    page.get_by_role("button", name="Check again").click()
    expect(page.locator("#preflight")).to_contain_text("A worker looks, asked by Bob Berger")
    page.locator("#accept-nodes_ready").check()
    page.get_by_role("button", name="Take the ticked risks").click()
    page.get_by_role("button", name="Upgrade to 1.35.7").click()
    page.get_by_role("button", name="Start upgrade").click()
    page.wait_for_url("**/operations/*")
    assert Operation.objects.get().accepted_risks == {"nodes_ready"}


@pytest.mark.parametrize("width", [320, 768])
def test_the_page_stays_within_narrow_screens(open_page, bob, workspace, width):
    lately(preflights.finished(workspace, nodes_ready="fail", capacity="fail"))
    page = open_page(bob, width=width)
    page.goto(f"/workspaces/{workspace.pk}/version?target=1.36.2")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    picture(page, f"version-preflight-{width}")
    assert_accessible(page)
