"""Connections that stand still are ended, and what they held is free again."""

import time
from collections.abc import Callable

import pytest

from tests.service.aggregator.conftest import Federation
from tests.service.network.conftest import Admit, tapped
from tests.service.network.requests import answer_on, connect
from tests.tap import Line
from tests.unit.aggregator.world import HOSPITALS, SERVERS, Report, Round

pytestmark = pytest.mark.service
THREE = HOSPITALS[:3]
PAUSE = 0.25  # seconds between two bytes of a client that trickles
BEGINNING = 400  # bytes
LARGE = 300_000  # parameters: a vector of two records


@pytest.fixture(scope="module")
def impatient(start_federation: Callable[..., Federation]) -> Federation:
    """Servers that wait for one second."""
    return start_federation("impatient", still_seconds=1)


def begun(asked: Round, report: Report, part: float) -> bytes:
    """The beginning of an upload."""
    path = f"/v1/rounds/{asked.digest}/reports/{report.header.signer}"
    size = f"Host: x\r\nContent-Length: {len(report.body)}"
    head = f"PUT {path} HTTP/1.1\r\n{size}\r\n\r\n".encode()
    return head + report.body[: int(len(report.body) * part)]


@pytest.mark.parametrize("part", [0.0, 0.0001, 0.5])
def test_uploads_that_stand_still_are_ended_and_free_their_slots(
    impatient: Federation, part: float
) -> None:
    north, world = impatient.north, impatient.world
    asked = impatient.propose(dimension=LARGE)
    report = world.report(asked, impatient.grant(asked), "basel", only="vector")[
        "north"
    ]
    before = north.rows()
    lines = [connect(north) for _ in range(3)]
    for line in lines:
        line.sendall(begun(asked, report, part))
    codes = [answer_on(line).code for line in lines]
    # A data owner has two slots; a header that is not whole takes none.
    assert sorted(codes) == ["FS-318" if part == 0.5 else "FS-319", "FS-319", "FS-319"]
    assert list((north.data / "incoming").iterdir()) == []
    assert north.rows() == before
    for line in lines:
        line.close()
    assert north.send(report).status_code == 200


def test_an_agent_whose_upload_stood_still_sends_it_again(
    impatient: Federation, admit: Admit
) -> None:
    asked = impatient.propose(dimension=LARGE)
    grants = impatient.grant(asked)

    def stall(line: Line, piece: bytes) -> bytes:
        """Swallow all but the beginning of the first upload."""
        before = len(line.sent) - len(piece)
        return piece if line.number else piece[: max(0, BEGINNING - before)]

    with tapped(impatient) as taps:
        victim = admit("basel", taps, 30.0, impatient)
        for tap in taps.values():
            tap.forth = stall
        own = victim.report(asked, grants)
    for tap in taps.values():
        assert b"FS-319" in tap.received[0]
    assert (victim.waiting(), len(victim.drawn)) == ([], 1)
    receipts = impatient.collect(asked, "bern", "chur")
    receipts["basel"] = {name: own[name].token for name in SERVERS}
    impatient.require_mean(asked, receipts, *THREE)


def test_a_head_that_stands_still_or_trickles_is_ended(impatient: Federation) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: "
    with connect(impatient.north) as line:
        line.sendall(head)
        answer = answer_on(line)
        assert (answer.code, line.recv(1)) == ("FS-319", b"")
    with connect(impatient.north) as line:
        line.settimeout(PAUSE)
        answer, sent = b"", 0
        line.sendall(head)
        while not answer:
            sent += line.send(b"x")  # each in time, all of them too long
            try:
                answer = line.recv(4096)
            except TimeoutError:
                continue
        assert b'"FS-319"' in answer
        assert 1 < sent < 60 / PAUSE


def test_an_idle_connection_is_closed_without_a_word(impatient: Federation) -> None:
    with connect(impatient.north) as line:
        assert line.recv(1) == b""
    with connect(impatient.north) as line:
        for _ in range(2):  # it is kept between two requests
            line.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answer_on(line).status == 200
        assert line.recv(1) == b""


def test_the_rest_of_a_refused_upload_may_move_and_may_not_stand_still(
    impatient: Federation,
) -> None:
    body = b"x" * 2**20
    head = f"PUT /v1/rounds/{'0' * 64} HTTP/1.1\r\nHost: x\r\n".encode()
    for length, status in ((8 * len(body), 413), (6 * len(body), 413)):
        with connect(impatient.north) as line:
            line.sendall(head + f"Content-Length: {length}\r\n\r\n".encode())
            for _ in range(6):
                line.sendall(body)
                time.sleep(PAUSE)  # longer in all than it waits
            answer = answer_on(line)
            assert (answer.status, answer.code) == (status, "FS-315")
            if length == 6 * len(body):  # the next request is answered
                line.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                assert answer_on(line).status == 200
            assert line.recv(1) == b""
