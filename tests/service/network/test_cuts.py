"""Every connection of an upload is cut, at every record, and the agent goes on."""

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from fedsecure.core.sealing.payload_digest import RECORD_BYTES
from fedsecure.core.sealing.sealing_key import SEALED_KEY_BYTES
from fedsecure.protocol.framing import LENGTH, offset_after
from tests.service.aggregator.conftest import Federation, Process
from tests.service.network.conftest import Admit, Taps
from tests.service.network.parties import Hospital
from tests.service.network.requests import Sent, requests_of
from tests.tap import Cut, Line, Tap
from tests.unit.aggregator.world import HOSPITALS, SERVERS, Round

pytestmark = pytest.mark.service
THREE = HOSPITALS[:3]
LARGE = 900_000  # parameters: a vector of 3.4 MiB, four records
PATIENCE = 60.0  # seconds; an agent's own
ANSWER = -1  # the server acts, and its answer is cut off


def places(sent: Sent) -> list[int]:
    """Where to cut an upload: bytes from its beginning, and last its answer."""
    body = len(sent.head)
    payload = body + offset_after(sent.token.decode())
    records = payload + SEALED_KEY_BYTES
    end = len(sent.raw)
    borders = [*range(records, end, RECORD_BYTES), end]
    return [
        body // 2,  # within HTTP's own headers
        body,  # between them and the body
        body + LENGTH.size // 2,
        (body + payload) // 2,  # within the report's header
        payload,
        payload + SEALED_KEY_BYTES // 2,
        *borders[:-1],  # between two records
        *(sum(pair) // 2 for pair in pairwise(borders)),  # within each
        end - 1,
        ANSWER,
    ]


@dataclass
class Scissors:
    """Cuts one line after the other, each at the next place; then lets pass."""

    tap: Tap
    where: list[int]
    cuts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tap.lines.clear()
        self.tap.forth, self.tap.back = self.forth, self.back

    def place(self, line: Line) -> int | None:
        return self.where[line.number] if line.number < len(self.where) else None

    def forth(self, line: Line, piece: bytes) -> bytes:
        at = self.place(line)
        if at is None or at == ANSWER or len(line.sent) < at:
            return piece
        self.cuts.append(at)
        before = len(line.sent) - len(piece)
        raise Cut(piece[: at - before])

    def back(self, line: Line, piece: bytes) -> bytes:
        if self.place(line) != ANSWER:
            return piece
        if not is_whole(bytes(line.received)):
            return b""
        self.cuts.append(ANSWER)
        raise Cut(bytes(line.received[: len(line.received) // 2]))


def is_whole(answer: bytes) -> bool:
    head, _, body = answer.lower().partition(b"\r\n\r\n")
    length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return length.isdigit() and len(body) == int(length)


def left_open(server: Process) -> list[str]:
    """What the server still holds of uploads: files, also deleted ones."""
    incoming = server.data / "incoming"
    held = [path.name for path in incoming.iterdir()]
    for entry in Path(f"/proc/{server.child.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed in the meantime
            held.append(str(entry.readlink()))
    return [name for name in held if name.isdecimal() or str(incoming) in name]


def test_an_upload_whose_every_connection_is_cut_is_stored_and_counted_once(
    federation: Federation, taps: Taps, admit: Admit
) -> None:
    before = federation.propose(dimension=LARGE)
    admit("basel", taps).report(before, federation.grant(before))
    shapes = {}
    for tap in taps.values():
        (sent,) = requests_of(tap)
        shapes["vector" if len(sent.raw) > 2**20 else "seed"] = sent

    victim, asked = admit("basel", taps, PATIENCE), federation.propose(dimension=LARGE)
    grants = federation.grant(asked)
    accepted = victim.accept(asked, grants)
    victim.contributor.contribute(accepted, victim.measurement(asked))
    scissors = {}
    for report in victim.state.reports(asked.digest):
        statement = report.header.statement
        where = places(shapes[statement.kind])
        scissors[statement.aggregator] = Scissors(taps[statement.aggregator], where)
    own = victim.report(asked, grants)

    assert sorted(len(one.where) for one in scissors.values()) == [10, 16]
    for name, server in federation.servers.items():
        assert scissors[name].cuts == scissors[name].where
        for number in (-2, -1):  # the answer that was cut off, and the one that came
            assert own[name].token.encode() in taps[name].received[number]
        require_stored_once(server, asked, victim)
    assert (victim.waiting(), len(victim.drawn)) == ([], 1)  # sharded once
    receipts = federation.collect(asked, "bern", "chur")
    receipts["basel"] = {name: own[name].token for name in SERVERS}
    federation.require_mean(asked, receipts, *THREE)


def require_stored_once(server: Process, asked: Round, victim: Hospital) -> None:
    rows = [row for row in server.rows()["reports"] if asked.digest in row]
    assert [victim.name in row for row in rows] == [True]
    folder = server.data / "rounds" / asked.digest / "reports"
    assert [path.name for path in folder.iterdir()] == [victim.name]
    assert left_open(server) == []
