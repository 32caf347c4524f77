"""How a client reads what a server sends: never more than it should be.

Also the TLS that both use, and what is kept of a server's own words.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from fedsecure.errors import OperatorError, one_line

MAX_ANSWER: Final = 16 * 2**20  # bytes; larger answers are refused
MAX_DETAIL: Final = 500  # characters of a server's own words
TLS_CAUSES: Final = {
    "TLSV1_ALERT_PROTOCOL_VERSION": "it does not offer TLS 1.3",
    "UNSUPPORTED_PROTOCOL": "it does not offer TLS 1.3",
    "WRONG_VERSION_NUMBER": "it does not speak TLS there",
}
"""What people read for OpenSSL's reasons; for others its own words."""


class Pieces:
    """Takes exact lengths off an iterator of pieces."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def take(self, length: int) -> bytes:
        """Return the next bytes, exactly so many."""
        while len(self._held) < length:
            piece = next(self._pieces, None)
            if piece is None:
                msg = "the answer ended early"
                raise httpx.RemoteProtocolError(msg)
            self._held += piece
        taken, self._held = self._held[:length], self._held[length:]
        return taken

    def rest(self) -> Iterator[bytes]:
        """Return all that follows."""
        yield self._held
        yield from self._pieces


def tls_context(authorities: Path | None) -> ssl.SSLContext:
    """Return TLS 1.3 that trusts one CA file, or what the system trusts.

    Raises:
        OperatorError: FS-554 when the file is no CA file.
    """
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError("FS-554", f"{authorities}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def tls_failure(error: httpx.ConnectError) -> str | None:
    """Return what is wrong with who is there; None when nobody answers TLS at all."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    # A line that ends in the middle tells nothing: Python's own servers without TLS 1.3
    # end it so, and so does a proxy in front of nobody. (Python 3.11.2: "zero return".)
    if cause is None or isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return None
    told = getattr(cause, "verify_message", None) or TLS_CAUSES.get(cause.reason)
    return str(told or cause)


def printable(text: str) -> str:
    """Keep what a server says from steering the terminal that shows it."""
    return one_line(text[:MAX_DETAIL])


def read_limited(response: httpx.Response) -> bytes:
    """Read an answer of at most `MAX_ANSWER` bytes."""
    body = b""
    for piece in response.iter_bytes():
        body += piece
        if not len(body) <= MAX_ANSWER:
            msg = f"an answer of more than {MAX_ANSWER} bytes"
            raise httpx.RemoteProtocolError(msg)
    return body
