"""A tap between agents and the SuperLink: ends TLS, notes what agents send, passes on.

It shows the agents a certificate of the federation's own authority, so it sees what
the model owner's SuperLink sees, byte for byte.
"""

import asyncio
import ssl
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

HOST = "127.0.0.1"
PIECE = 2**16

T = TypeVar("T")


@dataclass
class Tap:
    """Where agents connect to, and what they have sent, one entry a connection."""

    port: int = 0
    sent: list[bytearray] = field(default_factory=list)


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, note: bytearray
) -> None:
    try:
        while piece := await reader.read(PIECE):
            note += piece
            writer.write(piece)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


@contextmanager
def tapping(target: int, certificate: Path, key: Path) -> Iterator[Tap]:
    """Listen on a free port, and pass everything on to the port `target`."""
    inside = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inside.load_cert_chain(certificate, key)
    outside = ssl.create_default_context(cafile=certificate)
    outside.check_hostname = False
    outside.verify_mode = ssl.CERT_NONE  # the test's own SuperLink, on loopback
    tap = Tap()

    async def connected(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        note = bytearray()
        tap.sent.append(note)
        try:
            back, forth = await asyncio.open_connection(HOST, target, ssl=outside)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            _pass(reader, forth, note), _pass(back, writer, bytearray())
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
        run(_end_all())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(0.1)  # lets the transports close
