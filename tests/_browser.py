"""The built site in a real browser: what the tests of its pages share.

The fixtures reach the tests through conftest.py. The site is built once a session;
the browser is started once a module, because Playwright's event loop would be in the
way of the tests that run one of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from _repository import SCRIPTS
from chromium import MISSING, chromium, find
from filelock import FileLock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Response

WIDE = (1280, 900)
PHONE = (360, 740)


@dataclass
class Visit:
    """An open page, and what its browser has complained of and asked for."""

    page: Page
    errors: list[str] = field(default_factory=list)
    """Console errors, uncaught exceptions, failed requests and HTTP errors."""
    requests: list[str] = field(default_factory=list)
    """Every address asked for, except data: and blob:."""

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("requestfailed", lambda r: self.errors.append(f"failed: {r.url}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(f"{message.type}: {message.text}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.errors.append(f"{response.status}: {response.url}")

    def other_hosts(self) -> list[str]:
        """The requests that left this machine."""
        parts = [(urlsplit(url), url) for url in self.requests]
        local = ("data", "blob", "about")
        return [
            url
            for part, url in parts
            if part.scheme not in local and part.hostname != "127.0.0.1"
        ]

    def sideways(self) -> int:
        """By how many pixels the page scrolls sideways."""
        return self.page.evaluate(
            "(({scrollWidth, clientWidth}) => scrollWidth - clientWidth)"
            "(document.documentElement)"
        )


Open = Callable[..., Visit]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Nothing: the tests look at the responses themselves."""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from the committed outputs with warnings as errors."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of the session's workers the first one builds
    with FileLock(folder / "site.lock"):
        if not (folder / "site").exists():
            build_site(folder / "draft")
            (folder / "draft").rename(folder / "site")
    return folder / "site" / "_build" / "html"


def build_site(folder: Path) -> None:
    output = folder / "_build"
    script = [sys.executable, str(SCRIPTS / "build.py"), "--output", str(output)]
    done = subprocess.run(script, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert done.stdout.rstrip().endswith("index.html"), "the path to open comes last"


@pytest.fixture(scope="session")
def site_url(site: Path) -> Iterator[str]:
    """The address that the site is served at, without a slash at its end."""
    handler = partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def need_browser() -> None:
    """Skip where no browser is installed; fail where one was promised."""
    if find() is not None:
        return
    if os.environ.get("DYSAMPLE_NEEDS_BROWSER"):
        pytest.fail(f"{MISSING}, and DYSAMPLE_NEEDS_BROWSER is set")
    pytest.skip(MISSING)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; a test that asks for it skips where there is none."""
    need_browser()
    with chromium() as started:
        yield started


@pytest.fixture
def open_page(browser: Browser, site_url: str) -> Iterator[Open]:
    """A function that opens a page of the site: ``open_page("book/intro.html")``.

    Further arguments: ``size`` (:data:`WIDE` or :data:`PHONE`), ``dark`` and whatever
    else Playwright's ``new_context`` takes, for instance ``java_script_enabled=False``
    or ``reduced_motion="reduce"``.
    """
    contexts = []

    def open_(
        path: str,
        *,
        size: tuple[int, int] = WIDE,
        dark: bool = False,
        **context: Any,
    ) -> Visit:
        width, height = size
        made = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            **context,
        )
        contexts.append(made)
        visit = Visit(made.new_page())
        # A machine that trains networks on the side takes its time.
        visit.page.goto(f"{site_url}/{path}", wait_until="load", timeout=120_000)
        return visit

    yield open_
    for context in contexts:
        context.close()
