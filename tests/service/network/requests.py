"""Requests as they went over a line, and sending the very same bytes again."""

import json
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.service.aggregator.conftest import Process
from tests.tap import HOST, Tap


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def code(self) -> str | None:
        """The code of a refusal; None for success."""
        if self.status == 200:
            return None
        content: dict[str, Any] = json.loads(self.body)
        assert content["status"] == self.status
        return str(content["code"])


@dataclass(frozen=True)
class Sent:
    """One recorded request."""

    head: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        return self.head + self.body

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def token(self) -> bytes:
        """The statement in it: a ticket, a report's header, or all of the body."""
        if not self.body:
            _, _, after = self.head.partition(b"Bearer ")
            return after.partition(b"\r\n")[0]
        if "/reports/" in self.path:
            return self.body[4 : 4 + int.from_bytes(self.body[:4])]
        return self.body

    def at(self, path: str) -> "Sent":
        """The same request to another address."""
        return replace(self, head=self.head.replace(self.path.encode(), path.encode()))


def requests_of(tap: Tap) -> Iterator[Sent]:
    """Cut what clients sent into requests."""
    for stream in tap.sent:
        yield from whole_requests(bytes(stream))


def whole_requests(rest: bytes) -> Iterator[Sent]:
    """Yield the requests that are complete."""
    while b"\r\n\r\n" in rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        length = int(fields.get(b"content-length", b"0"))
        if len(rest) < length:
            return
        yield Sent(head + b"\r\n\r\n", rest[:length])
        rest = rest[length:]


def exchange(server: Process, raw: bytes) -> Answer:
    """Send bytes over a new line and return the answer."""
    with connect(server) as line:
        line.sendall(raw)
        return answer_on(line)


def answer_on(line: ssl.SSLSocket) -> Answer:
    """Read one answer, and not a byte of what follows it."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = line.recv(1)
        assert byte, f"closed after {head!r}"
        head += byte
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = dict(entry.lower().split(": ", 1) for entry in lines if entry)
    body, length = b"", int(fields["content-length"])
    while len(body) < length:
        piece = line.recv(length - len(body))
        assert piece, "closed within an answer"
        body += piece
    return Answer(int(first.split(" ")[1]), body)


def connect(server: Process) -> ssl.SSLSocket:
    line = socket.create_connection((HOST, server.port), timeout=30)
    return server.tls.wrap_socket(line, server_hostname=HOST)
