"""How far one unit moves a sum, and the noise that hides it, in exact arithmetic.

A **unit** is what is protected: a row, or all that one data owner holds. Numbers are in
steps: S = 2**f to one model unit in the tensor, T = 2**t to one unit of a scalar. With

    z, z_s   the multipliers of tensor and scalars, as the round's spec says them
    C_u      the largest L2 norm that one unit adds to an update
    d        coordinates of the tensor
    k, w     declared scalars (a vector is one), and words of the whole section

    D     = ceil(C_u S + sqrt(d))            sigma   = ceil(z D)
    D_s   = ceil(T sqrt(k + 2) + sqrt(w))    sigma_s = ceil(z_s D_s)

sqrt(d) and sqrt(w), because with and without the unit each number is rounded, by at
most half a step. Where coordinates are statistics with a clip of their own, that clip
counts as C in their units, so one unit moves both parts by up to C_u S, and the sum by
sqrt(2) C_u S. Of the scalars one unit moves each declared one by at most T, and of
core's own at most two, by T each (`fedsecure.core.noisy_scalars`). t is the largest
integer up to 10 with sigma_s <= 2**18.

Assumption: the agent clips and rounds as `fedsecure.core.encoding` does; the rounding
of float64 that the norm itself is computed with is not counted.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Final

from fedsecure.core.dp.sampler import MOST_SIGMA
from fedsecure.errors import PeerError

OWN_SCALARS: Final = 2  # of core, that one unit moves
MOST_SCALAR_BITS: Final = 10  # finer ones need larger tables, and gain next to nothing

_FINE: Final = 128  # C_u S by sqrt(d): a finer scale gains less than a hundredth
_MOST_ROUNDING: Final = Fraction(35, 100)  # of a unit's part: what rounding may cost


class Unit(StrEnum):
    """What is protected."""

    ROW = "row"  # one row of one data owner
    DATA_OWNER = "data-owner"  # all rows of one data owner


@dataclass(frozen=True, slots=True)
class NoiseSteps:
    """The noise of one section, in its steps.

    Args:
        sensitivity: D, the largest L2 distance by which one unit moves the sum.
        sigma: Of the discrete Gaussian that each aggregator adds to each number.
    """

    sensitivity: int
    sigma: int


@dataclass(frozen=True, slots=True)
class Noise:
    """What each aggregator is to add to a round's sum, as the round's spec says it.

    Args:
        unit: What is protected.
        unit_clip: C_u, in model units; for the unit data-owner it is the clip.
        multiplier: z: sigma by the sensitivity.
        scalar_multiplier: z_s, the same for the scalars.
        equal_weights: Whether every update weighs the same. Noise needs that: with
            other weights the sum of weights tells about single rows.

    Raises:
        PeerError: FS-200 for a number out of range, FS-208 for other weights.
    """

    unit: Unit
    unit_clip: float
    multiplier: float
    scalar_multiplier: float
    equal_weights: bool

    def __post_init__(self) -> None:
        multipliers = {
            "noise": self.multiplier,
            "noise of scalars": self.scalar_multiplier,
        }
        for name, value in {"unit_clip": self.unit_clip, **multipliers}.items():
            if not 0 < value < math.inf:
                raise PeerError(
                    "FS-200", f"{name} is {value}; use a finite number above 0"
                )
        for name, value in multipliers.items():
            if value > MOST_SIGMA:
                raise PeerError(
                    "FS-200", f"{name} is {value}; use at most {MOST_SIGMA}"
                )
        if not self.equal_weights:
            raise PeerError("FS-208", "weights differ, and the round is to have noise")

    def require_clip(self, clip: float) -> None:
        """Check what one unit adds against what one data owner adds.

        Raises:
            PeerError: FS-200 when it is above, or, where the unit is the data owner,
                another.
        """
        owner = self.unit is Unit.DATA_OWNER
        if self.unit_clip > clip or (owner and self.unit_clip != clip):
            wanted = "the clip" if owner else "at most the clip"
            raise PeerError(
                "FS-200", f"unit_clip is {self.unit_clip}; use {wanted}, {clip}"
            )

    def steps(self, bits: int, dimension: int, parts: int) -> NoiseSteps:
        """Return D and sigma with `bits` of fraction, exactly.

        Args:
            bits: f.
            dimension: d.
            parts: Of the update with a clip each: 2 with statistics, else 1.
        """
        square = parts * self._unit_steps(bits) ** 2
        return _noise_steps(square, dimension, self.multiplier)

    def is_too_fine(self, bits: int, dimension: int) -> bool:
        """Tell whether half the scale would be fine enough already."""
        return self._unit_steps(bits - 1) ** 2 >= _FINE**2 * max(dimension, 1)

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

    def scalar_bits(self, declared: int, words: int) -> int:
        """Return t, the finest steps of scalars for which there is a sampler.

        Args:
            declared: k.
            words: w.

        Raises:
            PeerError: FS-207 when sqrt(w) > 0.35 T sqrt(k + 2).
        """
        for bits in range(MOST_SCALAR_BITS, -1, -1):
            if self.scalar_steps(bits, declared, words).sigma > MOST_SIGMA:
                continue
            if words <= _MOST_ROUNDING**2 * _scalar_square(bits, declared):
                return bits
            break
        raise PeerError(
            "FS-207",
            f"{words} words of scalars with noise {self.scalar_multiplier}: rounding "
            "alone would move their sums by too much",
        )

    def scalar_steps(self, bits: int, declared: int, words: int) -> NoiseSteps:
        """Return D_s and sigma_s with T = 2**bits, exactly."""
        return _noise_steps(
            Fraction(_scalar_square(bits, declared)), words, self.scalar_multiplier
        )

    def _unit_steps(self, bits: int) -> Fraction:
        return Fraction(self.unit_clip) * Fraction(2) ** bits


def _scalar_square(bits: int, declared: int) -> int:
    """Return the square of T sqrt(k + 2)."""
    return (declared + OWN_SCALARS) << (2 * bits)


def _noise_steps(square: Fraction, numbers: int, multiplier: float) -> NoiseSteps:
    """Return D = ceil(sqrt(square) + sqrt(numbers)), and sigma = ceil(z D)."""
    sensitivity = _ceil_sum_of_roots(square, numbers)
    return NoiseSteps(sensitivity, math.ceil(Fraction(multiplier) * sensitivity))


def _ceil_sum_of_roots(a: Fraction, b: int) -> int:
    """Return the least integer m with m >= sqrt(a) + sqrt(b)."""
    least = math.isqrt(math.floor(a)) + math.isqrt(b)  # at most 2 below
    return next(
        m
        for m in (least, least + 1, least + 2)
        if (over := m * m - a - b) >= 0 and over**2 >= 4 * a * b
    )
