import socket
import ssl
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from fedsecure.protocol.statements import Kind
from tests.service.aggregator.conftest import Federation, Process
from tests.unit.aggregator.world import HOSPITALS, Report, Round

pytestmark = pytest.mark.service
THREE = HOSPITALS[:3]


def stored(server: Process, asked: Round) -> list[str]:
    folder = server.data / "rounds" / asked.digest / "reports"
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", [Kind.SEED, Kind.VECTOR])
def test_changed_uploads_are_refused_and_nothing_is_counted(
    federation: Federation, kind: Kind
) -> None:
    north, world, asked = federation.north, federation.world, federation.propose()
    receipts = federation.collect(asked, *THREE)
    report = world.report(asked, federation.grant(asked), "genf", only=kind)["north"]
    body, header = report.body, report.header

    def flip(position: int) -> bytes:
        return body[:position] + bytes([body[position] ^ 1]) + body[position + 1 :]

    resealed = header.statement.model_copy(update={"digest": "0" * 64})
    signed = replace(report, header=world.author("genf").sign(resealed))
    begin = len(body) - len(report.payload)
    for what, code, sent in (
        ("cut", "FS-310", body[:-1]),
        ("too long", "FS-310", body + b"\0"),
        ("sealed key changed", "FS-313", flip(begin + 7)),
        ("record changed", "FS-313", flip(len(body) - 20)),
        ("tag changed", "FS-313", flip(len(body) - 1)),
        ("digest of other bytes", "FS-313", signed.body),
        ("header unsigned", "FS-704", body[: begin - 86] + b"A" * 86 + report.payload),
        ("header cut", "FS-313", body[:40]),
        ("header too long", "FS-315", b"\0\1\0\0" + body[4:]),
        ("nothing", "FS-313", b""),
    ):
        answer = north.send_body(report, sent)
        assert (what, answer.json()["code"]) == (what, code)
    assert stored(north, asked) == list(THREE)
    federation.require_mean(asked, receipts, *THREE)


def test_a_signed_report_that_does_not_open_is_not_counted(
    federation: Federation,
) -> None:
    north, world, asked = federation.north, federation.world, federation.propose()
    receipts = federation.collect(asked, *THREE)
    alien = federation.grant(asked)["south"]
    sealed = world.report(asked, {"north": alien, "south": alien}, "genf")["north"]
    statement = sealed.header.statement.model_copy(update={"aggregator": "north"})
    bad = Report(world.author("genf").sign(statement), sealed.payload)
    answer = north.send(bad)
    assert (answer.status_code, answer.json()["code"]) == (400, "FS-314")
    assert stored(north, asked) == list(THREE)
    federation.require_mean(asked, receipts, *THREE)


def test_an_oversized_upload_is_refused_before_it_is_sent(
    federation: Federation,
) -> None:
    asked = federation.propose()
    federation.grant(asked)
    path = f"/v1/rounds/{asked.digest}/reports/basel"
    answer = _raw(federation.north, f"PUT {path}", "Content-Length: 99999999999")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"FS-315"' in answer
    answer = _raw(federation.north, f"PUT {path}", "Transfer-Encoding: chunked")
    assert answer.startswith(b"HTTP/1.1 411 ")
    answer = _raw(
        federation.north, f"PUT {path}", "Content-Length: 9\r\nContent-Encoding: gzip"
    )
    assert answer.startswith(b"HTTP/1.1 415 ")


def test_a_cut_connection_leaves_nothing_behind(federation: Federation) -> None:
    north, world, asked = federation.north, federation.world, federation.propose()
    report = world.report(asked, federation.grant(asked), "basel")["north"]
    with connect(north) as line:
        path = f"/v1/rounds/{asked.digest}/reports/basel"
        size = f"Host: x\r\nContent-Length: {len(report.body)}"
        head = f"PUT {path} HTTP/1.1\r\n{size}\r\n\r\n".encode()
        line.sendall(head + report.body[:-5])
    assert north.send(report).status_code == 200
    assert stored(north, asked) == ["basel"]
    assert list((north.data / "incoming").iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\xff" * 100,
        b"a.b.c",
        b"....",
        b"{}",
        b"eyJhbGciOiJub25lIn0.e30.",
        b"W10.e30.AAAA",
        b"bnVsbA.bnVsbA.bnVsbA",
        b"\0\0\0\0",
        b"\0\0\0\3a.b",
        b"A" * 15_000,
    ],
    ids=lambda body: repr(body[:12]),
)
def test_garbage_is_a_bad_request_and_never_a_failure(
    federation: Federation, body: bytes
) -> None:
    north, asked = federation.north, federation.propose()
    federation.grant(asked)
    path = f"/v1/rounds/{asked.digest}"
    answers = [
        north.http.put(path, content=body),
        north.http.put(f"{path}/reports/basel", content=body),
        north.http.post(f"{path}/open", content=body),
        north.http.post(f"{path}/void", content=body),
        north.http.get(path, headers={"Authorization": f"Bearer x{body[:20].hex()}"}),
    ]
    for answer in answers:
        assert 400 <= answer.status_code < 500
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert set(answer.json()) == {
            "type", "title", "status", "detail", "code", "remedy",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("PUT", "/v1/rounds/abc", 400, "FS-532"),
        ("PUT", "/v1/rounds/" + "0" * 64 + "/reports/..%2f..%2fx", 404, "FS-530"),
        ("PUT", "/v1/rounds/" + "0" * 64 + "/reports/A_b", 400, "FS-532"),
        ("PUT", "/v1/rounds/" + "0" * 64 + "/reports/basel", 404, "FS-300"),
        ("POST", "/v1/rounds/" + "0" * 64 + "/open", 404, "FS-300"),
        ("GET", "/v1/rounds/" + "0" * 64, 401, "FS-332"),
        ("DELETE", "/v1/rounds/" + "0" * 64, 405, "FS-531"),
        ("GET", "/", 404, "FS-530"),
        ("GET", "/docs", 404, "FS-530"),
        ("GET", "/openapi.json", 404, "FS-530"),
    ],
)
def test_wrong_addresses_are_problem_documents(
    federation: Federation, method: str, path: str, status: int, code: str
) -> None:
    content = b"x" if method in {"PUT", "POST"} else None
    answer = federation.north.http.request(method, path, content=content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["status"] == status


def connect(server: Process) -> ssl.SSLSocket:
    where = urlsplit(str(server.http.base_url))
    line = socket.create_connection((str(where.hostname), where.port or 0), timeout=30)
    return server.tls.wrap_socket(line, server_hostname=where.hostname)


def _raw(server: Process, request: str, headers: str) -> bytes:
    with connect(server) as line:
        line.sendall(f"{request} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"}") and (piece := line.recv(65536)):
            answer += piece
        return answer
