"""A real browser: the machine's Chromium, headless, driven by Playwright.

Nothing is downloaded. Without Chromium, CI fails and others are told aloud.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    sync_playwright,
)

from tests.browser.serving import Served

PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
MISSING: Final = "no Chromium here: NOT TESTED IN A BROWSER (apt-get install chromium)"
# It resolves one foreign name to this machine, as an attacker's name server would.
ARGUMENTS: Final = (
    "--host-resolver-rules=MAP evil.test 127.0.0.1",
    "--disable-dev-shm-usage",
)
PATIENCE: Final = 20_000  # milliseconds
PHONE: Final = {"width": 390, "height": 844}
DESK: Final = {"width": 1280, "height": 900}


@dataclass
class Tab:
    """A browser window of somebody who is signed in; `said`: what its console said."""

    page: Page
    context: BrowserContext
    url: str
    messages: list[str] = field(default_factory=list)
    cut_off: int = 0  # times that the machine's network changed under a request

    def open(self, path: str) -> None:
        """Open a page, and wait until it renews itself."""
        for _ in range(3):
            before = self.cut_off
            self.page.goto(self.url + path)
            self.page.locator(".live[data-how=on]").wait_for()
            if self.cut_off == before:
                return

    def hear(self, message: ConsoleMessage) -> None:
        """Note an error, but for what another program does to the network.

        Chromium gives up what it loads when an interface comes or goes, as they do
        where somebody starts containers.
        """
        if "ERR_NETWORK_CHANGED" in message.text:
            self.cut_off += 1
        elif message.type in {"error", "warning"}:
            self.messages.append(f"{message.type}: {message.text}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        if os.environ.get("CI"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    # Chromium's own sandbox does not start as root.
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=program, args=[*ARGUMENTS, *sandbox]
        )
        yield running
        running.close()


@pytest.fixture
def windows(browser: Browser) -> Iterator["Windows"]:
    opened = Windows(browser)
    yield opened
    opened.close()


class Windows:
    """Windows that are closed after a test, and that nothing may go wrong in."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._tabs: list[Tab] = []

    def new(self, served: Served, **options: Any) -> Tab:
        """Open a window that nobody is signed in to."""
        context = self._browser.new_context(**{"viewport": DESK, **options})
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        tab = Tab(page, context, served.url)
        page.on("console", tab.hear)
        page.on("pageerror", lambda error: tab.messages.append(f"raised: {error}"))
        page.on("dialog", lambda shown: tab.messages.append(f"dialog: {shown.message}"))
        self._tabs.append(tab)
        return tab

    def signed_in(self, served: Served, **options: Any) -> Tab:
        """Open a window by the newest link."""
        tab = self.new(served, **options)
        tab.page.goto(served.link)
        tab.page.wait_for_url(f"{served.url}/")
        return tab

    def close(self) -> None:
        for tab in self._tabs:
            tab.context.close()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every page's picture goes: FEDSECURE_PICTURES, or a temporary folder."""
    named = os.environ.get("FEDSECURE_PICTURES")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
