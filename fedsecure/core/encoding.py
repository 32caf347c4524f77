"""Clip and fixed point: what a data owner's numbers become before they are shared.

    update   u (float32)  -> x = rint(((w / W) * c * S) * u), c = min(1, C / ||u||_2)
    count    m            -> m
    metric   m            -> w * rint((m - low) / (high - low) * 2**24)

Sums of these integers are what is opened. `(w / W) * c * S` is one float64 number, and
the product is taken and rounded half-even in float64: in float32, |x| could exceed
C * S by more than the margin of 1 that `Params` leaves, and the sum could wrap.
The float64 error of x before rounding is below 2**-9, nearly all of it the norm's.

A value out of range counts as the nearer end, NaN as the lower one, and adds one to
the scalar `clamped`. Raising an error instead would tell the model owner, who chooses
the ranges, on which side of a bound one data owner's private number lies.
"""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.core.buffers import Memory, carve
from fedsecure.core.layout import CHUNK
from fedsecure.core.modulus import SCALARS, Words
from fedsecure.core.params import METRIC_STEPS, Params, Scalar
from fedsecure.errors import OperatorError, PeerError

Update: TypeAlias = NDArray[np.float32]  # shape (dimension,), model units
MeanUpdate: TypeAlias = NDArray[np.float64]  # shape (dimension,), model units
Metrics: TypeAlias = Mapping[str, float | Sequence[float]]  # by scalar name
MeanScalars: TypeAlias = dict[str, int | float | list[int] | list[float]]

_STEP: Final = 2**18  # numbers widened to float64 at a time; fewer were slower
_ROW: Final = 2**13  # in one dot product: exact to 2**-40, too short for BLAS threads


class TensorEncoder:
    """Clips one update and writes its integers, any range at a time.

    Holds a data owner's update and its norm: nothing of it is printed.

    Args:
        params: The round's numbers.
        update: Shape (dimension,), float32, model units; read again by `write`.
        weight: 1 to W.
        scratch: `scratch_bytes` of memory, used until the last `write`.

    Raises:
        OperatorError: FS-210 for an update that is not finite.
    """

    __slots__ = ("_factor", "_modulus", "_scratch", "_update", "clipped")

    def __init__(
        self, params: Params, update: Update, weight: int, scratch: Memory
    ) -> None:
        self._update, self._modulus = update, params.modulus
        self._scratch = scratch.view(np.float64)
        length = norm(update, self._scratch)
        if not math.isfinite(length):
            raise OperatorError("FS-210", "the update holds NaN or infinity")
        self.clipped = not length <= params.clip
        shrink = params.clip / length if self.clipped else 1.0
        self._factor = weight / params.weight_cap * shrink * params.scale

    @staticmethod
    def scratch_bytes(params: Params) -> int:
        """Return how much working memory an encoder needs."""
        return 8 * min(_STEP, params.dimension)

    def write(self, start: int, out: Words) -> None:
        """Write the integers of `out.size` coordinates from `start` to `out`."""
        signed = out.view(self._modulus.signed_dtype)
        for done in range(0, out.size, _STEP):
            target = signed[done : done + _STEP]
            first = start + done
            wide = self._scratch[: target.size]
            # Widened first: numpy takes a product of two types in small buffers.
            np.copyto(wide, self._update[first : first + target.size])
            np.multiply(wide, self._factor, out=wide)
            np.rint(wide, out=wide)
            np.copyto(target, wide, casting="unsafe")


def norm(update: Update, scratch: NDArray[np.float64]) -> float:
    """Return the L2 norm, accumulated in float64; not finite if the update is not.

    Its relative error is below 2**-40. `scratch` is overwritten.
    """
    squares = 0.0
    for start in range(0, update.size, scratch.size or 1):
        piece = update[start : start + scratch.size]
        wide = scratch[: piece.size]
        with np.errstate(invalid="ignore"):  # NaN is the caller's to refuse
            np.copyto(wide, piece)
            squares += _sum_of_squares(wide)
    return math.sqrt(squares)


def _sum_of_squares(numbers: NDArray[np.float64]) -> float:
    whole = numbers.size // _ROW * _ROW
    rows, rest = numbers[:whole].reshape(-1, _ROW), numbers[whole:]
    return float(np.vecdot(rows, rows).sum() + np.dot(rest, rest))


def decode_tensor(
    params: Params, a: Words, b: Words, total_weight: int, count: int
) -> MeanUpdate:
    """Add two aggregate shares and divide once. Run by the model owner.

    Returns:
        The mean update, shape (dimension,), model units.

    Raises:
        PeerError: FS-725 for a sum that `count` clipped updates cannot have.
    """
    share = Fraction(total_weight, params.weight_cap)
    most = math.floor(Fraction(params.clip) * Fraction(params.scale) * share) + count
    divisor = float(Fraction(params.scale) * share)
    step = CHUNK // params.modulus.word_bytes
    (memory,) = carve(min(CHUNK, params.layout.tensor_bytes))
    scratch = memory.view(params.modulus.dtype)
    update = np.empty(params.dimension, np.float64)
    for start in range(0, params.dimension, step):
        piece = update[start : start + step]
        total = scratch[: piece.size]
        np.add(a[start : start + step], b[start : start + step], out=total)
        signed = total.view(params.modulus.signed_dtype)
        if not (-most <= int(signed.min()) and int(signed.max()) <= most):
            raise PeerError("FS-725", "the sum of the updates exceeds all clips")
        np.copyto(piece, signed)
        np.divide(piece, divisor, out=piece)
    return update


def encode_scalars(
    params: Params, weight: int, clipped: bool, metrics: Metrics
) -> Words:
    """Return the scalars section of one report. Run by the data owner.

    Args:
        params: Which scalars there are.
        weight: As the data owner counts; outside 1..W it is clamped.
        clipped: Whether the update was longer than C.
        metrics: A number, or `size` of them, for every declared scalar.

    Returns:
        Shape (scalar_count,), mod 2**64.

    Raises:
        OperatorError: FS-212 when metrics are missing, undeclared or of wrong size.
    """
    _require_declared(params, metrics)
    bounded = clamp_weight(params, weight)
    clamped = int(bounded != weight)
    values = []
    for scalar in params.scalars:
        for number in _numbers(scalar, metrics[scalar.name]):
            value, moved = _encode(params, scalar, number)
            values.append(value if scalar.is_count else bounded * value)
            clamped += moved
    return np.array([bounded, int(clipped), clamped, *values], dtype=SCALARS.dtype)


def clamp_weight(params: Params, weight: int) -> int:
    """Return the weight, or the nearer end of 1..W."""
    return max(1, min(operator.index(weight), params.weight_cap))


@dataclass(frozen=True, slots=True)
class Totals:
    """The opened scalars section: three counts, and the declared scalars' sums."""

    weight: int
    clipped: int
    clamped: int
    sums: tuple[int, ...]


def read_totals(params: Params, section: Words, count: int) -> Totals:
    """Take the opened scalars section apart. Run by the model owner.

    Raises:
        PeerError: FS-725 for sums that `count` reports cannot have.
    """
    weight, clipped, clamped, *sums = (int(word) for word in section)
    if not count <= weight <= count * params.weight_cap:
        raise PeerError("FS-725", "the sum of the weights is out of range")
    if not (clipped <= count and clamped <= count * params.scalar_count):
        raise PeerError("FS-725", "the clip counts are out of range")
    return Totals(weight, clipped, clamped, tuple(sums))


def decode_scalars(params: Params, totals: Totals) -> MeanScalars:
    """Return counts as exact sums and metrics as weighted means, in metric units.

    Raises:
        PeerError: FS-725 for a metric outside its declared range.
    """
    opened: MeanScalars = {}
    rest = list(totals.sums)
    for scalar in params.scalars:
        sums, rest = rest[: scalar.size], rest[scalar.size :]
        numbers = sums if scalar.is_count else _means(scalar, sums, totals.weight)
        opened[scalar.name] = numbers if scalar.size > 1 else numbers[0]
    return opened


def _require_declared(params: Params, metrics: Metrics) -> None:
    declared = {scalar.name for scalar in params.scalars}
    missing, foreign = declared - set(metrics), set(metrics) - declared
    if missing or foreign:
        raise OperatorError(
            "FS-212",
            f"missing: {', '.join(sorted(missing)) or 'none'}; "
            f"undeclared: {', '.join(sorted(foreign)) or 'none'}",
        )


def _numbers(scalar: Scalar, value: float | Sequence[float]) -> Sequence[float]:
    numbers: list[float] = np.ravel(value).tolist()  # of Python's own types
    if len(numbers) != scalar.size:
        raise OperatorError(
            "FS-212",
            f"{scalar.name} has {len(numbers)} numbers, the round asks {scalar.size}",
        )
    return numbers


def _encode(params: Params, scalar: Scalar, number: float) -> tuple[int, bool]:
    """Return the integer of one number, and whether the number had to be moved."""
    if scalar.low is None or scalar.high is None:
        return _encode_count((2**SCALARS.bits - 1) // params.max_reports, number)
    value = float(number)
    if not value >= scalar.low:
        return 0, True
    if not value <= scalar.high:
        return METRIC_STEPS, True
    position = (value - scalar.low) / (scalar.high - scalar.low)
    return round(position * METRIC_STEPS), False


def _encode_count(most: int, number: float) -> tuple[int, bool]:
    """Return the nearest integer in 0..most; `most` keeps the sum from wrapping."""
    if not number >= 0:
        return 0, True
    if not number <= most:
        return most, True
    return round(number), round(number) != number


def _means(scalar: Scalar, sums: Sequence[int], total_weight: int) -> list[float]:
    low, high = scalar.low or 0.0, scalar.high or 0.0
    whole = total_weight * METRIC_STEPS
    if not max(sums) <= whole:
        raise PeerError("FS-725", f"the mean of {scalar.name} is above {high}")
    return [total / whole * (high - low) + low for total in sums]
