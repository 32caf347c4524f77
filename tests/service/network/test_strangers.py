"""Somebody who is not in the federation sends what he likes."""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress

import pytest

from fedsecure.errors import PROBLEMS
from fedsecure.transport.bounded_connection import MAX_HEAD, MAX_WAITING
from tests.service.aggregator.conftest import Federation, Process
from tests.service.network.requests import answer_on, connect, exchange
from tests.unit.aggregator.world import OWNER

pytestmark = pytest.mark.service
ROUND = "/v1/rounds/" + "0" * 64
SPEC = "PUT " + ROUND
LARGE = 2**20


def part(content: object) -> str:
    """A part of a token."""
    text = content if isinstance(content, str) else json.dumps(content)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def token(header: object, payload: object) -> str:
    return f"{part(header)}.{part(payload)}.{'A' * 86}"


def request(first: str, *headers: str, body: str | bytes = b"") -> bytes:
    body = body.encode() if isinstance(body, str) else body
    lines = [f"{first} HTTP/1.1", "Host: x", *headers]
    if body and not any("ength" in line or "chunked" in line for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


SIGNED = {"alg": "EdDSA", "kid": OWNER, "typ": "round-spec"}
DEEP = "[" * 30_000 + "]" * 30_000
OBJECTS = '{"a":' * 30_000 + "1" + "}" * 30_000

# What is refused by the code, and before that by HTTP itself.
HTTP = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01" * 40 + b"\r\n\r\n",
    "HTTP/2 without asking": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 100,
    "HTTP/9.9": b"GET / HTTP/9.9\r\n\r\n",
    "no method": b"/v1/identity HTTP/1.1\r\n\r\n",
    "CONNECT": b"CONNECT other.test:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in the path": b"GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n",
    "raw bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
    "header without a colon": b"GET / HTTP/1.1\r\nnothing here\r\n\r\n",
    "space before a colon": b"GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\nabcde",
    "length and chunks": request(
        SPEC, "Content-Length: 5", "Transfer-Encoding: chunked", body="0\r\n\r\n"
    ),
    "two lengths": request(SPEC, "Content-Length: 5", "Content-Length: 6"),
    "a length that is none": request(SPEC, "Content-Length: -1"),
    "a length beyond 64 bits": request(SPEC, f"Content-Length: {'9' * 40}"),
    "chunks that are none": request(SPEC, "Transfer-Encoding: chunked", body="zz\r\n"),
    "one huge header": b"GET / HTTP/1.1\r\nX: " + b"a" * 4 * LARGE,
    "many headers": b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * (LARGE // 4),
    "one huge path": b"GET /" + b"a" * 4 * LARGE,
    "a ticket of a megabyte": request(
        "GET " + ROUND, f"Authorization: Bearer {'A' * LARGE}"
    ),
}  # fmt: skip
ROUTES = {
    "chunks without a length": (
        request(SPEC, "Transfer-Encoding: chunked", body="5\r\nabcde\r\n0\r\n\r\n"),
        "FS-316",
    ),
    "chunks without a length, a report": (
        request(f"{SPEC}/reports/x", "Transfer-Encoding: chunked", body="0\r\n\r\n"),
        "FS-316",
    ),
    "no version": (b"GET /v1/rounds/x\r\n\r\n", "FS-532"),
    "no length": (request(SPEC), "FS-316"),
    "gzip": (request(SPEC, "Content-Encoding: gzip", body="x"), "FS-317"),
    "a body as long as nothing is": (
        request(SPEC, f"Content-Length: {10**12}"),
        "FS-315",
    ),
    "JSON": (request(SPEC, "Content-Type: application/json", body="{}"), "FS-701"),
    "a form": (
        request(SPEC, "Content-Type: multipart/form-data; boundary=x", body="--x--"),
        "FS-701",
    ),
    "a type that is none": (
        request(SPEC, "Content-Type: \x80/\xff", body="x"),
        "FS-701",
    ),
    "not ASCII": (request(SPEC, body="ü.ü.ü"), "FS-701"),
    "a deep header": (request(SPEC, body=token(DEEP, {})), "FS-702"),
    "a deep payload": (request(SPEC, body=token(SIGNED, DEEP)), "FS-702"),
    "a header of another order": (
        request(SPEC, body=token(dict(reversed(SIGNED.items())), OBJECTS)),
        "FS-702",
    ),
    "alg none": (request(SPEC, body=token({"alg": "none"}, {})), "FS-702"),
    "up, in a round": (request("PUT /v1/rounds/../../etc/passwd", body="x"), "FS-530"),
    "up, encoded": (
        request("PUT /v1/rounds/..%2f..%2fetc%2fpasswd", body="x"),
        "FS-530",
    ),
    "up, encoded twice": (request("PUT /v1/rounds/%252e%252e", body="x"), "FS-532"),
    "up, a reporter": (request(f"{SPEC}/reports/..", body="x"), "FS-532"),
    "dots encoded, a reporter": (request(f"{SPEC}/reports/%2e%2e", body="x"), "FS-532"),
    "a reporter with a NUL": (request(f"{SPEC}/reports/a%00b", body="x"), "FS-532"),
    "a reporter with a line": (request(f"{SPEC}/reports/a%0d%0ab", body="x"), "FS-532"),
    "a reporter in letters of its own": (
        request(f"{SPEC}/reports/b%C3%A4sel", body="x"),
        "FS-532",
    ),
    "a reporter in broken UTF-8": (request(f"{SPEC}/reports/%ff", body="x"), "FS-532"),
    "a reporter of 8,000 letters": (
        request(f"{SPEC}/reports/{'a' * 8_000}", body="x"),
        "FS-532",
    ),
    "a reporter of 10,000 letters": (
        request(f"{SPEC}/reports/{'a' * 10_000}", body="x"),
        "FS-315",
    ),
    "a target of 66,000 letters": (request(f"GET /{'a' * 66_000}"), "FS-315"),
    "a head of 70,000 bytes at once": (
        request("GET /health/live", *[f"X-{n}: {'a' * 990}" for n in range(70)]),
        "FS-315",
    ),
    "a slash behind": (request("GET /v1/identity/"), "FS-530"),
    "an upgrade with a body": (
        request(SPEC, "Connection: Upgrade", "Upgrade: h2c", body="x"),
        "FS-532",
    ),
    "a round in capitals": (request("PUT /v1/rounds/" + "A" * 64, body="x"), "FS-532"),
    "a round of 65 digits": (request("PUT /v1/rounds/" + "0" * 65, body="x"), "FS-532"),
    "a round in full-width digits": (
        request("PUT /v1/rounds/" + "%EF%BC%90" * 64, body="x"),
        "FS-532",
    ),
    "another host's address": (request("GET http://other.test/x"), "FS-530"),
    "every address": (request("OPTIONS *"), "FS-530"),
    "TRACE": (request("TRACE /health/live"), "FS-531"),
    "a WebSocket": (
        request(
            "GET /v1/identity/x",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
        ),
        "FS-532",
    ),
    "a ticket of other bytes": (
        request("GET " + ROUND, "Authorization: Bearer \xff\xfe\x80"),
        "FS-701",
    ),
    "a ticket without a word": (
        request("GET " + ROUND, "Authorization: Bearer"),
        "FS-332",
    ),
    "a password": (request("GET " + ROUND, "Authorization: Basic eDp5"), "FS-332"),
}  # fmt: skip


def sent_and_closed(server: Process, raw: bytes) -> bytes:
    """Send as much as the server takes; return all that it says until it closes."""
    received = b""
    with connect(server) as line:
        with suppress(OSError):
            line.sendall(raw)
        with suppress(OSError):
            while piece := line.recv(65536):
                received += piece
    return received


@pytest.fixture
def untouched(federation: Federation) -> Iterator[Process]:
    """Whatever a stranger sends: nothing of it is on disk, and the server lives."""
    north = federation.north
    rows, spool, child = north.rows(), north.spool(), north.child.pid
    yield north
    assert (north.rows(), north.spool(), north.child.pid) == (rows, spool, child)
    assert north.http.get("/health/ready").status_code == 200


@pytest.mark.parametrize("raw", HTTP.values(), ids=HTTP)
def test_what_is_not_http_is_refused_and_the_line_closed(
    untouched: Process, raw: bytes
) -> None:
    received = sent_and_closed(untouched, raw)
    assert received.count(b"HTTP/1.1 ") <= 1
    if received:  # a line that was reset takes the answer along
        assert received[9:13] in (b"400 ", b"411 ", b"413 ")
        require_problem(received.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(("raw", "code"), ROUTES.values(), ids=ROUTES)
def test_what_is_http_is_refused_by_a_stable_code(
    untouched: Process, raw: bytes, code: str
) -> None:
    answer = exchange(untouched, raw)
    assert 400 <= answer.status < 500
    assert require_problem(answer.body) == code


def require_problem(body: bytes) -> str:
    problem = json.loads(body)
    code = str(problem["code"])
    assert problem["status"] != 500
    assert (problem["title"], problem["remedy"]) == (
        PROBLEMS[code].title,
        PROBLEMS[code].remedy,
    )
    return code


def test_a_head_at_its_limit_is_answered_and_one_beyond_it_is_not(
    untouched: Process,
) -> None:
    fits = request("GET /health/live", "X: " + "a" * (MAX_HEAD - 100))
    assert exchange(untouched, fits).status == 200
    with connect(untouched) as line:
        line.sendall(request("GET /health/live", "X: " + "a" * MAX_HEAD)[:-2])
        answer = answer_on(line)
    assert (answer.status, answer.code) == (413, "FS-315")


def test_many_strangers_at_once_leave_the_server_as_it_was(
    untouched: Process,
) -> None:
    lines = [connect(untouched) for _ in range(60)]
    for number, line in enumerate(lines):
        line.sendall(request(SPEC, f"Content-Length: {number + 9}") + b"x")
    assert untouched.http.get("/health/ready").status_code == 200
    for line in lines:
        line.close()


def test_requests_smuggled_behind_one_another_are_each_answered_as_a_strangers(
    untouched: Process,
) -> None:
    hidden = request("GET " + ROUND)
    with connect(untouched) as line:
        line.sendall(request(SPEC, body=hidden) + hidden + request("GET /health/live"))
        answers = [answer_on(line) for _ in range(3)]
    assert [one.code for one in answers] == ["FS-701", "FS-332", None]


@pytest.mark.parametrize("upgrade", ["websocket", "h2c", "x"])
def test_what_follows_an_upgrade_is_no_request(
    untouched: Process, upgrade: str
) -> None:
    hidden = request("GET /health/live")
    raw = request(SPEC, "Connection: Upgrade", f"Upgrade: {upgrade}", body=hidden)
    received = sent_and_closed(untouched, raw + hidden)
    assert received.count(b"HTTP/1.1 ") == 1
    assert require_problem(received.partition(b"\r\n\r\n")[2]) == "FS-532"


def test_an_upgrade_behind_a_request_leaves_that_one_its_answer(
    untouched: Process,
) -> None:
    first = request("GET /health/live")
    second = request("GET /v1/identity", "Connection: Upgrade", "Upgrade: websocket")
    received = sent_and_closed(untouched, first + second + first)
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"200", b"400"]


def test_no_answer_sends_anybody_to_the_host_that_a_request_names(
    untouched: Process,
) -> None:
    raw = b"GET /v1/identity/ HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n"
    received = sent_and_closed(untouched, raw)
    assert received.startswith(b"HTTP/1.1 404 ")
    assert b"evil.test" not in received


def test_so_many_requests_wait_on_a_connection_and_no_more(untouched: Process) -> None:
    one = request("GET /v1/identity")
    with connect(untouched) as line:
        line.sendall(one * (MAX_WAITING + 1))
        answers = [answer_on(line) for _ in range(MAX_WAITING + 1)]
        assert {answer.status for answer in answers} == {200}
        line.sendall(one)
        assert answer_on(line).status == 200
    received = sent_and_closed(untouched, one * 5000)
    heads = [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert heads == [b"200"] * (MAX_WAITING + 1) + [b"429"]
    assert b'"FS-535"' in received
