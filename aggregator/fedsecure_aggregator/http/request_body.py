"""A request's body, read with bounds: how long it is, how slowly it may come.

require_length   what the headers say, before a byte is read
Body             piece by piece, for reports
reading          whole, for statements, as long as there is room
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from starlette.requests import Request

from fedsecure.core.layout import Buffer
from fedsecure.errors import PeerError, RoundStateError
from fedsecure.transport.bounded_connection import peer_of
from fedsecure.transport.held_bodies import HeldBodies
from fedsecure_aggregator.http.body_stream import BODY_STREAM

DECIMAL: Final = re.compile("[0-9]{1,18}")
SLOWEST: Final = 8 * 2**10  # bytes a second of what nobody is known to have signed


class Body:
    """A request's body, taken off the wire piece by piece.

    It is read within `moving`, where it may stand still for `still_seconds` between
    two pieces.
    """

    def __init__(self, request: Request, still_seconds: float) -> None:
        self._stream = request.scope.get("extensions", {}).get(BODY_STREAM)
        self._pieces = request.stream()
        self._still_seconds = still_seconds
        self._held = b""
        self._limit: asyncio.Timeout | None = None
        self._whole = self._crowded = False

    @asynccontextmanager
    async def moving(self) -> AsyncIterator[None]:
        """Bound how long the body may stand still while it is read.

        One timer for all pieces: one for each took half a millisecond in 40 MB.

        Raises:
            PeerError: FS-319 when it stands still.
        """
        async with self._limited(self._still_seconds, "without a byte"):
            yield
        self._limit = None

    @asynccontextmanager
    async def within(self, length: int) -> AsyncIterator[None]:
        """Bound how long `length` bytes may take that nobody is known to have signed.

        Raises:
            PeerError: FS-319 when they take longer than a slow line does.
        """
        seconds = self._still_seconds + length / SLOWEST
        self._whole = True
        async with self._limited(seconds, f"for {length} bytes"):
            yield
        self._whole, self._limit = False, None

    def give_up(self) -> None:
        """End the reading, for others need the room."""
        if self._limit is not None and not self._limit.expired():
            self._crowded = True
            self._limit.reschedule(asyncio.get_running_loop().time())

    @asynccontextmanager
    async def _limited(self, seconds: float, what: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(seconds) as self._limit:
                yield
        except TimeoutError as error:
            if self._crowded:
                raise RoundStateError("FS-537", "its room was needed") from error
            raise PeerError("FS-319", f"{seconds:.0f} s {what}") from error

    async def take(self, length: int) -> bytes:
        """Return exactly `length` bytes.

        Raises:
            PeerError: FS-313 when the body ends before.
        """
        while len(self._held) < length:
            piece = await anext(self._pieces, None)
            if piece is None:
                raise PeerError("FS-313", "the body ends within the header")
            self._moved()
            self._held += piece
        taken, self._held = self._held[:length], self._held[length:]
        return taken

    async def rest(self) -> AsyncIterator[bytes]:
        """Yield all that follows."""
        if self._held:
            yield self._held
        async for piece in self._pieces:
            if piece:
                self._moved()
                yield piece

    async def stream(self, take: Callable[[Buffer], object]) -> None:
        """Hand all that follows to `take`, which may not keep it."""

        def taken(piece: Buffer) -> None:
            self._moved()
            take(piece)

        if self._stream is None:  # another server than ours
            async for piece in self.rest():
                take(piece)
            return
        if self._held:
            take(self._held)
        await self._pieces.aclose()
        await self._stream(taken)

    def _moved(self) -> None:
        if self._limit is None:
            msg = "a body is read outside of `moving`"
            raise RuntimeError(msg)
        # If it has expired, it is about to be raised.
        if not self._whole and not self._limit.expired():
            now = asyncio.get_running_loop().time()
            self._limit.reschedule(now + self._still_seconds)


@asynccontextmanager
async def reading(
    request: Request, limit: int, still_seconds: float, holding: HeldBodies
) -> AsyncIterator[str]:
    """Yield a body that is one token; its room is taken as long as the block lasts.

    Raises:
        PeerError: FS-315 when it is longer than `limit` bytes, FS-316, FS-317,
            FS-319, or FS-701 when it is not ASCII.
        RoundStateError: FS-537 when others need the room.
    """
    length = require_length(request, limit)
    peer = peer_of(request.scope)
    with holding.room(peer.address if peer else "") as held:
        body = Body(request, still_seconds)
        held.give_up = body.give_up
        async with body.within(length):
            content = await _whole(body, partial(holding.add, held))
        held.give_up = None
        yield _ascii(content)


async def _whole(body: Body, count: Callable[[int], None]) -> bytearray:
    content = bytearray()
    async for piece in body.rest():
        count(len(piece))
        content += piece
    return content


def _ascii(content: bytearray) -> str:
    try:
        return content.decode("ascii")
    except UnicodeDecodeError as error:
        raise PeerError("FS-701", "the body is not a compact JWS") from error


def require_length(request: Request, limit: int) -> int:
    """Return how long a body says it is; the server holds it to that.

    Raises:
        PeerError: FS-315, FS-316 or FS-317.
    """
    if "content-encoding" in request.headers:
        raise PeerError("FS-317", request.headers["content-encoding"][:40])
    length = request.headers.get("content-length", "")
    if not DECIMAL.fullmatch(length):
        raise PeerError("FS-316", "no Content-Length")
    if not int(length) <= limit:
        raise PeerError("FS-315", f"{length} bytes, at most {limit}")
    return int(length)
