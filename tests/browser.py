"""The browser of the browser tests: an installed Chromium, driven by Playwright. A missing one fails, it is no skip.

And what every page is looked at for: the rules of accessibility, and a picture for a person.
"""

import os
import shutil
import threading
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find() -> str:
    """The browser's program: from PATH, else one that Playwright has downloaded."""
    for name in NAMES:
        if found := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/bin"):
            return found
    downloads = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache/ms-playwright")
    for downloaded in sorted(downloads.glob("chromium-*/chrome-linux*/chrome"), reverse=True):
        return str(downloaded)
    raise RuntimeError("No browser: `apt-get install chromium fonts-dejavu-core` (.ci/run does), or install Chrome.")


def launch(playwright: Playwright) -> Browser:
    """Start it without a window."""
    return playwright.chromium.launch(executable_path=find(), args=list(ARGUMENTS))


def close(*contexts: BrowserContext) -> None:
    """Close them, and wait until the live server has done with what they last asked.

    A page that asks again by itself may leave a request behind that holds locks while the next test empties the tables.
    """
    for context in contexts:
        context.close()
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(timeout=30)
            assert not thread.is_alive(), "the live server still answers a browser that has gone"


def assert_accessible(page: Page) -> None:
    """WCAG 2.2 AA and the best practices beside it."""
    found = Axe().run(
        page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
    )
    assert found.violations_count == 0, found.generate_report()


def picture(page: Page, name: str) -> None:
    """Kept for a person when LOOPBACK_PICTURES names a directory."""
    if directory := os.environ.get("LOOPBACK_PICTURES"):
        page.screenshot(path=Path(directory) / f"{name}.png", full_page=True)
