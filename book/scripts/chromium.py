"""The browser that this machine has, for the pictures, the PDF and the tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--disable-gpu", "--disable-background-networking", "--no-first-run"]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]


MISSING = f"No browser is installed (looked for {', '.join(NAMES)})"


def find() -> str | None:
    """Where the browser is; None if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; end the program if there is none."""
    found = find()
    if found is None:
        raise SystemExit(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found, args=ARGUMENTS, chromium_sandbox=False
        )
        yield browser
        browser.close()
