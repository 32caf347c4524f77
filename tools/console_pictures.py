"""Photograph the consoles over the stores that `fedsecure demo` left.

Run by tools/pictures.py. The consoles are the users' own commands, and the browser is
this machine's.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page, sync_playwright

from fedsecure.demo.provision import AGGREGATORS

DESK: Final = {"width": 1180, "height": 1340}
PHONE: Final = {"width": 390, "height": 844}


def photograph_consoles(root: Path, browser: str, images: Path) -> None:
    """Take every picture of docs/console.md."""
    stores = [str(root / name / "data" / "aggregator.db") for name in AGGREGATORS]
    named = [word for store in stores for word in ("--aggregator", store)]
    owner = ["console", "--config", str(root / "owner" / "owner.toml"), *named]
    config = str(root / AGGREGATORS[0] / "aggregator.toml")
    aggregator = ["aggregator", "console", "--config", config]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=browser, args=["--no-sandbox"]
        )
        with console(owner) as link, window(running, link, "light", DESK) as page:
            audit(page)
            open_run(page)
            page.screenshot(path=images / "console-run.png")
        with console(owner) as link, window(running, link, "dark", DESK) as page:
            open_run(page)
            page.get_by_role("region", name="Rounds, the newest").get_by_role(
                "link", name="12", exact=True
            ).click()
            page.locator(".live[data-how=on]").wait_for()
            page.screenshot(path=images / "console-round.png")
        with console(aggregator) as link, window(running, link, "light", PHONE) as page:
            page.screenshot(path=images / "console-aggregator.png")
        running.close()


def open_run(page: Page) -> None:
    """Go to the demo's run."""
    page.get_by_role("link", name="Runs").first.click()
    page.locator(".runs h2 a").first.click()
    page.locator(".live[data-how=on]").wait_for()
    page.evaluate("Promise.all([...document.images].map((one) => one.decode()))")


def audit(page: Page) -> None:
    """Make an audit, so that the pages show its result."""
    page.get_by_role("navigation", name="Pages").get_by_text("Audit").click()
    page.get_by_role("button", name="Audit now").click()
    page.get_by_text("all records agree").wait_for()


@contextmanager
def console(words: list[str]) -> Iterator[str]:
    """Run a console, and return its link."""
    whole = [sys.executable, "-u", "-m", "fedsecure", *words]
    whole += ["--listen", "127.0.0.1:0"]
    with subprocess.Popen(whole, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own command
        try:
            lines = iter(process.stdout or [])
            yield next(found[0] for one in lines if (found := re.search("http.*", one)))
        finally:
            process.terminate()


@contextmanager
def window(browser: Browser, link: str, colours: Any, size: Any) -> Iterator[Page]:
    """Open a window that is signed in."""
    context = browser.new_context(color_scheme=colours, viewport=size)
    page = context.new_page()
    page.goto(link)
    page.locator(".live[data-how=on]").wait_for()
    yield page
    context.close()
