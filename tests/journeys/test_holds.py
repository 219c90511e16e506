"""The pages of holds in a browser: accessible in both themes and small, usable with the keyboard and without script."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.browser import assert_accessible, picture
from workspaces.models import PLATFORM, Advisory, Hold, Operation, RunWindow, StepPlan

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("browser"),
    pytest.mark.usefixtures("empty_queues"),
]


@pytest.fixture
def pages(alice, workspace, metal, catalogue_rows) -> dict[str, str]:
    """Every page in its states: name → address."""
    now, kestrel, core = timezone.now(), workspace.project.organization, workspace.project
    Advisory.objects.create(name="LSA-2026-7", severity="high", packages=["openssl"], enforced=True)
    window = RunWindow("routine", now.replace(minute=0, second=0, microsecond=0))
    Operation.start(
        metal, "maintenance", "Operating system updates", [StepPlan("a", "A")], actor=PLATFORM, window=window
    )

    def hold(reason: str, starts: timedelta, days: int, **place: Any) -> Hold:
        times = {"set_at": now + starts, "expires_at": now + starts + timedelta(days=days)}
        return Hold.objects.create(reason=reason, set_by_name="Alice Ahrens", **times, **place)

    whole = hold("Audit of the year", -timedelta(hours=3), 4, organization=kestrel)
    later = hold("Move to another rack", timedelta(days=5), 1, workspace=workspace)
    hold("Trade fair in Oslo", -timedelta(days=30), 2)
    lifted = hold("Set by mistake", -timedelta(hours=5), 2, project=core)
    Hold.objects.filter(pk=lifted.pk).update(lifted_at=now, lifted_by_name="Bob Berger")
    at = "/maintenance/holds"
    return {
        "holds": at,
        "hold": f"{at}/{whole.pk}",
        "hold-later": f"{at}/{later.pk}",
        "hold-lifted": f"{at}/{lifted.pk}",
        "hold-new": f"{at}/new?workspace={workspace.pk}",
    }


def fits(page: Page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390)])
def test_every_page_is_accessible_in_both_themes_and_on_small_screens(open_page, alice, pages, scheme, width):
    page = open_page(alice, color_scheme=scheme, width=width, complaining=True)  # a form that is refused is a 422
    for name, address in pages.items():
        page.goto(address)
        picture(page, f"{name}-{scheme}-{width}")
        assert_accessible(page)
        assert fits(page), name
    page.goto(pages["hold"])
    page.get_by_role("button", name="Lift hold").click()
    picture(page, f"hold-lift-{scheme}-{width}")
    assert_accessible(page)
    page.goto(pages["hold-new"])
    page.get_by_role("button", name="Hold automatic work").click()
    expect(page.locator(".error-summary")).to_be_focused()
    picture(page, f"hold-new-errors-{scheme}-{width}")
    assert_accessible(page)


def test_who_may_only_look_gets_readable_pages(open_page, victor, pages):
    page = open_page(victor)
    for name in ("holds", "hold"):
        page.goto(pages[name])
        picture(page, f"{name}-looking")
        assert_accessible(page)
    expect(page.locator("main")).to_contain_text("An administrator of Kestrel Freight can lift it.")


def test_with_the_keyboard_alone_a_hold_is_previewed_set_and_lifted(open_page, alice, workspace):
    page = open_page(alice)
    page.goto(f"/maintenance/holds/new?workspace={workspace.pk}")
    page.get_by_label("One workspace only").focus()
    page.keyboard.press("Tab")
    page.keyboard.type("Quarter end")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # from 8 hours to 24 hours
    expect(page.get_by_role("radio", name="24 hours")).to_be_checked()
    expect(page.locator("#stops [name=seen]")).to_have_value(f"{workspace.project_id}|ledger-prod|24||")
    page.locator("#set").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Hold of ledger-prod")
    expect(page.locator("#toasts")).to_contain_text("Automatic work of ledger-prod is held until")
    page.get_by_role("button", name="Lift hold").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("The hold of ledger-prod is lifted.")
    assert Hold.objects.get().lifted_by_name == "Alice Ahrens"


def test_without_script_what_is_new_is_shown_before_it_is_stored(open_page, alice, workspace):
    page = open_page(alice, java_script_enabled=False)
    page.goto("/maintenance/holds")
    page.get_by_role("link", name="Hold automatic work").click()
    page.get_by_label("Where").select_option(label="Freight Core")
    page.get_by_label("Reason").fill("Quarter end")
    page.get_by_role("radio", name="7 days").check()
    page.get_by_role("button", name="Hold automatic work").click()
    expect(page.locator("main")).to_contain_text("Nothing is held yet.")
    expect(page.locator("#stops")).to_contain_text(re.compile("1 workspace, 1[23] windows"))
    assert not Hold.objects.exists()
    page.get_by_role("button", name="Hold automatic work").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hold of Freight Core")
    assert Hold.objects.get().reason == "Quarter end"
