"""The admin in a browser: both themes, small screens, nothing the policy refuses, and axe."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core.cache import cache
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import browser as browsers
from tests import cast
from tests.admin.forms import version
from workspaces.models import Account, Workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = browsers.launch(playwright)
        yield started
        started.close()


@pytest.fixture
def open_admin(chromium: Browser, live_server, client, root: Account) -> Iterator[Any]:
    """Makes pages of the live server in which root is signed in: open_admin(width=390, theme="dark")."""
    cache.clear()
    contexts, heard = [], []
    session = cast.sign_in(client, root).cookies["sessionid"].value

    def opened(*, width: int = 1440, theme: str = "", **options: Any) -> Page:
        context = chromium.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 900}, reduced_motion="reduce", **options
        )
        contexts.append(context)
        cookies = {"sessionid": session, "theme": theme}
        context.add_cookies([{"name": k, "value": v, "url": live_server.url} for k, v in cookies.items() if v])
        page = context.new_page()
        page.on("console", lambda message: heard.append(f"{message.text} {message.location}"))
        page.on("pageerror", lambda error: heard.append(str(error)))
        return page

    yield opened
    browsers.close(*contexts)
    assert heard == []


def shot(page: Page, name: str) -> None:
    """Keep a picture when SHOTS names a directory."""
    if directory := os.environ.get("SHOTS"):
        page.screenshot(path=Path(directory) / f"admin-{name}.png", full_page=True)


def violations(page: Page) -> list[Any]:
    """What axe finds against WCAG 2.2 AA, but for Django's search fields (select2), which have no names."""
    only = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = Axe().run(page, context={"exclude": [[".select2"]]}, options={"runOnly": only}).response["violations"]
    return [(violation["id"], [node["target"] for node in violation["nodes"]][:5]) for violation in found]


def background(page: Page) -> str:
    """The colour under the page, as the browser computes it."""
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.parametrize("look", [{"theme": "light"}, {"theme": "dark"}, {"theme": "dark", "width": 390}])
def test_lists_forms_and_messages_have_no_violation(
    open_admin, look: dict[str, Any], rows: Any, workspace: Workspace
) -> None:
    page = open_admin(**look)
    name = "-".join(f"{value}" for value in look.values())
    agreement = rows["billingagreement"].pk
    found: dict[str, Any] = {}
    for noun, address in {
        "front": "/admin/",
        "workspaces": "/admin/workspaces/workspace/",
        "workspace": f"/admin/workspaces/workspace/{workspace.pk}/change/",
        "events": "/admin/workspaces/event/",
        "event": f"/admin/workspaces/event/{rows['event'].pk}/change/",
        "agreement": f"/admin/workspaces/billingagreement/{agreement}/change/",
        "hold": "/admin/workspaces/hold/add/",
    }.items():
        page.goto(address)
        shot(page, f"{noun}-{name}")
        found |= {noun: complaints} if (complaints := violations(page)) else {}
    assert found == {}


def test_a_save_is_answered_in_the_consoles_tones(open_admin, catalogue_rows: Any) -> None:
    page = open_admin(theme="dark")
    page.goto("/admin/workspaces/kubernetesversion/add/")
    fields = version(upgrade_from="1.32.x")
    page.get_by_label("Version:").fill(fields["version"])
    page.get_by_label("Upgrade from:").fill(fields["upgrade_from"])
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist .warn").first).to_contain_text("1.36.4 accepts 1.32.x: no lower version")
    expect(page.locator(".messagelist .ok")).to_contain_text("was added successfully")
    shot(page, "messages-dark")
    assert violations(page) == []


def test_the_theme_follows_the_cookie_over_the_system_and_the_system_without_it(open_admin) -> None:
    colours = {}
    for theme in ("light", "dark", ""):
        for system in ("light", "dark"):
            page = open_admin(theme=theme, color_scheme=system)
            page.goto("/admin/")
            colours[theme, system] = background(page)
    assert colours["light", "light"] == colours["light", "dark"] == colours["", "light"]
    assert colours["dark", "light"] == colours["dark", "dark"] == colours["", "dark"]
    assert colours["", "light"] != colours["", "dark"]
