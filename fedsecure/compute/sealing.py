"""Sealed payloads of inputs and queries, and both of an output opened again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from fedsecure.core.layout import CHUNK, Buffer
from fedsecure.core.sealing import payload_digest, seal
from fedsecure.core.sealing.seal_info import SealInfo
from fedsecure.core.sealing.sealing_key import CONTENT_KEY_BYTES, SealingKey
from fedsecure.errors import PeerError
from fedsecure.protocol.encodings import from_base64url

CONTENT_KEY: Final = CONTENT_KEY_BYTES


@dataclass(frozen=True, slots=True)
class SealedPayload:
    """Bytes that one aggregator alone can read, and what a header says of them."""

    payload: bytes = field(repr=False)
    length: int
    digest: str


def sealed(
    key: str, info: SealInfo, plaintext: Buffer, content_key: bytes
) -> SealedPayload:
    """Seal a plaintext to an aggregator's key of a grant.

    Args:
        key: The public key, base64url.
        info: What it is bound to.
        plaintext: At least 1 byte.
        content_key: CONTENT_KEY_BYTES uniform bytes, for this payload alone.

    Raises:
        PeerError: FS-722 for a malformed key.
    """
    out = bytearray()
    length, digest = seal.seal(
        from_base64url(key), info, content_key, _chunks(plaintext), out.extend
    )
    return SealedPayload(bytes(out), length, digest.hex())


def opened(
    key: SealingKey, info: SealInfo, payload: bytes, size: int, what: str
) -> bytearray:
    """Open what an aggregator sealed to this party's key.

    Args:
        key: The receiver's.
        info: What it must be bound to.
        payload: The sealed bytes.
        size: Bytes of the plaintext that there must be.
        what: It is, for people.

    Raises:
        PeerError: FS-396 for another length, FS-720 when it does not open.
    """
    if len(payload) != payload_digest.sealed_length(size):
        raise PeerError("FS-396", f"{what} holds another number of words")
    plaintext = bytearray(size)
    seal.open_sealed(key, info, payload, len(payload), memoryview(plaintext))
    return plaintext


def digest_of(payload: bytes) -> str:
    """Return the digest that a header must state for a payload of a job, in hex.

    Raises:
        PeerError: FS-721 for a length that no payload has.
    """
    found = payload_digest.PayloadDigest(len(payload), hashed_whole=True)
    found.update(payload)
    return found.digest().hex()


def _chunks(plaintext: Buffer) -> Iterator[memoryview]:
    view = memoryview(plaintext).cast("B")
    for start in range(0, len(view), CHUNK):
        yield view[start : start + CHUNK]
