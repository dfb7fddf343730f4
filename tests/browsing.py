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
LOCAL = ("file:", "blob:", "data:", "about:")
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


@pytest.fixture(scope="module")
def watched_page(browser: Browser) -> tuple[Page, list[str]]:
    """A page for all tests of a module, since Chromium takes a second for a new one; and what went wrong in it."""
    faults: list[str] = []
    page = browser.new_page()
    page.on("console", lambda each: faults.append(each.text) if each.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda each: faults.append(each.url) if not each.url.startswith(LOCAL) else None)
    return page, faults


@pytest.fixture
def in_browser(watched_page: tuple[Page, list[str]]) -> Iterator[Open]:
    """in_browser(file, hash, viewport=, color_scheme=) -> the page with that file, ready; what it had open before it
    has no longer. It must leave every file without an error or a request."""
    page, faults = watched_page
    faults.clear()

    def opening(file: Path, address: str = "", viewport: Any = WIDE, color_scheme: Any = "light") -> Page:
        page.goto("about:blank")  # from the same file with another hash nothing would be loaded
        page.mouse.move(0, 0)
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=color_scheme)
        page.goto(file.as_uri() + address)
        page.wait_for_selector("html[data-ready=yes]", timeout=60_000)
        return page

    yield opening
    page.goto("about:blank")
    assert faults == []


def violations(page: Page) -> list[Any]:
    """What axe finds that is not accessible: the rule, and the first elements that break it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page)
    return [(each["id"], [node["target"] for node in each["nodes"]][:3]) for each in found.response["violations"]]
