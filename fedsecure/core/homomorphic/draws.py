"""Uniform integers from one seed, in the order in which they are asked for.

    key  = HKDF-SHA256(seed, no salt, label || 0x00), 32 bytes
    k-th = chunk k of that key's stream (`fedsecure.core.mask`), as many bytes as the
           limit has bits, and 16 more, read big-endian, modulo the limit

The 16 bytes make every number as likely as any other, to within 2**-128.
"""

import hashlib
from typing import Final

from fedsecure.core.homomorphic import gmp
from fedsecure.core.layout import Buffer
from fedsecure.core.mask import SEED_BYTES, SPILL, KeyStream, derive_key
from fedsecure.errors import PeerError

_SPARE_BYTES: Final = 16


class Draws:
    """What a seed of SEED_BYTES uniform bytes is good for, used for nothing else.

    Raises:
        PeerError: FS-726 for a seed of another length.
    """

    def __init__(self, seed: Buffer, label: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise PeerError("FS-726", f"a seed has {len(seed)} bytes, not {SEED_BYTES}")
        self._stream = KeyStream(derive_key(seed, label + b"\0"))
        self._drawn = 0

    def below(self, limit: int) -> int:
        """Return the next integer from 0 to `limit` - 1."""
        size = _size(limit)
        out = bytearray(size + SPILL)
        self._stream.write_chunk(self._drawn, memoryview(out))
        self._drawn += 1
        return _reduced(out[:size], limit)

    def between(self, least: int, limit: int) -> int:
        """Return the next integer from `least` to `limit` - 1."""
        return least + self.below(limit - least)


def hashed(facts: bytes, limit: int) -> int:
    """Return a public integer below `limit` that facts alone decide, by SHAKE-256.

    Args:
        facts: Any number of bytes, with a label before them.
        limit: At least 1.
    """
    return _reduced(hashlib.shake_256(facts).digest(_size(limit)), limit)


def _size(limit: int) -> int:
    return -(-limit.bit_length() // 8) + _SPARE_BYTES


def _reduced(data: Buffer, limit: int) -> int:
    return gmp.integer(int.from_bytes(data)) % limit
