"""The browser of the journeys, and pages in it with somebody signed in. A module with other wishes has its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, sync_playwright

from tests import browser as browsers
from tests import cast, machinery
from workspaces.models import Account


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = browsers.launch(playwright)
        yield started
        started.close()


@pytest.fixture
def open_page(chromium: Browser, live_server, settings) -> Iterator[Any]:
    """Makes pages with somebody signed in: open_page(alice, color_scheme="dark", width=390). No page may complain."""
    settings.LOOPBACK_RECONCILE_SECONDS = 10**9  # what was seen at the time of the cast stays fresh
    contexts, complaints = [], []

    def opened(who: Account, *, width: int = 1440, complaining: bool = False, **options: Any) -> Page:
        machinery.alive()
        context = chromium.new_context(
            base_url=live_server.url, viewport={"width": width, "height": 900}, reduced_motion="reduce", **options
        )
        contexts.append(context)
        session = cast.sign_in(Client(), who).cookies["sessionid"].value
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        if not complaining:
            page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield opened
    browsers.close(*contexts)
    assert complaints == []
