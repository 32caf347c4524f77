"""A run that goes on is seen to advance, on a page that is never loaded again."""

from pathlib import Path

from tests.browser import stores
from tests.browser.conftest import Windows
from tests.browser.serving import owner, serving

RUN = "/runs/heart-1"


def test_a_run_is_seen_to_advance_without_a_reload(
    windows: Windows, tmp_path: Path
) -> None:
    training = stores.Training(tmp_path)
    with serving(owner(training.path)) as served:
        tab = windows.signed_in(served)
        page = tab.page
        loaded: list[str] = []
        page.goto(served.url + RUN)
        page.locator(".live[data-how=on]").wait_for()
        page.on("framenavigated", lambda frame: loaded.append(frame.url))
        page.evaluate("window.same = true")
        now, progress = page.get_by_role("status").nth(1), page.locator("progress")
        for number in (2, 3, 4):
            training.grant(number)
            page.get_by_text(f"Round {number}: data owners are at work").wait_for()
            picture = page.get_attribute(".curves", "src")
            training.finish(number)
            page.get_by_text(f"{number} of 8 rounds opened", exact=True).wait_for()
            page.get_by_text("Between two rounds").wait_for()
            newest = page.locator("[data-part=rounds] tbody tr").first
            newest.get_by_text("complete").wait_for()
            assert newest.locator("a").inner_text() == str(number)
            cell = page.locator(".grid tbody tr").first.locator("td").first
            cell.and_(page.locator(".in")).wait_for()
            page.locator(f".curves:not([src='{picture}'])").wait_for()
            assert progress.get_attribute("value") == str(number)
        assert now.inner_text() == "Between two rounds"
        assert page.evaluate("window.same") is True
        assert loaded == []
        assert tab.messages == []


def test_the_list_of_runs_and_a_round_renew_themselves_too(
    windows: Windows, tmp_path: Path
) -> None:
    training = stores.Training(tmp_path)
    training.grant(2)
    with serving(owner(training.path)) as served:
        runs = windows.signed_in(served).page
        tab = windows.signed_in(served)
        tab.page.goto(f"{served.url}{RUN}/rounds/2")
        tab.page.get_by_text("Only an opened round is judged.").wait_for()
        tab.page.locator(".live[data-how=on]").wait_for()
        training.finish(2)
        runs.get_by_text("2 of 8 rounds").wait_for()
        tab.page.get_by_role("button", name="Sign the verdict").wait_for()
        assert "4 of 4 data owners" in tab.page.inner_text("[data-part=came]")
        assert tab.messages == []


def test_what_somebody_is_typing_is_never_taken_away(
    windows: Windows, tmp_path: Path
) -> None:
    training = stores.Training(tmp_path)
    with serving(owner(training.path)) as served:
        page = windows.signed_in(served).page
        page.goto(f"{served.url}{RUN}/rounds/1")
        page.get_by_label("accept").check()
        page.get_by_label("Why, in your words").fill("half a sen")
        training.grant(2)
        page.get_by_role("link", name="Round 2").wait_for()
        assert page.get_by_label("Why, in your words").input_value() == "half a sen"
        assert page.get_by_label("accept").is_checked()


def test_a_link_keeps_the_focus_while_its_table_is_renewed(
    windows: Windows, tmp_path: Path
) -> None:
    training = stores.Training(tmp_path)
    with serving(owner(training.path)) as served:
        page = windows.signed_in(served).page
        page.goto(served.url + RUN)
        page.locator("[data-part=rounds] tbody a").focus()
        where = page.evaluate("document.activeElement.getAttribute('href')")
        training.grant(2)
        page.get_by_text("undecided (granted)").wait_for()
        assert page.evaluate("document.activeElement.getAttribute('href')") == where


def test_a_console_that_ends_is_noticed(windows: Windows, tmp_path: Path) -> None:
    training = stores.Training(tmp_path)
    with serving(owner(training.path)) as served:
        page = windows.signed_in(served).page
        page.locator(".live[data-how=on]").wait_for()
    page.get_by_text("not connected").wait_for()
