"""A tap on a line: notes what goes each way and passes it on, or does worse.

With the server's certificate and key it ends TLS and sees what the server sees, byte
for byte. Without, it sees what anybody on the wire sees. A test can change what is
passed on, or cut the line at any byte.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

HOST = "127.0.0.1"
PIECE = 2**16

T = TypeVar("T")


@dataclass
class Line:
    """One connection: its number, and what has come each way."""

    number: int
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)


class Cut(Exception):  # noqa: N818 - not an error, an order
    """Raised by a meddler: pass this on, then cut the line."""

    def __init__(self, last: bytes = b"") -> None:
        super().__init__()
        self.last = last


Meddler = Callable[[Line, bytes], bytes]  # a piece that came > what is passed on


def honest(_: Line, piece: bytes) -> bytes:
    return piece


@dataclass
class Tap:
    """Where clients connect to, every line so far, and what is done to them."""

    port: int = 0
    lines: list[Line] = field(default_factory=list)
    forth: Meddler = honest
    back: Meddler = honest

    @property
    def sent(self) -> list[bytearray]:
        return [line.sent for line in self.lines]

    @property
    def received(self) -> list[bytearray]:
        return [line.received for line in self.lines]

    @property
    def all_bytes(self) -> bytes:
        return b"|".join(bytes(stream) for stream in [*self.sent, *self.received])


async def _pass(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    note: bytearray,
    meddle: Callable[[bytes], bytes],
) -> None:
    try:
        while piece := await reader.read(PIECE):
            note += piece
            writer.write(meddle(piece))
            await writer.drain()
    except Cut as cut:
        writer.write(cut.last)
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


def ended_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """Return what a tap needs to take a server's place in TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def any_tls() -> ssl.SSLContext:
    """Return TLS towards a server, whoever it is: the test's own, on loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextmanager
def tapping(
    target: int,
    inside: ssl.SSLContext | None,
    outside: ssl.SSLContext | None,
) -> Iterator[Tap]:
    """Listen on a free port, and pass everything on to the port `target`.

    Args:
        target: Port on loopback.
        inside: TLS towards the clients; None passes bytes as they come.
        outside: TLS towards the server.
    """
    tap, ends = Tap(), list[asyncio.StreamWriter]()

    async def connected(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line = Line(len(tap.lines))
        tap.lines.append(line)
        try:
            back, forth = await asyncio.open_connection(HOST, target, ssl=outside)
        except OSError:
            writer.close()
            return
        ends.extend([writer, forth])
        with suppress(asyncio.CancelledError):  # asyncio calls it an error at the end
            await asyncio.gather(
                _pass(reader, forth, line.sent, lambda piece: tap.forth(line, piece)),
                _pass(back, writer, line.received, lambda piece: tap.back(line, piece)),
            )

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(10)

    server = run(asyncio.start_server(connected, HOST, 0, ssl=inside))
    tap.port = server.sockets[0].getsockname()[1]
    try:
        yield tap
    finally:
        loop.call_soon_threadsafe(server.close)
        run(_end_all(ends))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end_all(ends: list[asyncio.StreamWriter]) -> None:
    for end in ends:
        with suppress(AttributeError):  # Python 3.11.2 has forgotten those that ended
            end.transport.abort()
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.1)  # lets the transports close
