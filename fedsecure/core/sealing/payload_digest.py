"""How long a sealed payload is, and its digest, for those who hold no key.

The digest is SHA-256 over the sealed key and the records' tags in order, or over
everything if there is one record only or it is an aggregate share (format:
`fedsecure.core.sealing.seal`). Hashing the body of every report would cost nine times
its encryption; a tag stands for its record to everybody but those who know the content
key, the report's two ends.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from fedsecure.core.layout import CHUNK, Buffer
from fedsecure.core.sealing.sealing_key import SEALED_KEY_BYTES
from fedsecure.errors import PeerError

TAG_BYTES: Final = 16
RECORD_BYTES: Final = CHUNK + TAG_BYTES


def sealed_length(plaintext_length: int) -> int:
    """Return the length of a payload with so many plaintext bytes, at least 1."""
    records = -(-plaintext_length // CHUNK)
    return SEALED_KEY_BYTES + plaintext_length + records * TAG_BYTES


class PayloadDigest:
    """A payload's digest, computed on the way past, without its key.

    Args:
        length: Of the whole payload, as its header states it.
        hashed_whole: True for an aggregate share's payload.

    Raises:
        PeerError: FS-721 for a length that no payload has.
    """

    __slots__ = ("_hash", "_is_hashed", "_left", "_segments", "_sha256")

    def __init__(self, length: int, *, hashed_whole: bool = False) -> None:
        body = length - SEALED_KEY_BYTES
        if not body > TAG_BYTES or 1 <= body % RECORD_BYTES <= TAG_BYTES:
            raise PeerError("FS-721", f"no payload has {length} bytes")
        whole = hashed_whole or body <= RECORD_BYTES
        self._segments = iter([(length, True)]) if whole else _segments(body)
        self._left, self._is_hashed = next(self._segments)
        self._sha256 = hashlib.sha256()

    def update(self, piece: Buffer) -> None:
        """Take the payload's next bytes, split anywhere.

        Raises:
            PeerError: FS-721 for more bytes than there should be.
        """
        if len(piece) <= self._left and not self._is_hashed:
            self._left -= len(piece)  # nearly every piece lies within one record
            return
        rest = memoryview(piece)
        while rest:
            if not self._left:
                self._left, self._is_hashed = next(self._segments, (0, False))
            taken = rest[: self._left]
            if not taken:
                raise PeerError("FS-721", "the payload is longer than its header says")
            if self._is_hashed:
                self._sha256.update(taken)
            self._left -= len(taken)
            rest = rest[len(taken) :]

    def digest(self) -> bytes:
        """Return the digest, once every byte was taken.

        Raises:
            PeerError: FS-721 for fewer bytes than there should be.
        """
        if self._left or next(self._segments, None):
            raise PeerError("FS-721", "the payload is shorter than its header says")
        return self._sha256.digest()


def _segments(body: int) -> Iterator[tuple[int, bool]]:
    """Cut a payload of several records into (size, is hashed)."""
    yield SEALED_KEY_BYTES, True
    for start in range(0, body, RECORD_BYTES):
        yield min(RECORD_BYTES, body - start) - TAG_BYTES, False
        yield TAG_BYTES, True
