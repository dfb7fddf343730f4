"""Pages in a real browser, the distribution's Chromium: shared by the tests of every page.

Without a Chromium these tests are skipped, unless BROWSER=required.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}

Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser, until the tests of a module end: while it runs, asyncio.run() is refused in this thread."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        assert os.environ.get("BROWSER") != "required", f"none of {', '.join(NAMES)} is installed"
        pytest.skip("there is no Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def in_browser(browser: Browser) -> Iterator[Open]:
    """in_browser(file, hash, **context) -> the page, ready; it must close without an error or a request."""
    faults: list[str] = []
    contexts = []

    def listen(page: Page) -> None:
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda each: faults.append(each.url) if not each.url.startswith(("file:", "blob:", "data:")) else None,
        )

    def opening(file: Path, address: str = "", **options: Any) -> Page:
        options.setdefault("viewport", WIDE)
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        listen(page)
        page.goto(file.as_uri() + address)
        page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
        return page

    yield opening
    for context in contexts:
        context.close()
    assert faults == []


def violations(page: Page) -> list[Any]:
    """What axe finds that is not accessible: the rule, and the first elements that break it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page)
    return [(each["id"], [node["target"] for node in each["nodes"]][:3]) for each in found.response["violations"]]
