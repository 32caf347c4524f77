"""Who is signed in: by a link that works once, then by a cookie.

The command prints the link. Its token is 32 random bytes, and stands behind the `#`,
which browsers keep to themselves: no log and no proxy sees it. Whoever shows it gets a
session, and the next link is printed, so that a second browser can be used, too.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fedsecure.errors import PeerError
from fedsecure.protocol.encodings import base64url

TOKEN_BYTES: Final = 32
SECONDS: Final = 12 * 3600.0  # a session lasts
MOST: Final = 100  # sessions; the oldest ends when there would be more


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is signed in.

    Args:
        cookie: What it shows with each request.
        form_token: What each of its forms must hold.
        ends: Seconds on the clock.
    """

    cookie: str = field(repr=False)
    form_token: str = field(repr=False)
    ends: float


class Sessions:
    """Every browser that is signed in, in memory: a restart ends all sessions.

    Args:
        rand: `rand(n)` returns n uniform bytes.
        clock: Seconds, never going back.
        announce: Told each new token of the link.
    """

    def __init__(
        self,
        rand: Callable[[int], bytes],
        clock: Callable[[], float],
        announce: Callable[[str], None],
    ) -> None:
        self._rand, self._clock, self._announce = rand, clock, announce
        self._token = self._random()
        self._sessions: dict[bytes, Session] = {}

    def begin(self) -> None:
        """Announce the first link."""
        self._announce(self._token)

    def sign_in(self, token: str) -> Session:
        """Take a token in, which is worth nothing afterwards.

        Raises:
            PeerError: FS-582 when it is another, or was used.
        """
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            raise PeerError("FS-582", "it is another one, or was used already")
        self._token = self._random()
        session = self.open()
        self._announce(self._token)
        return session

    def open(self) -> Session:
        """Begin a session; without a link only where the console needs no login."""
        ends = self._clock() + SECONDS
        session = Session(self._random(), self._random(), ends)
        if len(self._sessions) >= MOST:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[_key(session.cookie)] = session
        return session

    def find(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie, if there is one and it has not ended."""
        if cookie is None:
            return None
        session = self._sessions.get(_key(cookie))
        if session is not None and not self._clock() < session.ends:
            self.end(session)
            return None
        return session

    def end(self, session: Session) -> None:
        """Sign a browser out."""
        self._sessions.pop(_key(session.cookie), None)

    def _random(self) -> str:
        return base64url(self._rand(TOKEN_BYTES))


def _key(cookie: str) -> bytes:
    # Looked up by digest, so that the time of a look-up tells nothing about cookies.
    return hashlib.sha256(cookie.encode()).digest()
