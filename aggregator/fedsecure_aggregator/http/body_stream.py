"""Bodies of requests, from TLS straight into whoever takes them.

On its way through uvicorn a body is copied by the TLS layer, the parser, the cycle that
collects it and the one that hands it out, and wakes a task for every piece: together
more than the encryption costs. Here TLS writes into one buffer, and as long as somebody
takes a body, what comes is handed over from there, without a parser, a copy or a task.

    protocol   what uvicorn makes for a connection: http=protocol(StreamingConnection)
    stream     from the scope, `extensions[BODY_STREAM]`: await stream(take)
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from weakref import ref

import httptools
from starlette.requests import ClientDisconnect
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from fedsecure.transport.bounded_connection import Bounded, Peer

BODY_STREAM: Final = "fedsecure.body-stream"
BUFFER: Final = 2**18 + 2**10  # bytes; uvloop decrypts at most 256 KiB at a time

Consumer = Callable[[memoryview], object]
Stream = Callable[[Consumer], Awaitable[None]]


class StreamingConnection(Bounded):
    """A connection of uvicorn whose bodies can be streamed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._left = 0  # bytes of the body under way, if its length is known
        self._take: Consumer | None = None
        self._streamed: asyncio.Future[None] | None = None

    def received(self, data: memoryview) -> None:
        """Take what came. It is only there until this returns."""
        if self.flow.deaf:
            return
        if self._head is None and self.idle:
            self._wait()
        if not self._left:
            self.data_received(bytes(data))
            return
        # The parser has found where the body ends: no need to show it the rest.
        body, more = data[: self._left], data[self._left :]
        self._left -= len(body)
        self._hand_over(body)
        if not self._left:
            self.on_message_complete()
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        if more:
            self.data_received(bytes(more))

    def on_headers_complete(self) -> None:
        """Begin a request, of which a body may follow."""
        super().on_headers_complete()
        if self.flow.deaf:
            return
        self._left = _length(self.headers)
        stream: Stream = partial(_stream, ref(self), ref(self.cycle))
        self.scope["extensions"][BODY_STREAM] = stream  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """Take a piece that the parser has found."""
        if self.flow.deaf:
            return
        self._left = max(0, self._left - len(body))
        self._hand_over(memoryview(body))

    def on_message_complete(self) -> None:
        """End the body."""
        if self.flow.deaf:
            return
        self._left = 0
        super().on_message_complete()
        self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever still takes a body."""
        self._finish(ClientDisconnect())
        super().connection_lost(exc)

    async def stream(self, cycle: RequestResponseCycle, take: Consumer) -> None:
        """Hand all that is left of a request's body to `take`, piece by piece.

        Args:
            cycle: The request.
            take: Called in the event loop; the piece is not there any more afterwards.

        Raises:
            ClientDisconnect: The connection ended before the body.
            Exception: What `take` raised; it is not called again.
        """
        held, cycle.body = cycle.body, bytearray()
        if held:
            take(memoryview(held))
        if not cycle.more_body:
            return
        if cycle.disconnected:
            raise ClientDisconnect
        self._take, self._streamed = take, self.loop.create_future()
        self.flow.resume_reading()
        try:
            await self._streamed
        finally:
            self._take = self._streamed = None

    def _hand_over(self, piece: memoryview) -> None:
        if self._take is None:
            super().on_body(bytes(piece))
            return
        try:
            self._take(piece)
        except Exception as error:  # noqa: BLE001 - it is the taker's, and goes there
            self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        self._take = None
        if self._streamed is None or self._streamed.done():
            return
        if error is None:
            self._streamed.set_result(None)
        else:
            self._streamed.set_exception(error)


async def _stream(
    connection: "ref[StreamingConnection]",
    cycle: "ref[RequestResponseCycle]",
    take: Consumer,
) -> None:
    """Stream a request's body; weakly held, for both hold the scope that holds this."""
    there, request = connection(), cycle()
    if there is None or request is None:
        raise ClientDisconnect
    await there.stream(request, take)


class _Buffered(asyncio.BufferedProtocol):
    """Receives for a connection, into memory that all connections of a server share.

    uvloop asks for the buffer, fills it and says so without a pause in between. It
    keeps methods of this object beyond the connection's end. Nothing else may hang on
    it then, or some MB of each connection would wait for the collector of cycles.
    """

    def __init__(
        self,
        kind: Callable[..., StreamingConnection],
        memory: memoryview,
        **arguments: Any,
    ) -> None:
        self._connection: StreamingConnection | None = kind(**arguments)
        self._memory = memory

    def attend(self, peer: Peer, lost: Callable[[], None]) -> None:
        """Say who is there, and have somebody told when it is over."""
        if self._connection is not None:
            self._connection.attend(peer, lost)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._connection is not None:
            self._connection.connection_made(transport)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.connection_lost(exc)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._memory

    def buffer_updated(self, nbytes: int) -> None:
        if self._connection is not None:
            self._connection.received(self._memory[:nbytes])

    def eof_received(self) -> None:
        if self._connection is not None:
            self._connection.eof_received()

    def pause_writing(self) -> None:
        if self._connection is not None:
            self._connection.pause_writing()

    def resume_writing(self) -> None:
        if self._connection is not None:
            self._connection.resume_writing()


def protocol(kind: type[StreamingConnection]) -> Any:
    """Return what uvicorn is to make for each connection of one server."""
    return partial(_Buffered, kind, memoryview(bytearray(BUFFER)))


def _length(headers: list[tuple[bytes, bytes]]) -> int:
    """Return how long a body is."""
    # Digits, or the parser objects; and there are no chunks.
    return int(dict(headers).get(b"content-length", b"0"))
