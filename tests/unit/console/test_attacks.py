"""What somebody else might try on a console, and how it is refused."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fedsecure.console.forms import MAX_BODY, local
from fedsecure.console.guard import HEADERS
from fedsecure.console.server import Options
from fedsecure.errors import OperatorError
from tests.browser import stores
from tests.browser.serving import Served, hidden, owner, post, serving

ROUND = "/runs/heart-1/rounds/1"
PAGES = ("/", "/runs/heart-1", ROUND, "/runs/heart-1/curves.svg", "/audit", "/live")
FORMS = ("/logout", "/theme", "/audit", ROUND)
VERDICT = {"verdict": "accept", "note": "as seen", "by": "mallory"}


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as signed_in:
        yield signed_in


def code(answer: httpx.Response) -> str:
    found = re.search(r"FS-\d{3}", answer.text)
    return found[0] if found else answer.text


@pytest.mark.parametrize("path", PAGES)
def test_nobody_sees_a_page_without_signing_in(served: Served, path: str) -> None:
    answer = httpx.get(served.url + path)
    assert answer.status_code in {303, 403}
    assert answer.headers.get("location", "/login") == "/login"
    assert "heart" not in answer.text


@pytest.mark.parametrize("path", FORMS)
def test_nobody_changes_anything_without_signing_in(served: Served, path: str) -> None:
    answer = httpx.post(served.url + path, data=VERDICT, headers=served.origin)
    assert (answer.status_code, code(answer)) == (403, "FS-582")


@pytest.mark.parametrize("cookie", ["", "a", "../../etc/passwd", "a" * 43])
def test_a_made_up_cookie_is_no_session(served: Served, cookie: str) -> None:
    port = served.url.rpartition(":")[2]
    cookies = {"Cookie": f"fedsecure-console-{port}={cookie}"}
    assert httpx.get(f"{served.url}/", headers=cookies).status_code == 303


def test_a_link_works_once_and_the_next_is_another(served: Served) -> None:
    first = served.token
    with served.client():
        pass
    assert served.token != first
    with httpx.Client(base_url=served.url) as second:
        answer = second.post("/login", data={"token": first}, headers=served.origin)
        assert (answer.status_code, code(answer)) == (403, "FS-582")
        assert not second.cookies
        assert second.get("/").status_code == 303
    assert served.token != first


def test_a_token_in_the_address_is_worth_nothing(served: Served) -> None:
    answer = httpx.get(f"{served.url}/login?token={served.token}")
    assert "set-cookie" not in answer.headers


def test_who_has_signed_out_is_out(served: Served) -> None:
    with served.client() as client:
        cookie = client.headers.get("cookie") or "; ".join(
            f"{name}={value}" for name, value in client.cookies.items()
        )
        assert post(served, client, "/logout", {}).status_code == 303
        again = httpx.get(f"{served.url}/", headers={"Cookie": cookie})
        assert again.status_code == 303


def test_the_cookie_is_for_this_console_and_no_script(served: Served) -> None:
    form = {"token": served.token}
    answer = httpx.post(f"{served.url}/login", data=form, headers=served.origin)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain=" not in cookie


@pytest.mark.parametrize(
    "origin",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "http://127.0.0.1:1"},  # another program of this machine
        {"Origin": "null"},
        {},
    ],
)
@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_another_site_is_refused(
    client: httpx.Client, path: str, origin: dict[str, str]
) -> None:
    form = {"form_token": hidden(client, "/"), **VERDICT}
    answer = client.post(path, data=form, headers=origin)
    assert (answer.status_code, code(answer)) == (403, "FS-584")
    assert "mallory" not in client.get(ROUND).text


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_this_sessions_token_is_refused(
    served: Served, client: httpx.Client, path: str
) -> None:
    with served.client() as other:
        stolen = hidden(other, "/")
    for form in (VERDICT, {**VERDICT, "form_token": ""}, {"form_token": stolen}):
        answer = client.post(path, data=form, headers=served.origin)
        assert (answer.status_code, code(answer)) == (403, "FS-584")


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:{port}", "127.0.0.1", "127.0.0.1:1", "", "::1"]
)
@pytest.mark.parametrize("path", ["/", "/login", "/static/console.js"])
def test_a_foreign_name_for_this_machine_is_refused(
    served: Served, client: httpx.Client, path: str, host: str
) -> None:
    port = served.url.rpartition(":")[2]
    answer = client.get(path, headers={"Host": host.format(port=port)})
    assert (answer.status_code, code(answer)) == (421, "FS-583")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/%2e%2e/errors.py",
        "/static/..%5c..%5cerrors.py",
        "/static//etc/passwd",
        "/static/console.css%00.py",
        "/static/console.css/../../app.py",
        "/runs/..%2f..%2f..%2fetc%2fpasswd",
        "/runs/%2e%2e/rounds/%2e%2e",
        "/runs/heart-1/..%2f..%2frounds.db",
        "/rounds.db",
        "/docs",
        "/openapi.json",
    ],
)
def test_no_path_leads_out_of_the_pages(served: Served, path: str) -> None:
    with served.client() as client:
        url = httpx.URL(served.url).copy_with(raw_path=path.encode())
        answer = client.get(url)
    assert answer.status_code == 404, answer.text
    assert code(answer) in {"FS-585", "FS-861"}
    for secret in ("root:", "SQLite format", "import "):
        assert secret not in answer.text


@pytest.mark.parametrize("path", ["/runs/x", "/runs/heart-1/rounds/99", "/nothing"])
def test_what_is_asked_for_is_escaped_in_the_answer(
    client: httpx.Client, path: str
) -> None:
    answer = client.get(f"{path}%3Cscript%3Ealert(1)%3C%2Fscript%3E")
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


def test_markup_in_what_people_wrote_is_text(tmp_path: Path) -> None:
    path = stores.one_round(tmp_path)
    with serving(owner(path)) as served, served.client() as client:
        note = {"verdict": "reject", "note": stores.HOSTILE, "by": stores.HOSTILE}
        assert post(served, client, ROUND, note).status_code == 303
        for page in ("/", "/runs/heart-1", ROUND, "/runs/heart-1?verdict=rejected"):
            text = client.get(page).text
            assert "&lt;img src=x onerror=alert(1)&gt;" in text
            assert "<img src=x" not in text
            assert "<script>alert" not in text
            assert "\u202e" not in text  # nothing turns the writing round
            assert "{{ 7 * 7 }}" in text  # nor is it a template
        assert "<script>alert" not in client.get("/runs/heart-1/curves.svg").text


def test_every_answer_has_the_headers_that_browsers_heed(
    served: Served, client: httpx.Client
) -> None:
    answers = [client.get(path) for path in (*PAGES[:3], "/nothing", "/login")]
    answers.append(httpx.get(f"{served.url}/"))
    answers.append(client.post("/audit"))
    answers.append(client.get("/", headers={"Host": "evil.test"}))
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    policy = HEADERS["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    picture = client.get(PAGES[3]).headers  # may style itself, and nothing else
    policy = picture["Content-Security-Policy"].split("; ")
    assert policy == ["default-src 'none'", "style-src 'unsafe-inline'", "sandbox"]
    assert picture["X-Content-Type-Options"] == "nosniff"


def test_no_page_has_a_script_or_a_style_of_its_own(client: httpx.Client) -> None:
    for path in (*PAGES[:3], "/audit", "/login"):
        text = client.get(path).text
        assert re.findall(r"<script(?! src=\"/static/)", text) == []
        assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", text) == []
        assert re.findall(r"(?:src|href|action)=\"(?!/|#)", text) == []


def test_a_form_that_is_too_long_is_refused(
    served: Served, client: httpx.Client
) -> None:
    for body in (b"note=" + b"a" * MAX_BODY, b"&".join([b"a=b"] * 100), b"\xff=\xff"):
        headers = {**served.origin, "Content-Type": "application/x-www-form-urlencoded"}
        answer = client.post(ROUND, content=body, headers=headers)
        assert (answer.status_code, code(answer)) == (422, "FS-586")


@pytest.mark.parametrize(
    ("path", "goes_to"),
    [
        ("/runs/heart-1?page=2", "/runs/heart-1?page=2"),
        ("//evil.test", "/"),
        ("/\\evil.test", "/"),
        ("https://evil.test", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: b", "/"),
        ("", "/"),
    ],
)
def test_a_form_leads_back_to_this_console_only(
    served: Served, client: httpx.Client, path: str, goes_to: str
) -> None:
    assert local(path) == goes_to
    answer = post(served, client, "/theme", {"theme": "dark", "back": path})
    assert (answer.status_code, answer.headers["location"]) == (303, goes_to)


@pytest.mark.parametrize(
    "options",
    [
        Options("0.0.0.0:0", login=False, certificate=Path("c"), key=Path("k")),
        Options("192.0.2.1:0", login=False),
        Options("192.0.2.1:0"),
        Options("console.test:0", certificate=Path("c")),
        Options("[::]:0"),
    ],
)
def test_a_console_that_others_reach_has_login_and_tls(options: Options) -> None:
    with pytest.raises(OperatorError, match="FS-581"):
        options.require_safe()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.0.0.2"])
def test_login_can_be_off_on_loopback(host: str) -> None:
    Options(f"{host}:0", login=False).require_safe()


def test_without_a_login_forms_and_names_are_checked_all_the_same(told: Path) -> None:
    with (
        serving(owner(told), login=False) as served,
        httpx.Client(base_url=served.url, follow_redirects=True) as client,
    ):
        assert "heart-1" in client.get("/").text
        evil = {"Origin": "https://evil.test"}
        answer = client.post(ROUND, data=VERDICT, headers=evil)
        assert code(answer) == "FS-584"
        other = httpx.post(served.url + ROUND, data=VERDICT, headers=served.origin)
        assert code(other) == "FS-582"
        answer = client.post(ROUND, data=VERDICT, headers=served.origin)
        assert code(answer) == "FS-584"
        assert code(client.get("/", headers={"Host": "evil.test"})) == "FS-583"
        assert post(served, client, ROUND, VERDICT).status_code == 200
        assert "mallory" in client.get(ROUND).text
