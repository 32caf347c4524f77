"""The finest fixed point with which no sum can wrap, in exact rational arithmetic.

f is the largest integer with max_reports * (clip * 2**f + 1) < modulus / 2; why that
suffices stands in `fedsecure.core.params`.

With noise of multiplier z, and C_u the largest L2 norm that one unit (a row, or a data
owner) adds to an update, numbers are in steps of S = 2**f to one model unit, and

    D     = ceil(C_u S + sqrt(d))    the sensitivity: how far one unit moves the sum
    sigma = ceil(z D)                of the noise that each aggregator adds

sqrt(d) because with and without the unit each of d coordinates is rounded, by at most
half a step. f is then the largest with which, besides,

    sigma <= 2**18                                        the sampler's largest table
    max_reports (C S + 1) + 9 sqrt(2) sigma < modulus / 2

so that a coordinate of the sum with both aggregators' noise wraps where the noise is
beyond 9 of its standard deviations: about once in 2**62 coordinates. Privacy does not
hang on it: wrapping is computed from what was noisy before.

Where coordinates are statistics with a clip of their own, that clip counts as C in
their units, so one unit moves both parts by up to C_u S, and the sum by sqrt(2) C_u S.

Assumption: the agent clips and rounds as `fedsecure.core.encoding` does; the rounding
of float64 that the norm itself is computed with is not counted.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from fedsecure.core.modulus import Modulus
from fedsecure.core.noise import MOST_SIGMA
from fedsecure.errors import PeerError

_LEAST_STEPS: Final = 2**12  # C * S: below, rounding would be visible in the mean
_MOST_FRACTION_BITS: Final = 60
_MOST_ROUNDING: Final = Fraction(35, 100)  # sqrt(d) by C_u S: what rounding may cost
_DEVIATIONS: Final = 9  # of both aggregators' noise, that fit beside the largest sum


@dataclass(frozen=True, slots=True)
class Noise:
    """What each aggregator is to add to a round's sum, as the round's spec says it.

    Args:
        unit_clip: C_u, the largest L2 norm that one unit adds to an update, in model
            units; for the unit data-owner it is the clip.
        multiplier: z: sigma by the sensitivity.
        equal_weights: Whether every update weighs the same. Noise needs that: with
            other weights the sum of weights tells about single rows.

    Raises:
        PeerError: FS-200 for a number out of range, FS-208 for other weights.
    """

    unit_clip: float
    multiplier: float
    equal_weights: bool

    def __post_init__(self) -> None:
        for name, value in (("unit_clip", self.unit_clip), ("noise", self.multiplier)):
            if not 0 < value < math.inf:
                raise PeerError(
                    "FS-200", f"{name} is {value}; use a finite number above 0"
                )
        if self.multiplier > MOST_SIGMA:
            raise PeerError(
                "FS-200", f"noise is {self.multiplier}; use at most {MOST_SIGMA}"
            )
        if not self.equal_weights:
            raise PeerError("FS-208", "weights differ, and the round is to have noise")

    def steps(self, bits: int, dimension: int, parts: int) -> "NoiseSteps":
        """Return D and sigma with `bits` of fraction, exactly.

        Args:
            bits: f.
            dimension: d.
            parts: Of the update with a clip each: 2 with statistics, else 1.
        """
        square = parts * self._unit_steps(bits) ** 2
        sensitivity = _ceil_sum_of_roots(square, dimension)
        return NoiseSteps(
            sensitivity, math.ceil(Fraction(self.multiplier) * sensitivity)
        )

    def require_fine(self, bits: int, dimension: int) -> None:
        """Check that rounding costs little beside what a unit may add.

        Raises:
            PeerError: FS-207 when sqrt(d) > 0.35 C_u S.
        """
        allowed = _MOST_ROUNDING * self._unit_steps(bits)
        if dimension > allowed**2:
            raise PeerError(
                "FS-207",
                f"rounding {dimension} parameters may move a sum by "
                f"{math.sqrt(dimension):.4g} steps, more than {float(allowed):.4g}: "
                f"{float(_MOST_ROUNDING)} times the unit_clip of {self.unit_clip}",
            )

    def _unit_steps(self, bits: int) -> Fraction:
        return Fraction(self.unit_clip) * Fraction(2) ** bits


@dataclass(frozen=True, slots=True)
class NoiseSteps:
    """A round's noise in steps of its fixed point.

    Args:
        sensitivity: D, the largest L2 distance by which one unit moves the sum.
        sigma: Of the discrete Gaussian that each aggregator adds to each coordinate.
    """

    sensitivity: int
    sigma: int


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
            unit_clip above it, FS-207 where rounding would cost too much.
    """
    most = fraction_bits(modulus, max_reports, clip)
    if noise.unit_clip > clip:
        raise PeerError(
            "FS-200", f"unit_clip is {noise.unit_clip}; use at most the clip, {clip}"
        )

    def fits(bits: int, size: int) -> bool:
        sigma = noise.steps(bits, size, parts).sigma
        room = modulus.half - max_reports * (Fraction(clip) * Fraction(2) ** bits + 1)
        squares = room**2, 2 * (_DEVIATIONS * sigma) ** 2
        return sigma <= MOST_SIGMA and room > 0 and squares[0] > squares[1]

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


def _ceil_sum_of_roots(a: Fraction, b: int) -> int:
    """Return the least integer m with m >= sqrt(a) + sqrt(b)."""
    least = math.isqrt(math.floor(a)) + math.isqrt(b)  # at most 2 below
    return next(
        m
        for m in (least, least + 1, least + 2)
        if (over := m * m - a - b) >= 0 and over**2 >= 4 * a * b
    )
