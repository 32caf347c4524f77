"""Attacks in a real browser: another site, another name, another browser, markup."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.browser import stores
from tests.browser.conftest import Windows
from tests.browser.serving import Served, owner, serving

ROUND = "/runs/heart-1/rounds/1"


@contextmanager
def other_site(page: str) -> Iterator[str]:
    """A web server of somebody else, with one page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def form(served: Served) -> str:
    return f"""<form method="post" action="{served.url}{ROUND}">
      <input name="verdict" value="accept"><input name="note" value="forged">
      <input name="by" value="mallory"></form>
      <script>document.forms[0].submit()</script>"""


def test_a_form_that_another_site_sends_changes_nothing(
    windows: Windows, tmp_path: Path
) -> None:
    path = stores.told(tmp_path)
    with serving(owner(path)) as served, other_site(form(served)) as elsewhere:
        tab = windows.signed_in(served)
        # The same machine on another port is the same site: the cookie is sent.
        tab.page.goto(elsewhere)
        tab.page.wait_for_url(served.url + ROUND)
        assert "FS-584" in tab.page.inner_text("h1")
        # Another site: it is not.
        tab.page.goto(elsewhere.replace("127.0.0.1", "evil.test"))
        tab.page.wait_for_url(served.url + ROUND)
        assert "FS-584" in tab.page.inner_text("h1")
        tab.page.goto(served.url + ROUND)
        assert "forged" not in tab.page.content()


def test_a_foreign_name_that_leads_to_this_machine_sees_nothing(
    windows: Windows, tmp_path: Path
) -> None:
    with serving(owner(stores.told(tmp_path))) as served:
        tab = windows.signed_in(served)
        answer = tab.page.goto(served.url.replace("127.0.0.1", "evil.test"))
        assert answer is not None
        assert answer.status == 421
        assert "FS-583" in tab.page.inner_text("h1")
        assert "heart" not in tab.page.content()


def test_another_site_cannot_read_or_frame_a_page(
    windows: Windows, tmp_path: Path
) -> None:
    with serving(owner(stores.told(tmp_path))) as served:
        page = f"""<iframe src="{served.url}/"></iframe><script>
          window.read = fetch("{served.url}/", {{credentials: "include"}})
            .then((answer) => answer.text()).catch(() => "refused");</script>"""
        with other_site(page) as elsewhere:
            tab = windows.signed_in(served)
            tab.page.goto(elsewhere)
            assert tab.page.evaluate("window.read") == "refused"
            (_, framed) = tab.page.frames
            assert "heart" not in framed.content()


def test_a_second_browser_with_a_used_link_is_refused(
    windows: Windows, tmp_path: Path
) -> None:
    with serving(owner(stores.told(tmp_path))) as served:
        link = served.link
        windows.signed_in(served)
        second = windows.new(served)
        second.page.goto(link)
        second.page.get_by_role("alert").wait_for()
        assert "FS-582" in second.page.inner_text("main")
        second.page.goto(f"{served.url}/runs/heart-1")
        assert second.page.url == f"{served.url}/login"


def test_a_link_does_not_stay_in_the_address(windows: Windows, tmp_path: Path) -> None:
    with serving(owner(stores.told(tmp_path))) as served:
        tab = windows.new(served)
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url))
        token = served.token
        tab.page.goto(served.link)
        tab.page.wait_for_url(f"{served.url}/")
        tab.page.go_back()
        assert token not in tab.page.url
        assert not [url for url in asked[1:] if token in url]


def test_markup_in_a_studys_name_is_only_ever_text(
    windows: Windows, tmp_path: Path
) -> None:
    with serving(owner(stores.one_round(tmp_path))) as served:
        tab = windows.signed_in(served)
        for path in ("/", "/runs/heart-1", ROUND):
            tab.page.goto(served.url + path)
            tab.page.locator(".live[data-how=on]").wait_for()
            assert "<script>alert(2)</script>" in tab.page.inner_text("main")
            assert tab.page.locator("main img[src=x], main script").count() == 0
        assert tab.messages == []  # neither a dialog nor a refused script


def test_a_page_asks_nobody_but_its_console(windows: Windows, tmp_path: Path) -> None:
    with serving(owner(stores.told(tmp_path))) as served:
        tab = windows.signed_in(served)
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url))
        for path in ("/", "/runs/heart-1", ROUND, "/audit"):
            tab.page.goto(served.url + path)
            tab.page.locator(".live[data-how=on]").wait_for()
        assert len(asked) > 10
        assert [url for url in asked if not url.startswith(served.url + "/")] == []
