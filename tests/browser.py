"""The browser of the browser tests: an installed Chromium, driven by Playwright. A missing one fails, it is no skip."""

import os
import shutil
from pathlib import Path

from playwright.sync_api import Browser, Playwright

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
