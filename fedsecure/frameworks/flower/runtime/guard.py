"""Who may use which part of a SuperLink.

Flower's control API has no accounts: whoever reaches the port may start, stop and
list runs, and sign agents off. So every path but the agents' own and the health
check asks for a token that only the owner's process and the SuperLink can derive.
"""

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from hashlib import sha256
from typing import Any, Final

import httpx

from fedsecure.frameworks.flower.runtime.bodies import Bodies
from fedsecure.transport.bounded_connection import peer_of, vouch

OWNER_HEADER: Final = "x-fedsecure-owner"
HEALTH: Final = "/health"
FLEET: Final = "/v1/fleet/"
GUARDED: Final = "guarded"  # of a SuperLink: as this package runs it
BARE: Final = "bare"  # as Flower ships it
MAX_AGENT_BODY: Final = 16 * 2**20  # bytes; Flower cuts arrays into 5 MiB
MAX_LENGTH_DIGITS: Final = 12

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]


def owner_token(secret: bytes) -> str:
    """Derive the owner's token from the secret that both processes hold."""
    return hmac.new(secret, b"fedsecure v1 superlink owner", sha256).hexdigest()


class OwnerHeader:
    """Adds the token to each request of the owner's clients."""

    def __init__(self, secret: bytes) -> None:
        self._token = owner_token(secret)

    def intercept(
        self,
        context: Any,
        call_next: Callable[[Any], httpx.Response],
    ) -> httpx.Response:
        """Add the header to one request."""
        context.request.headers[OWNER_HEADER] = self._token
        return call_next(context)


class OwnerOnly:
    """ASGI middleware that answers 403 to what is neither an agent's nor the owner's.

    Runs in the SuperLink's process, before any code of Flower sees the request.
    """

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._token = token.encode("ascii")
        self._bodies = Bodies()

    async def __call__(
        self,
        scope: Scope,
        receive: Any,
        send: Any,
    ) -> None:
        """Pass a call on, or refuse it."""
        if scope["type"] == "http" and scope["path"].startswith(FLEET):
            await self._serve_agent(scope, receive, send)
        elif scope["type"] == "lifespan" or self._admits(scope):
            vouch(peer_of(scope))
            await self._app(scope, receive, send)
        else:
            await _refuse(send)

    async def _serve_agent(self, scope: Scope, receive: Any, send: Any) -> None:
        if not _is_small(dict(scope["headers"])):
            await _refuse(send)
        elif not await self._bodies.pass_on(self._app, scope, receive, send):
            await _answer(send, 503, b'{"detail": "the body came too slowly"}')

    def _admits(self, scope: Scope) -> bool:
        if scope["type"] != "http":
            return False
        headers = dict(scope["headers"])
        if scope["path"] == HEALTH:
            return True
        given = headers.get(OWNER_HEADER.encode("ascii"), b"")
        return hmac.compare_digest(given, self._token)


def _is_small(headers: dict[bytes, bytes]) -> bool:
    # Flower reads a whole body into memory before it asks who sent it. A body in
    # chunks, whose length nobody knows, is refused: no agent sends one.
    length = headers.get(b"content-length", b"")
    if b"transfer-encoding" in headers or not length.isdigit():
        return False
    return len(length) <= MAX_LENGTH_DIGITS and int(length) <= MAX_AGENT_BODY


async def _refuse(send: Any) -> None:
    await _answer(send, 403, b'{"detail": "only the model owner may do this"}')


async def _answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
