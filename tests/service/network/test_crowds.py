"""Many connections, many requests, and statements that others send again."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from fedsecure_aggregator.http.admission import REST
from tests.service.aggregator.conftest import Federation, Process
from tests.service.network.requests import Answer, answer_on, connect
from tests.tap import HOST
from tests.unit.aggregator.world import HOSPITALS

pytestmark = pytest.mark.service
STRANGER: Final = "127.0.0.66"
PER_MINUTE: Final = 20
PATIENCE: Final = 60.0  # seconds for what has to come, however slow the machine is
MEGABYTE: Final = 2**20


@pytest.fixture(scope="module")
def crowded(start_federation: Callable[..., Federation]) -> Federation:
    """Servers with few descriptors, that wait for a second and count every request."""
    return start_federation(
        "crowded",
        files=128,
        still_seconds=1,
        tidy_seconds=1,
        policy={"requests_per_minute": PER_MINUTE, "grant_seconds": 1},
    )


def request(method: str, path: str, body: bytes = b"") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@contextmanager
def from_elsewhere(server: Process, source: str = STRANGER) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection((HOST, server.port), 30, (source, 0))
    with plain, server.tls.wrap_socket(plain, server_hostname=HOST) as line:
        yield line


def once(line: ssl.SSLSocket, raw: bytes) -> Answer:
    line.sendall(raw)
    return answer_on(line)


def too_many(server: Process, raw: bytes) -> list[Answer]:
    """Send the same until it is refused for coming too often, and a little longer."""
    with from_elsewhere(server) as line:
        answers = [once(line, raw) for _ in range(PER_MINUTE)]
        end = time.monotonic() + PATIENCE
        while answers[-1].code != "FS-326":
            assert time.monotonic() < end
            answers.append(once(line, raw))
        begin = time.monotonic()
        answers.append(once(line, raw))
        assert time.monotonic() - begin > REST / 2  # nobody read it for a while
        return answers


def resident(server: Process) -> int:
    pages = Path(f"/proc/{server.child.pid}/statm").read_text().split()[1]
    return int(pages) * 4096 // MEGABYTE


def eventually(check: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_member_that_sends_a_spec_again_locks_nobody_out(crowded: Federation) -> None:
    north = crowded.north
    asked = crowded.propose()
    grant = north.grant(asked)
    rows = north.rows()
    raw = request("PUT", f"/v1/rounds/{asked.digest}", asked.spec.token.encode())
    for _ in range(3):
        answers = too_many(north, raw)
        assert [one.status for one in answers[:PER_MINUTE]] == [200] * PER_MINUTE
        # Who sends it is told, and nobody else.
        assert {one.body.decode() for one in answers if one.status == 200} == {
            grant.text
        }
        assert {one.code for one in answers if one.status != 200} == {"FS-326"}
    assert north.rows() == rows
    for _ in range(PER_MINUTE // 2):
        assert north.grant(crowded.propose()).status_code == 200


def test_refusals_of_what_somebody_signed_cost_the_one_who_sends_it(
    crowded: Federation,
) -> None:
    north, world = crowded.north, crowded.world
    asked = crowded.propose(cohort=list(HOSPITALS[:3]))
    header = world.report(asked, crowded.grant(asked), "genf")["north"]
    raw = request("PUT", f"/v1/rounds/{asked.digest}/reports/genf", header.body)
    codes = [one.code for one in too_many(north, raw)]
    assert set(codes[:PER_MINUTE]) == {"FS-311"}
    assert set(codes) == {"FS-311", "FS-326"}
    refusals = [row for row in north.rows()["refusals"] if "FS-311" in row]
    assert len(refusals) == 1
    # Its signer may still do what it likes.
    own = crowded.propose()
    report = world.report(own, crowded.grant(own), "genf")["north"]
    assert north.send(report).status_code == 200


def test_300_silent_connections_take_neither_room_nor_deletion(
    crowded: Federation,
) -> None:
    north = crowded.north
    asked = crowded.propose(deadline=int(time.time()) + 5)
    assert north.grant(asked).status_code == 200
    with ExitStack() as stack:
        for _ in range(300):
            line = socket.create_connection((HOST, north.port), 30, (STRANGER, 0))
            stack.callback(line.close)
        ready = north.http.get("/health/ready")
        assert ready.status_code == 200
        page = north.http.get("/metrics").text
        assert "fedsecure_connections_most 32.0" in page
        assert 'fedsecure_connections_ended{why="not accepted"} 0.0' in page
        mine = crowded.propose()
        receipts = crowded.collect(mine, *HOSPITALS[:3])
        crowded.require_mean(mine, receipts, *HOSPITALS[:3])
        eventually(lambda: not (north.data / "rounds" / asked.digest).exists())
    assert not [one for one in north.log_lines() if one.get("level") == "error"]


def test_an_answer_that_nobody_reads_is_not_held_for_long(
    crowded: Federation,
) -> None:
    north = crowded.north
    asked = crowded.propose(dimension=2_000_000)
    receipts = crowded.collect(asked, *HOSPITALS[:3])
    opening = crowded.world.opening(asked, receipts).token
    answer = north.open(asked, opening)
    assert answer.status_code == 200
    raw = request("POST", f"/v1/rounds/{asked.digest}/open", opening.encode())
    with ExitStack() as stack:
        for _ in range(10):
            plain = socket.socket()
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            plain.bind((STRANGER, 0))
            plain.connect((HOST, north.port))
            line = north.tls.wrap_socket(plain, server_hostname=HOST)
            stack.callback(line.close)
            line.sendall(raw)
        eventually(lambda: "answer not read" in (north.folder / "log").read_text())
        eventually(lambda: _open_from(STRANGER, north.port) == 0)
    assert north.open(asked, opening).content == answer.content


def _open_from(source: str, port: int) -> int:
    """Return how many connections of an address a server of this machine still has."""
    wanted = f"{_hex(HOST)}:{port:04X} {_hex(source)}:"
    lines = Path("/proc/net/tcp").read_text().splitlines()
    return sum(f" {wanted}" in line and " 01 " in line[:40] for line in lines)


def _hex(address: str) -> str:
    return socket.inet_aton(address)[::-1].hex().upper()


def test_many_long_statements_at_once_are_held_up_to_a_limit(
    crowded: Federation,
) -> None:
    north, before = crowded.north, resident(crowded.north)
    body = b"a" * (4 * MEGABYTE)
    raw = request("PUT", f"/v1/rounds/{'0' * 64}", body)[:-1]  # but for the last byte
    most = before
    with ExitStack() as stack:
        for _ in range(30):
            line = stack.enter_context(from_elsewhere(north))
            try:
                line.sendall(raw)
            except OSError:  # it had to give way
                continue
            most = max(most, resident(north))
        assert crowded.north.grant(crowded.propose()).status_code == 200
    assert most <= before + 120, (before, most)


def test_a_connection_is_counted_until_it_ends_and_not_longer(
    crowded: Federation,
) -> None:
    with connect(crowded.north), from_elsewhere(crowded.north):
        page = crowded.north.http.get("/metrics").text
        (line,) = [
            one for one in page.splitlines() if one.startswith("fedsecure_connections ")
        ]
        assert float(line.split()[1]) >= 3
    eventually(lambda: _open_from(STRANGER, crowded.north.port) == 0)
