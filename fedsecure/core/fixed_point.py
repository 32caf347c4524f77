"""The finest fixed point with which no sum can wrap, in exact rational arithmetic.

f is the largest integer with max_reports * (clip * 2**f + 1) < modulus / 2; why that
suffices stands in `fedsecure.core.params`.
"""

import math
from fractions import Fraction
from typing import Final

from fedsecure.core.modulus import Modulus
from fedsecure.errors import PeerError

_LEAST_STEPS: Final = 2**12  # C * S: below, rounding would be visible in the mean
_MOST_FRACTION_BITS: Final = 60


def fraction_bits(modulus: Modulus, max_reports: int, clip: float) -> int:
    """Return the largest f with max_reports * (clip * 2**f + 1) < modulus / 2.

    Run by every party.

    Raises:
        PeerError: FS-200 for a number that makes no sense, FS-201 for more data owners
            than one sum can hold, FS-202 for a clip that needs f beyond -60..60.
    """
    require_integer("max_reports", max_reports, at_least=1)
    if not 0 < clip < math.inf:
        raise PeerError("FS-200", f"clip is {clip}; use a finite number above 0")
    room = Fraction(modulus.half, max_reports) - 1  # C * S must stay below
    bits = _floor_log2_below(room / Fraction(clip)) if room > 0 else 0
    if not min(room, Fraction(clip) * Fraction(2) ** bits) >= _LEAST_STEPS:
        most = modulus.half // (2 * _LEAST_STEPS + 1)
        raise PeerError(
            "FS-201",
            f"{max_reports} data owners leave fewer than {_LEAST_STEPS} steps to the "
            f"clip; ask at most {most}",
        )
    if not abs(bits) <= _MOST_FRACTION_BITS:
        low = _floor_log2_below(room) - _MOST_FRACTION_BITS
        high = low + 2 * _MOST_FRACTION_BITS
        raise PeerError(
            "FS-202",
            f"clip {clip} needs a scale of 2**{bits}; use a clip of at least 2**{low} "
            f"({2.0**low:.2g}) and at most 2**{high} ({2.0**high:.2g})",
        )
    return bits


def require_integer(name: str, value: int, at_least: int) -> None:
    """Check a number of the round.

    Raises:
        PeerError: FS-200 for anything but an integer of at least that.
    """
    # Not isinstance: True is no number of data owners.
    if not (type(value) is int and value >= at_least):
        raise PeerError("FS-200", f"{name} is {value}; use an integer >= {at_least}")


def _floor_log2_below(ratio: Fraction) -> int:
    """Return the largest integer f with 2**f < ratio."""
    guess = ratio.numerator.bit_length() - ratio.denominator.bit_length()
    return guess if Fraction(2) ** guess < ratio else guess - 1
