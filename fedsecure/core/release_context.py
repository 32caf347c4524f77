"""What the randomness of one opening is bound to: noise, and whatever else is released.

key   = HKDF-SHA256(seed, no salt, info), 32 bytes (`mask.derive_key`)
info  = label || 0x00 || spec digest || opening digest
"""

from dataclasses import dataclass
from typing import Final

from fedsecure.core.mask import SPEC_DIGEST_BYTES
from fedsecure.errors import PeerError

OPENING_DIGEST_BYTES: Final = 32  # SHA-256 of the signed opening


@dataclass(frozen=True, slots=True)
class ReleaseContext:
    """The public facts that the randomness of one opening is bound to.

    The same seed gives the same for the same set of reports, and something independent
    for any other: asked again after a crash, an aggregator answers the same;
    asked for another set by whoever set it back, it gives nothing to compare.

    Raises:
        PeerError: FS-726 when a part has the wrong length.
    """

    spec_digest: bytes
    opening_digest: bytes

    def __post_init__(self) -> None:
        sizes = len(self.spec_digest), len(self.opening_digest)
        if sizes != (SPEC_DIGEST_BYTES, OPENING_DIGEST_BYTES):
            raise PeerError(
                "FS-726",
                f"spec digest and opening digest have {sizes[0]} and {sizes[1]} bytes, "
                f"not {SPEC_DIGEST_BYTES} and {OPENING_DIGEST_BYTES}",
            )

    def info(self, label: bytes) -> bytes:
        """Return what one section's key is derived for."""
        return b"".join((label, b"\0", self.spec_digest, self.opening_digest))
