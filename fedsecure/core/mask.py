"""The mask: one input share is a seed, the other is the update minus its mask.

    key    = HKDF-SHA256(seed, no salt, info), 32 bytes, one for each section
    info   = label || 0x00 || spec digest || report id || length-prefixed reporter
    stream = for chunks i = 0, 1, ... of 2**20 bytes: AES-256 in counter mode from
             block  i (12 bytes, big-endian) || 2 (4 bytes, big-endian)

read as little-endian words. Chunks are independent: any order, any thread.

Counter mode from that block is how AES-GCM encrypts under the nonce i (NIST SP
800-38D, section 7.1: the first block, ending in 1, is kept for the tag). So a chunk of
the stream is the AES-GCM ciphertext of zeros with its tag dropped, and OpenSSL computes
it faster than plain counter mode. No key is ever used for real AES-GCM messages too.
"""

from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedsecure.core import domains
from fedsecure.core.layout import CHUNK, Buffer
from fedsecure.errors import PeerError

SEED_BYTES: Final = 32
SPEC_DIGEST_BYTES: Final = 32  # SHA-256 of the round's spec
REPORT_ID_BYTES: Final = 16
SPILL: Final = 16  # bytes: the unused tag that each chunk writes behind itself

_NONCE_BYTES: Final = 12
_ZEROS: Final = memoryview(bytes(CHUNK))


@dataclass(frozen=True, slots=True)
class ReportContext:
    """The public facts that a report's masks are bound to.

    The aggregator is not among them, nor which share it holds: both sides derive the
    same mask.

    Raises:
        PeerError: FS-726 when a part has the wrong length.
    """

    spec_digest: bytes
    report_id: bytes
    reporter: str

    def __post_init__(self) -> None:
        sizes = len(self.spec_digest), len(self.report_id)
        if sizes != (SPEC_DIGEST_BYTES, REPORT_ID_BYTES):
            raise PeerError(
                "FS-726",
                f"spec digest and report id have {sizes[0]} and {sizes[1]} bytes, not "
                f"{SPEC_DIGEST_BYTES} and {REPORT_ID_BYTES}",
            )

    def info(self, label: bytes) -> bytes:
        """Return what one section's key is derived for."""
        reporter = domains.length_prefixed(self.reporter.encode())
        return b"".join((label, b"\0", self.spec_digest, self.report_id, reporter))


class KeyStream:
    """The key stream of one section of one report."""

    __slots__ = ("_cipher",)

    def __init__(self, key: Buffer) -> None:
        self._cipher = AESGCM(key)

    def write_chunk(self, index: int, out: memoryview) -> None:
        """Write chunk `index` to all of `out` but its last `SPILL` bytes.

        Those take the unused tag. `out` holds at most CHUNK + SPILL bytes.
        """
        nonce = index.to_bytes(_NONCE_BYTES)
        self._cipher.encrypt_into(nonce, _ZEROS[: len(out) - SPILL], None, out)

    def write(self, size: int, out: memoryview) -> None:
        """Write the first `size` bytes of the stream, chunk by chunk.

        `out` holds at least SPILL bytes more, which are overwritten: each chunk's
        unused tag lies where the next chunk begins, so nothing is copied.
        """
        for index, start in enumerate(range(0, size, CHUNK)):
            end = min(start + CHUNK, size)
            self.write_chunk(index, out[start : end + SPILL])


@dataclass(frozen=True, slots=True)
class Mask:
    """Both sections' key streams, expanded from one seed."""

    tensor: KeyStream = field(repr=False)
    scalars: KeyStream = field(repr=False)

    @classmethod
    def expand(cls, seed: Buffer, context: ReportContext) -> "Mask":
        """Derive both keys. Run by the data owner, and by the seed's aggregator.

        Args:
            seed: SEED_BYTES bytes.
            context: What the masks are bound to.
        """
        return cls(
            KeyStream(derive_key(seed, context.info(domains.MASK_TENSOR))),
            KeyStream(derive_key(seed, context.info(domains.MASK_SCALARS))),
        )


def derive_key(seed: Buffer, info: bytes) -> bytes:
    """Return a key of 32 bytes, by HKDF-SHA256 without salt."""
    return HKDF(SHA256(), length=32, salt=None, info=info).derive(seed)
