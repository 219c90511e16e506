"""The console in a browser: signing in with the keyboard, filtering, finding; both themes, small screens, and axe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import Browser, Page, expect

from tests import browser as browsers
from tests import cast, machinery
from tests.browser import assert_accessible, picture
from workspaces.models import PLATFORM, Host, MaintenancePlan, Operation, Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser's console said; nothing, at the end of every test. CSP violations arrive here too."""
    heard: list[str] = []
    yield heard
    assert heard == []


@pytest.fixture
def open_page(chromium: Browser, live_server, complaints: list[str]) -> Iterator[Any]:
    """Makes pages of the live server: open_page(color_scheme="dark", width=390)."""
    contexts = []

    def opened(*, width: int = 1440, **options: Any) -> Page:
        machinery.alive()
        context = chromium.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 900}, reduced_motion="reduce", **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    cache.clear()
    yield opened
    browsers.close(*contexts)


@pytest.fixture
def fleet(alice, bob, workspace, metal, catalogue_rows, settings) -> None:
    """Five workspaces in all conditions, seen at the time of the cast, which stays fresh."""
    settings.LOOPBACK_RECONCILE_SECONDS = 10**9
    customs = cast.project("Customs")
    Host.objects.filter(workspace=workspace, name="ledger-prod-w2").update(ready=False)
    cast.kubernetes("customs-gateway", project=customs, attention="Not ready: customs-gateway-w1", attention_tone="bad")
    cast.kubernetes("identity", project=customs, observed_at=None)
    MaintenancePlan.objects.filter(workspace=metal).update(enabled=False, disabled_by="M. Osei", disabled_at=cast.NOW)
    Operation.start(
        cast.kubernetes("atlas-routing", project=customs),
        "upgrade",
        "Upgrade atlas-routing from 1.34.8 to 1.35.7",
        [],
        actor=PLATFORM,
        parameters={"to": "1.35.7"},
    )


def sign_in(page: Page, email: str = "alice@kestrel.example") -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(cast.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/workspaces")


def assert_no_sideways_scrolling(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("dark", 320)])
def test_the_pages_are_accessible_in_both_themes_and_on_small_screens(open_page, fleet, scheme, width):
    page = open_page(color_scheme=scheme, width=width)
    page.goto("/accounts/login/")
    picture(page, f"sign-in-{scheme}-{width}")
    assert_accessible(page)
    assert_no_sideways_scrolling(page)
    sign_in(page)
    for name, address in [
        ("fleet", "/workspaces"),
        ("fleet-empty", "/workspaces?q=ledgr"),
        ("fleet-note", "/workspaces?state=bogus"),
        ("find", "/find?q=ledger"),
    ]:
        page.goto(address)
        picture(page, f"{name}-{scheme}-{width}")
        assert_accessible(page)
        assert_no_sideways_scrolling(page)


def test_a_person_signs_in_and_filters_with_the_keyboard_alone(open_page, fleet):
    page = open_page()
    page.goto("/workspaces?state=attention")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("alice@kestrel.example")
    page.keyboard.press("Tab")
    page.keyboard.type(cast.PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/workspaces?state=attention")
    expect(page.locator("tbody tr")).to_have_count(1)

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    search = page.get_by_label("Filter by name, ID or project")
    for _ in range(8):
        if search.evaluate("one => one === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("tbody tr")).to_have_count(5)
    page.keyboard.press("Shift+Tab")
    expect(search).to_be_focused()
    page.keyboard.type("gate")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_role("link", name="customs-gateway")).to_be_visible()
    expect(search).to_be_focused()
    assert page.url.endswith("/workspaces?q=gate")
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(5)


def test_a_wrong_password_is_refused_and_the_summary_has_the_focus(open_page, fleet):
    page = open_page()
    page.goto("/accounts/login/")
    page.get_by_label("Email address").fill("alice@kestrel.example")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator(".error-summary")).to_be_focused()
    picture(page, "sign-in-refused")
    assert_accessible(page)


def test_sorting_and_turning_pages_keep_the_filter(open_page, fleet, workspace):
    Workspace.objects.bulk_create(
        Workspace(name=f"yard-{number:02}", project=workspace.project, type="baremetal") for number in range(60)
    )
    page = open_page()
    sign_in(page)
    page.get_by_label("Type").select_option("Bare metal")
    expect(page.locator(".pager")).to_contain_text("1 to 50 of 61")
    page.get_by_role("link", name="Next", exact=True).click()
    expect(page.locator(".pager")).to_contain_text("51 to 61 of 61")
    page.get_by_role("link", name="Health").click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("Health")
    assert page.url.endswith("/workspaces?type=baremetal&sort=health")


def test_the_list_refreshes_itself(open_page, fleet, workspace):
    page = open_page()
    sign_in(page)
    expect(page.locator("tbody")).not_to_contain_text("Not ready: ledger-prod-w3")
    name = page.get_by_role("link", name="ledger-prod")
    name.focus()
    Workspace.objects.filter(pk=workspace.pk).update(attention="Not ready: ledger-prod-w3", attention_tone="bad")
    expect(page.locator("tbody")).to_contain_text("Not ready: ledger-prod-w3", timeout=20_000)
    expect(page.locator("#lede")).to_contain_text("2 need attention")
    expect(page.locator("#count-attention")).to_have_text("2")
    expect(name).to_be_focused()


def test_find_opens_with_control_k_and_walks_with_the_arrows(open_page, fleet, workspace):
    page = open_page()
    sign_in(page)
    page.keyboard.press("Control+k")
    page.keyboard.type("ledger")
    found = page.locator("#palette-results")
    expect(found.get_by_role("link", name="ledger-prod Freight Core")).to_be_visible()
    picture(page, "find-dialog")
    assert_accessible(page)
    page.keyboard.press("ArrowDown")
    expect(found.get_by_role("link").first).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).not_to_be_visible()


def test_menus_show_the_place_and_the_theme(open_page, fleet):
    page = open_page()
    sign_in(page)
    page.get_by_role("button", name="Alice Ahrens, account menu").click()
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.get_by_role("button", name="Organization and project: Kestrel Freight").click()
    picture(page, "place-menu-dark")
    page.locator("#place-menu").get_by_role("link", name="Customs").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.get_by_role("button", name="Alice Ahrens, account menu").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")


def test_everything_works_without_javascript(open_page, fleet):
    page = open_page(java_script_enabled=False)
    sign_in(page)
    page.get_by_label("Filter by name, ID or project").fill("gate")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.goto("/find")
    page.get_by_role("searchbox", name="Workspace, host or operation", exact=True).fill("ledger")
    page.get_by_role("button", name="Find", exact=True).click()
    expect(page.locator(".found").get_by_role("link", name="ledger-prod Freight Core")).to_be_visible()
