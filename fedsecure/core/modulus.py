"""The rings that shares are added in, by suite name.

Words are unsigned integers of the modulus' size, little-endian; numpy's wrap-around
addition is addition in the ring. A signed number x is held as x mod 2**bits.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import PeerError

Words: TypeAlias = NDArray[np.unsignedinteger[Any]]  # elements of a ring


@dataclass(frozen=True, slots=True)
class Modulus:
    """The integers mod 2**bits; `bits` is 8 times numpy's item size."""

    bits: int

    @property
    def word_bytes(self) -> int:
        """Bytes of one element."""
        return self.bits // 8

    @property
    def half(self) -> int:
        """Signed numbers x with -half <= x < half have one element each."""
        return 1 << (self.bits - 1)

    @property
    def dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        """Elements as they travel: unsigned, little-endian."""
        return np.dtype(f"<u{self.word_bytes}")

    @property
    def signed_dtype(self) -> np.dtype[np.signedinteger[Any]]:
        """The same bytes, read as the signed number nearest to zero."""
        return np.dtype(f"<i{self.word_bytes}")


SUM32: Final = Modulus(32)
SCALARS: Final = Modulus(64)  # of the scalars section, in every suite

SUITES: Final[dict[str, Modulus]] = {"sum32": SUM32}


def suite(name: str) -> Modulus:
    """Return the modulus of a suite; run by every party on a round's spec.

    Raises:
        PeerError: FS-206 for a suite that this version does not know.
    """
    if name not in SUITES:
        known = ", ".join(sorted(SUITES))
        raise PeerError("FS-206", f"the round asks for {name!r}, known are: {known}")
    return SUITES[name]
