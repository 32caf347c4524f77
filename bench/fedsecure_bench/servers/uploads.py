"""Uploads that were prepared before, sent by many at once.

Each uploader has a connection to each server and sends one upload after the other, in
pieces out of a mapped file: what is measured is the servers, not their clients.
"""

import http.client
import mmap
import ssl
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

from fedsecure.contributor.outbox import StoredReport
from fedsecure.errors import PeerError
from fedsecure.protocol import framing
from fedsecure.protocol.framing import PIECE

PATIENCE: Final = 600.0  # seconds
OK: Final = 200


@dataclass(frozen=True, slots=True)
class Upload:
    """A body in two parts, and where it goes."""

    netloc: str
    path: str
    prefix: bytes
    payload: Path

    @property
    def length(self) -> int:
        """Bytes of the whole body."""
        return len(self.prefix) + self.payload.stat().st_size


Answer = tuple[str, float]  # its text, and how many seconds the upload took


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of some uploads.

    Args:
        answers: For each data owner, in order, those to its uploads.
        wall: Seconds until the last was answered.
        length: Bytes of all bodies.
    """

    answers: Sequence[Sequence[Answer]]
    wall: float
    length: int


def of_report(report: StoredReport, netloc: str) -> Upload:
    """Return the upload that a data owner's agent would make of a report."""
    statement = report.header.statement
    return Upload(
        netloc,
        f"/v1/rounds/{statement.spec}/reports/{statement.reporter}",
        framing.prefix(report.header.token),
        report.payload,
    )


def send_all(
    owners: Sequence[Sequence[Upload]], at_once: int, tls: ssl.SSLContext
) -> Sent:
    """Send uploads, so many data owners at once; connections are open before.

    Args:
        owners: For each data owner its uploads, sent one after the other.
        at_once: How many data owners send at the same time.
        tls: What trusts the servers.

    Raises:
        PeerError: FS-553 when a server does not answer with success.
    """
    hands = [owners[place::at_once] for place in range(at_once)]
    with ThreadPoolExecutor(at_once) as pool:
        lines = list(pool.map(lambda hand: _connect(hand, tls), hands))
        start = time.perf_counter()
        done = list(pool.map(_send_in_order, hands, lines))
        wall = time.perf_counter() - start
    for line in lines:
        for connection in line.values():
            connection.close()
    answers = [done[i % at_once][i // at_once] for i in range(len(owners))]
    return Sent(answers, wall, sum(one.length for one in chain(*owners)))


Line = dict[str, http.client.HTTPSConnection]


def _connect(hand: Sequence[Sequence[Upload]], tls: ssl.SSLContext) -> Line:
    line = {}
    for netloc in {upload.netloc for upload in chain(*hand)}:
        connection = http.client.HTTPSConnection(netloc, timeout=PATIENCE, context=tls)
        connection.connect()
        line[netloc] = connection
    return line


def _send_in_order(hand: Sequence[Sequence[Upload]], line: Line) -> list[list[Answer]]:
    return [[_send(one, line[one.netloc]) for one in owner] for owner in hand]


def _send(upload: Upload, connection: http.client.HTTPSConnection) -> Answer:
    start = time.perf_counter()
    headers = {"Content-Length": str(upload.length)}
    connection.request("PUT", upload.path, body=_pieces(upload), headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", errors="replace")
    if answer.status != OK:
        raise PeerError("FS-553", f"{upload.netloc}: {answer.status} {text[:200]}")
    return text, time.perf_counter() - start


def _pieces(upload: Upload) -> Iterator[bytes | memoryview]:
    yield upload.prefix
    with (
        upload.payload.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as view,
    ):
        for start in range(0, len(view), PIECE):
            with view[start : start + PIECE] as piece:
                yield piece
