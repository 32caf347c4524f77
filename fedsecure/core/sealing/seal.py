"""Sealed payloads: bytes that one receiver alone can read, for one purpose alone.

    payload = sealed key (1168 bytes) || records
    sealed key = HPKE (RFC 9180, base mode; ML-KEM-768 with X25519, HKDF-SHA256,
                 AES-256-GCM) of a 32-byte content key, with `info`
    record  = AES-256-GCM of 2**20 plaintext bytes (the last: 1 to 2**20), tag behind
              nonce = index (11 bytes, big-endian) || 0x00, or 0x01 in the last record
              additional data = SHA-256(info)

`info` binds a payload to its protocol version, federation, round, sender, receiver, and
to its report or opening: elsewhere it does not open. The record's index and last mark
keep records from being reordered, dropped or appended; each content key seals one
payload only.

The **digest** of a payload is SHA-256 over the sealed key and the records' tags in
order, or over everything if there is one record only or it is an aggregate share. A tag
stands for its record to everybody but those who know the content key. The digest means
nothing without the payload's length and kind, which a signed header states beside it.

Works on streams: memory is a few buffers of one record, whatever the payload's size.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fedsecure.core.buffers import carve
from fedsecure.core.layout import CHUNK, Buffer
from fedsecure.core.sealing.payload_digest import TAG_BYTES, sealed_length
from fedsecure.core.sealing.payload_reader import (
    FileReader,
    MemoryReader,
    Source,
    reader_of,
)
from fedsecure.core.sealing.seal_info import SealInfo
from fedsecure.core.sealing.sealing_key import SEALED_KEY_BYTES, SealingKey, seal_key
from fedsecure.errors import PeerError

_INDEX_BYTES: Final = 11


class Sealed(NamedTuple):
    """What a header says about a payload."""

    length: int
    digest: bytes


def seal(
    public_key: bytes,
    info: SealInfo,
    content_key: bytes,
    chunks: Iterable[Buffer],
    write: Callable[[memoryview], object],
) -> Sealed:
    """Seal a stream of plaintext to a public key.

    Args:
        public_key: PUBLIC_KEY_BYTES, from a signed statement of the receiver.
        info: From `report_info` or `share_info`.
        content_key: 32 uniform bytes, for this payload alone.
        chunks: Buffers of exactly CHUNK bytes but the last, which is not empty. A
            buffer may be used again once the next but one is asked for.
        write: Takes all of each piece; the piece's memory is used again afterwards.

    Returns:
        Length and digest of all that was written.

    Raises:
        PeerError: FS-722 for a malformed public key.
        ValueError: The chunks are not as they must be.
    """
    sealed_key = seal_key(public_key, info.encoded, content_key)
    digest = hashlib.sha256(sealed_key)
    length = len(sealed_key)
    write(memoryview(sealed_key))
    cipher, additional_data = AESGCM(content_key), info.additional_data
    buffer = memoryview(b"")
    for index, chunk, last in _mark_last(chunks):
        if index == 0:  # no later chunk is longer
            buffer = carve(len(chunk) + TAG_BYTES)[0].data
        record = buffer[: len(chunk) + TAG_BYTES]
        cipher.encrypt_into(_nonce(index, last), chunk, additional_data, record)
        whole = info.hashed_whole or (last and index == 0)
        digest.update(record if whole else record[-TAG_BYTES:])
        length += len(record)
        write(record)
    return Sealed(length, digest.digest())


def open_sealed(
    key: SealingKey,
    info: SealInfo,
    source: Source | Buffer,
    length: int,
    out: memoryview,
) -> None:
    """Open a payload into the caller's memory, checking every tag and the end.

    Args:
        key: The receiver's.
        info: As it was sealed with.
        source: The payload: a binary file, or memory, which is not copied.
        length: Of the payload, as its signed header states it.
        out: Takes the plaintext, as many bytes as this kind of payload has. After an
            error it may hold records that were opened before: throw them away.

    Raises:
        PeerError: FS-720 when a key or record does not open, FS-721 for a wrong length.
    """
    reader = reader_of(source, _longest(len(out)))
    places = (out[start : start + CHUNK] for start in range(0, len(out), CHUNK))
    for _ in _opened(key, info, reader, (length, len(out)), places):
        pass


@dataclass(frozen=True, slots=True)
class Pieces:
    """Opens payloads a record at a time, into the same memory for every one.

    A receiver that adds up many payloads needs no more than this. Not for several
    threads.
    """

    record: memoryview = field(repr=False)
    plaintext: memoryview = field(repr=False)

    @classmethod
    def allocate(cls) -> "Pieces":
        """Make the memory: two records."""
        record, plaintext = carve(_longest(CHUNK), CHUNK)
        return cls(record.data, plaintext.data)

    def of(
        self,
        key: SealingKey,
        info: SealInfo,
        source: Source | Buffer,
        length: int,
        size: int,
    ) -> Iterator[memoryview]:
        """Yield a payload's plaintext, each record once its tag was checked.

        The end is checked after the last: until the iterator is exhausted, nothing
        is certain but that what came was sealed by the sender, in this order.

        Args:
            key: The receiver's.
            info: As it was sealed with.
            source: The payload, as for `open_sealed`.
            length: Of the payload, in bytes, as its signed header states it.
            size: Of the plaintext, in bytes.

        Raises:
            PeerError: As `open_sealed`.
        """
        reader = reader_of(source, self.record)
        sizes = (min(CHUNK, size - start) for start in range(0, size, CHUNK))
        places = (self.plaintext[:piece] for piece in sizes)
        return _opened(key, info, reader, (length, size), places)


def _opened(
    key: SealingKey,
    info: SealInfo,
    reader: FileReader | MemoryReader,
    lengths: tuple[int, int],
    places: Iterable[memoryview],
) -> Iterator[memoryview]:
    """Open record after record into the next of `places`.

    Args:
        key: The receiver's.
        info: As the payload was sealed with.
        reader: Gives the payload's parts.
        lengths: Of the payload, as its header states it, and of the plaintext.
        places: Memory of CHUNK bytes for each record but the last.
    """
    length, size = lengths
    if not (size >= 1 and length == sealed_length(size)):
        raise PeerError(
            "FS-721",
            f"a payload of {length} bytes, this round needs {sealed_length(size)}",
        )
    content_key = key.open_key(bytes(reader.take(SEALED_KEY_BYTES)), info.encoded)
    cipher, additional_data = AESGCM(content_key), info.additional_data
    done = 0
    for index, piece in enumerate(places):
        done += len(piece)
        record = reader.take(len(piece) + TAG_BYTES)
        try:
            cipher.decrypt_into(
                _nonce(index, last=done == size), record, additional_data, piece
            )
        except InvalidTag as error:
            raise PeerError("FS-720", f"record {index} does not open") from error
        yield piece
    if reader.has_more():
        raise PeerError("FS-721", f"the payload goes on after {length} bytes")


def _longest(size: int) -> int:
    """Return the longest part of a payload with so many plaintext bytes."""
    return max(SEALED_KEY_BYTES, min(size, CHUNK) + TAG_BYTES)


def _mark_last(chunks: Iterable[Buffer]) -> Iterator[tuple[int, Buffer, bool]]:
    """Number the chunks and mark the last one, checking their sizes."""
    index, following = 0, iter(chunks)
    chunk = next(following, b"")
    while True:
        after = next(following, None)
        last = after is None
        if not (1 <= len(chunk) <= CHUNK and (last or len(chunk) == CHUNK)):
            msg = f"chunk {index} has {len(chunk)} bytes"
            raise ValueError(msg)
        yield index, chunk, last
        if after is None:
            return
        index, chunk = index + 1, after


def _nonce(index: int, last: bool) -> bytes:
    return index.to_bytes(_INDEX_BYTES) + (b"\1" if last else b"\0")
