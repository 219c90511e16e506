"""Pages of somebody who has signed in just now, through the form: for what needs a recent sign-in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Browser, Page

from tests import browser as browsers
from tests import machinery
from tests.views.accounts import sign_in_by_form
from workspaces.models import Account

# What the browser itself notes of a form sent back: the answer, and, if it is quick, that the error summary has the
# focus before the closed palette could ask for it.
OF_ERRORS: Final = ("422", "Autofocus processing was blocked")


@contextmanager
def pages(chromium: Browser, address: str, *, noted: tuple[str, ...] = ()) -> Iterator[Callable[..., Page]]:
    """Makes pages at the address. No page may complain, but for what the browser itself notes by these words."""
    contexts, complaints = [], []

    def opened(who: Account, *, width: int = 1440, **options: Any) -> Page:
        machinery.alive()
        context = chromium.new_context(
            base_url=address,
            viewport={"width": width, "height": 900},
            reduced_motion="reduce",
            accept_downloads=True,
            **options,
        )
        contexts.append(context)
        client = Client()
        cache.clear()
        sign_in_by_form(client, who)
        context.add_cookies([{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": address}])
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield opened
    browsers.close(*contexts)
    complained = [said for said in complaints if not any(note in said for note in noted)]
    assert complained == [], complained
