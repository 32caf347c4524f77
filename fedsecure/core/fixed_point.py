"""The finest fixed point with which no sum can wrap, in exact rational arithmetic.

f is the largest integer with max_reports * (clip * 2**f + 1) < modulus / 2; why that
suffices stands in `fedsecure.core.params`.

With noise (`fedsecure.core.dp.sensitivity`) f is the largest, but no larger than the
least with C_u S >= 128 sqrt(d), with which, besides,

    sigma <= 2**18                                        the sampler's largest table
    max_reports (C S + 1) + 9 sqrt(2) sigma < modulus / 2

so that a coordinate of the sum with both aggregators' noise wraps where the noise is
beyond 9 of its standard deviations: about once in 2**62 coordinates. Privacy does not
hang on it: wrapping is computed from what was noisy before. A finer scale than that
would gain less than a hundredth of the noise, and cost each aggregator seconds: its
table of the noise is as long as sigma is large.
"""

import math
from fractions import Fraction
from typing import Final

from fedsecure.core.dp.sampler import MOST_SIGMA
from fedsecure.core.dp.sensitivity import Noise
from fedsecure.core.integers import require_integer
from fedsecure.core.modulus import Modulus
from fedsecure.errors import PeerError

_LEAST_STEPS: Final = 2**12  # C * S: below, rounding would be visible in the mean
_MOST_FRACTION_BITS: Final = 60
_DEVIATIONS: Final = 9  # of both aggregators' noise, that fit beside the largest sum


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


def noisy_fraction_bits(
    modulus: Modulus,
    max_reports: int,
    clip: float,
    noise: Noise,
    dimension: int,
    parts: int,
) -> int:
    """Return the largest f with which a sum and its noise fit. Run by every party.

    Raises:
        PeerError: As `fraction_bits`, FS-202 for too large a clip, too; FS-200 for a
            unit_clip that does not fit it, FS-207 where rounding would cost too much.
    """
    most = fraction_bits(modulus, max_reports, clip)
    noise.require_clip(clip)

    def fits(bits: int, size: int) -> bool:
        sigma = noise.steps(bits, size, parts).sigma
        room = modulus.half - max_reports * (Fraction(clip) * Fraction(2) ** bits + 1)
        squares = room**2, 2 * (_DEVIATIONS * sigma) ** 2
        return sigma <= MOST_SIGMA and room > 0 and squares[0] > squares[1]

    while most > -_MOST_FRACTION_BITS and noise.is_too_fine(most, dimension):
        most -= 1
    scales = range(most, -_MOST_FRACTION_BITS - 1, -1)
    # Where rounding alone needs more noise than there is, no scale fits: that is told
    # by the scale that a smaller model would have.
    for size in (dimension, 0):
        bits = next((bits for bits in scales if fits(bits, size)), None)
        if bits is not None:
            noise.require_fine(bits, dimension)
            if size == dimension:
                return bits
    raise PeerError(
        "FS-202",
        f"clip {clip} with noise {noise.multiplier} needs a scale below "
        f"2**-{_MOST_FRACTION_BITS}; use a clip of at most "
        f"{math.ldexp(1 / noise.multiplier, _MOST_FRACTION_BITS + 16):.2g}",
    )


def _floor_log2_below(ratio: Fraction) -> int:
    """Return the largest integer f with 2**f < ratio."""
    guess = ratio.numerator.bit_length() - ratio.denominator.bit_length()
    return guess if Fraction(2) ** guess < ratio else guess - 1
