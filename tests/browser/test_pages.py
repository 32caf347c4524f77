"""Every page, opened, clicked and photographed in both themes and at phone width."""

import re
from pathlib import Path
from typing import Final

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import DESK, PHONE, Tab, Windows
from tests.browser.serving import serving
from tests.browser.worlds import WORLDS

LOOKS: Final = {  # colours, size, whether the accessibility is checked, too
    "light": ("light", DESK, False),
    "dark": ("dark", DESK, True),
    "phone": ("light", PHONE, True),
}
# Elements that stick out of the window sideways, outside of what scrolls by itself.
STICK_OUT: Final = """
() => [...document.querySelectorAll("body *")]
  .filter((one) => !one.closest(".scroll, .sr, .skip"))
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => `${one.tagName}.${one.className}`)
"""
BROKEN: Final = "[...document.images].filter((one) => !one.naturalWidth).length"
LOADED: Final = "Promise.all([...document.images].map((one) => one.decode()))"
AXE: Final = Axe()


def look(tab: Tab, folder: Path, name: str) -> None:
    """Look at a page that is open in every way, and take its pictures."""
    page = tab.page
    for way, (colours, size, accessibly) in LOOKS.items():
        page.emulate_media(color_scheme=colours)
        page.set_viewport_size(size)
        page.evaluate(LOADED)
        page.screenshot(path=folder / f"{name}-{way}.png", full_page=True)
        assert page.evaluate(STICK_OUT) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate(BROKEN) == 0
        if accessibly:
            found = AXE.run(page)
            assert found.violations_count == 0, found.generate_report()
    assert page.locator("h1").count() == 1
    assert tab.messages == []


@pytest.mark.parametrize("world", WORLDS)
def test_every_page_is_sound_in_every_look(
    world: str, windows: Windows, pictures: Path, tmp_path: Path
) -> None:
    making, paths = WORLDS[world]
    with making(tmp_path) as parts, serving(parts) as served:
        tab = windows.signed_in(served)
        for path in paths:
            if path == "first of the list":
                tab.page.locator("tbody a").first.click()
                tab.page.get_by_role("heading", name="What is known of it").wait_for()
            else:
                tab.open(path)
            shown = re.sub(r"[^a-z0-9.]+", "-", path.strip("/")) or "start"
            look(tab, pictures, f"{world}-{shown}")


def test_the_page_for_signing_in_is_sound(
    windows: Windows, pictures: Path, tmp_path: Path
) -> None:
    making, _ = WORLDS["nothing"]
    with making(tmp_path) as parts, serving(parts) as served:
        tab = windows.new(served)
        tab.page.goto(f"{served.url}/runs/secret")
        assert tab.page.url == f"{served.url}/login"
        look(tab, pictures, "login")
        tab.page.get_by_label("Token of the link").fill("not this one")
        tab.page.get_by_role("button", name="Sign in").click()
        tab.page.get_by_role("alert").wait_for()
        assert "FS-582" in tab.page.inner_text("main")
        assert [one for one in tab.messages if "403" not in one] == []
        tab.messages.clear()
        look(tab, pictures, "login-refused")
        tab.page.get_by_label("Token of the link").fill(served.token)
        tab.page.get_by_role("button", name="Sign in").click()
        tab.page.wait_for_url(f"{served.url}/")


def test_what_is_not_there_is_said_on_a_sound_page(
    windows: Windows, pictures: Path, tmp_path: Path
) -> None:
    making, _ = WORLDS["told"]
    with making(tmp_path) as parts, serving(parts) as served:
        tab = windows.signed_in(served)
        tab.page.goto(f"{served.url}/runs/heart-1/rounds/99")
        assert "FS-862" in tab.page.inner_text("main")
        assert [one for one in tab.messages if "404" not in one] == []
        tab.messages.clear()
        look(tab, pictures, "not-there")


def test_links_lead_from_the_runs_to_a_round_and_on(
    windows: Windows, tmp_path: Path
) -> None:
    making, _ = WORLDS["told"]
    with making(tmp_path) as parts, serving(parts) as served:
        tab = windows.signed_in(served)
        page = tab.page
        page.get_by_role("link", name="Heart disease, four hospitals").click()
        page.get_by_role("region", name="Rounds, the newest first").get_by_role(
            "link", name="3.1"
        ).click()
        page.get_by_role("heading", name="Round 3.1").wait_for()
        page.get_by_role("link", name="Round 3.2").click()
        page.get_by_role("heading", name="Round 3.2").wait_for()
        page.get_by_text("The whole spec").click()
        assert '"purpose": "train"' in page.inner_text("details pre")
        page.get_by_role("link", name="heart-1").click()
        page.get_by_label("Verdict").select_option("accepted")
        page.get_by_role("button", name="Show").click()
        page.get_by_text("No round was judged so.").wait_for()
        page.get_by_role("navigation", name="Pages").get_by_text("Audit").click()
        page.get_by_role("button", name="Audit now").click()
        page.get_by_text("all records agree").wait_for()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{served.url}/login")
        assert tab.messages == []


def test_a_verdict_is_signed_with_the_keyboard_alone(
    windows: Windows, tmp_path: Path
) -> None:
    making, _ = WORLDS["told"]
    with making(tmp_path) as parts, serving(parts) as served:
        tab = windows.signed_in(served)
        page = tab.page
        tab.page.goto(f"{served.url}/runs/heart-1/rounds/2")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")  # skips to the content
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.name") == "verdict":
                break
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")  # from accept to reject
        page.keyboard.press("Tab")
        page.keyboard.type("loss jumped")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_text("rejected").first.wait_for()
        assert "loss jumped" in page.inner_text("blockquote")
        assert tab.messages == []


def test_the_theme_is_switched_and_stays(windows: Windows, tmp_path: Path) -> None:
    making, _ = WORLDS["told"]
    paper = "getComputedStyle(document.body).backgroundColor"
    with making(tmp_path) as parts, serving(parts) as served:
        tab = windows.signed_in(served, color_scheme="light")
        light = tab.page.evaluate(paper)
        tab.page.goto(f"{served.url}/runs/heart-1")
        tab.page.get_by_role("button", name="Dark").click()
        tab.page.wait_for_url(f"{served.url}/runs/heart-1")
        dark = tab.page.evaluate(paper)
        assert light != dark
        assert "theme=dark" in (tab.page.get_attribute(".curves", "src") or "")
        tab.page.goto(f"{served.url}/audit")
        assert tab.page.evaluate(paper) == dark
        pressed = tab.page.get_by_role("button", name="Dark", pressed=True)
        assert pressed.count() == 1


def test_pages_work_without_scripts(windows: Windows, tmp_path: Path) -> None:
    making, _ = WORLDS["told"]
    with making(tmp_path) as parts, serving(parts) as served:
        tab = windows.new(served, java_script_enabled=False)
        tab.page.goto(served.link)
        tab.page.get_by_label("Token of the link").fill(served.token)
        tab.page.get_by_role("button", name="Sign in").click()
        tab.page.get_by_role("link", name="Heart disease, four hospitals").click()
        assert "3 of 3 rounds opened" in tab.page.inner_text("main")
