"""What stands before every page: checks of a request, headers of an answer.

The checks, in this order; whatever fails one reaches no page:

1. The `Host` is one that this console is known by: a foreign name that resolves to
   this machine (DNS rebinding) is refused, FS-583.
2. What changes something comes from a page of this console: its `Origin` is this
   console's own, FS-584. (A form must also hold its session's token, `forms`.)
3. The browser is signed in, or the page is open to everybody, FS-582.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fedsecure.console.sessions import Session, Sessions
from fedsecure.errors import FedsecureError, PeerError
from fedsecure.transport.bounded_connection import peer_of, vouch

OPEN: Final = ("/login", "/static/")  # to everybody
SAFE: Final = frozenset({"GET", "HEAD"})
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with it browsers hide the origin of a form, too.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where browsers find a console.

    Args:
        scheme: http, or https.
        hosts: Every `Host` that is this console, with its port.
        port: Is part of the cookie's name, for browsers share cookies between ports.
        login: Whether one has to sign in.
    """

    scheme: str
    hosts: Sequence[str]
    port: int
    login: bool = True

    @property
    def cookie(self) -> str:
        """Name of the cookie that says who is signed in."""
        return f"fedsecure-console-{self.port}"

    @property
    def url(self) -> str:
        """What people open."""
        return f"{self.scheme}://{self.hosts[0]}"


class Guard:
    """An application behind the checks.

    Args:
        app: Its pages find the session in `request.state.session`.
        place: Where it is.
        sessions: Who is signed in.
        refusal: Makes the page that says what is wrong.
    """

    def __init__(
        self,
        app: ASGIApp,
        place: Place,
        sessions: Sessions,
        refusal: Callable[[FedsecureError], Response],
    ) -> None:
        self._app, self._place, self._sessions = app, place, sessions
        self._refusal = refusal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            answer = self._checked(scope)
        except PeerError as error:
            answer = self._refusal(error)
        await (answer or self._app)(scope, receive, guarded)

    def _checked(self, scope: Scope) -> Response | None:
        """Check a request; return an answer if it goes no further.

        Raises:
            PeerError: FS-582, FS-583, FS-584.
        """
        headers = Headers(scope=scope)
        require_host(headers, self._place)  # (1)
        if scope["method"] not in SAFE:
            require_origin(headers, self._place)  # (2)
        session = self._sessions.find(_cookie(headers, self._place.cookie))
        scope.setdefault("state", {})["session"] = session
        if session is not None:
            vouch(peer_of(scope))
        if session is not None or scope["path"].startswith(OPEN):
            return None
        if self._place.login or scope["method"] not in SAFE:  # (3)
            return _sign_in_first(scope)
        return remember(_again(scope), self._sessions.open(), self._place)


def require_host(headers: Headers, place: Place) -> None:
    """Check that a browser asks for this console by its name.

    Raises:
        PeerError: FS-583.
    """
    host = headers.get("host", "")
    if host.lower() not in place.hosts:
        raise PeerError("FS-583", f"it was asked as {host[:80]!r}")


def require_origin(headers: Headers, place: Place) -> None:
    """Check that a request which changes something is sent by a page of this console.

    Raises:
        PeerError: FS-584.
    """
    origin = headers.get("origin", "")
    if origin not in {f"{place.scheme}://{host}" for host in place.hosts}:
        raise PeerError("FS-584", f"it was sent from {origin[:80]!r}")


def remember(response: Response, session: Session, place: Place) -> Response:
    """Have a browser show its session from now on."""
    response.set_cookie(
        place.cookie,
        session.cookie,
        httponly=True,
        samesite="strict",
        secure=place.scheme == "https",
    )
    return response


def _cookie(headers: Headers, name: str) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return None if found is None else found.value


def _sign_in_first(scope: Scope) -> Response:
    if scope["method"] == "GET" and scope["path"].endswith("/live"):
        raise PeerError("FS-582", "this browser is not signed in")
    if scope["method"] in SAFE:
        return RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    raise PeerError("FS-582", "this browser is not signed in")


def _again(scope: Scope) -> Response:
    query = scope["query_string"].decode("latin-1")
    path = scope["raw_path"].decode("latin-1").lstrip("/\\")
    where = f"/{path}?{query}" if query else f"/{path}"
    return RedirectResponse(where, HTTPStatus.SEE_OTHER)
