"""Bodies of agents' requests, which Flower reads whole before it asks who sent them.

Each is bounded by `guard`. Here they are bounded together, and in time: the largest of
the address that holds most is given up for one too many, and none may trickle.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, Final

from fedsecure.errors import RoundStateError
from fedsecure.transport.bounded_connection import Peer, peer_of, vouch
from fedsecure.transport.held_bodies import Held, HeldBodies

MOST_HELD: Final = 256 * 2**20  # bytes
SECONDS: Final = 60.0  # for a body, and one more for each
SLOWEST: Final = 8 * 2**10  # bytes a second

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class Bodies:
    """The bodies that one SuperLink reads at a time."""

    def __init__(self, most: int = MOST_HELD, seconds: float = SECONDS) -> None:
        self._holding, self._seconds = HeldBodies(most), seconds

    async def pass_on(
        self,
        app: App,
        scope: MutableMapping[str, Any],
        receive: Receive,
        send: Send,
    ) -> bool:
        """Let an application answer a request, unless its body takes too much.

        Returns:
            False when it was given up before anything was answered.
        """
        peer = peer_of(scope)
        length = int(dict(scope["headers"]).get(b"content-length", b"0"))
        with self._holding.room(peer.address if peer else "") as held:
            limit = asyncio.timeout(self._seconds + length / SLOWEST)
            held.give_up = partial(_expire, limit)
            try:
                async with limit:
                    counted = partial(self._counted, receive, held, limit)
                    await app(scope, counted, partial(_told, send, peer))
            except TimeoutError:
                if not limit.expired():
                    raise
                return False
        return True

    async def _counted(
        self, receive: Receive, held: Held, limit: asyncio.Timeout
    ) -> Message:
        message = await receive()
        if message["type"] == "http.request":
            try:
                self._holding.add(held, len(message.get("body", b"")))
            except RoundStateError:
                _expire(limit)
                await asyncio.sleep(self._seconds)  # until it has
            if not message.get("more_body", False) and not limit.expired():
                limit.reschedule(None)
        return message


def _expire(limit: asyncio.Timeout) -> None:
    if not limit.expired():
        limit.reschedule(asyncio.get_running_loop().time())


async def _told(send: Send, peer: Peer | None, message: Message) -> None:
    """Pass an answer on; who got one that is no refusal is somebody Flower knows."""
    if message["type"] == "http.response.start" and message["status"] < 400:
        vouch(peer)
    await send(message)
