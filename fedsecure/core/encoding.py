"""Clip and fixed point: what a data owner's numbers become before they are shared.

    update   u (float32)  -> x = rint(((w / W) * c * S) * u), c = min(1, C / ||u||_2)
    its statistics s      -> the same with C' for C in c, times C / C'
    count    m            -> m
    metric   m            -> w * rint((m - low) / (high - low) * 2**24)

Sums of these integers are what is opened. `(w / W) * c * S` is one float64 number, and
the product is taken and rounded half-even in float64: in float32, |x| could exceed
C * S by more than the margin of 1 that `Params` leaves, and the sum could wrap.
The float64 error of x before rounding is below 2**-9, nearly all of it the norm's.

A finite value out of range counts as the nearer end, and adds one to the scalar
`clamped`. What is not finite is no value: there is no end that it is nearer to, and at
one end of a range lies the best answer. If one of a report's declared numbers is not
finite, all are sent as 0, `undefined` is 1, and `measured`, else its weight, is 0: the
means are those of the others, and nobody learns who could not measure, or what.

Raising an error instead would tell the model owner, who chooses the ranges and the
model, on which side of a bound one data owner's private number lies.
"""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.core.buffers import Memory, carve
from fedsecure.core.layout import CHUNK
from fedsecure.core.modulus import SCALARS, Words
from fedsecure.core.params import METRIC_STEPS, Params, Range, Scalar
from fedsecure.errors import OperatorError, PeerError

Update: TypeAlias = NDArray[np.float32]  # shape (dimension,), model units
MeanUpdate: TypeAlias = NDArray[np.float64]  # shape (dimension,), model units
Metrics: TypeAlias = Mapping[str, float | Sequence[float]]  # by scalar name
MeanScalars: TypeAlias = dict[str, int | float | list[int] | list[float] | None]

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

    __slots__ = (
        "_factor",
        "_modulus",
        "_scratch",
        "_statistics",
        "_statistics_factor",
        "_update",
        "clipped",
        "statistics_clipped",
    )

    def __init__(
        self, params: Params, update: Update, weight: int, scratch: Memory
    ) -> None:
        self._update, self._modulus = update, params.modulus
        self._scratch = scratch.view(np.float64)
        self._statistics = apart = params.statistics
        share, self._statistics_factor, self.statistics_clipped = (
            weight / params.weight_cap,
            0.0,
            False,
        )
        trained: Iterable[Range] = [(0, update.size)]
        if apart is not None:
            trained = apart.others(update.size)
            shrink = self._shrink(apart.ranges, apart.clip)
            self.statistics_clipped = shrink < 1.0
            self._statistics_factor = (
                share * shrink * params.scale / params.statistics_unit
            )
        shrink = self._shrink(trained, params.clip)
        self.clipped = shrink < 1.0
        self._factor = share * shrink * params.scale

    def _shrink(self, ranges: Iterable[Range], clip: float) -> float:
        """Return min(1, clip / the L2 norm of these coordinates)."""
        length = norm_of(self._update, ranges, self._scratch)
        if not math.isfinite(length):
            raise OperatorError("FS-210", "the update holds NaN or infinity")
        return 1.0 if length <= clip else clip / length

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
            self._scale(wide, first)
            np.rint(wide, out=wide)
            np.copyto(target, wide, casting="unsafe")

    def _scale(self, wide: NDArray[np.float64], first: int) -> None:
        """Multiply a piece of the update, from coordinate `first` on, in place."""
        if self._statistics is None:
            np.multiply(wide, self._factor, out=wide)
            return
        done = 0
        for place in self._statistics.within(first, wide.size):
            wide[done : place.start] *= self._factor
            wide[place] *= self._statistics_factor
            done = place.stop
        wide[done:] *= self._factor


def norm(update: Update, scratch: NDArray[np.float64]) -> float:
    """Return the L2 norm, accumulated in float64; not finite if the update is not.

    Its relative error is below 2**-40. `scratch` is overwritten.
    """
    return norm_of(update, [(0, update.size)], scratch)


def norm_of(
    update: Update, ranges: Iterable[Range], scratch: NDArray[np.float64]
) -> float:
    """Return the L2 norm of some coordinates, as `norm`."""
    return math.sqrt(sum(_squares(update[begin:end], scratch) for begin, end in ranges))


def _squares(update: Update, scratch: NDArray[np.float64]) -> float:
    squares = 0.0
    for start in range(0, update.size, scratch.size or 1):
        piece = update[start : start + scratch.size]
        wide = scratch[: piece.size]
        with np.errstate(invalid="ignore"):  # NaN is the caller's to refuse
            np.copyto(wide, piece)
            squares += _sum_of_squares(wide)
    return squares


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
        if params.statistics is not None:
            for place in params.statistics.within(start, piece.size):
                piece[place] *= params.statistics_unit
    return update


def encode_scalars(
    params: Params,
    weight: int,
    clipped: tuple[bool, bool],
    metrics: Metrics,
) -> Words:
    """Return the scalars section of one report. Run by the data owner.

    Args:
        params: Which scalars there are.
        weight: As the data owner counts; outside 1..W it is clamped.
        clipped: Whether the update was longer than C, its statistics than C'.
        metrics: A number, or `size` of them, for every declared scalar.

    Returns:
        Shape (scalar_count,), mod 2**64.

    Raises:
        OperatorError: FS-212 when metrics are missing, undeclared or of wrong size.
    """
    _require_declared(params, metrics)
    bounded = clamp_weight(params, weight)
    clamped = int(bounded != weight)
    given = [
        (scalar, number)
        for scalar in params.scalars
        for number in _numbers(scalar, metrics[scalar.name])
    ]
    # Not `isfinite` of a float: a count may be an integer that no float can hold.
    measured = all(-math.inf < number < math.inf for _, number in given)
    values = [0] * len(given)
    if measured:
        for place, (scalar, number) in enumerate(given):
            value, moved = _encode(params, scalar, number)
            values[place] = value if scalar.is_count else bounded * value
            clamped += moved
    counts = [bounded, *map(int, clipped), clamped, int(not measured)]
    return np.array([*counts, bounded * measured, *values], dtype=SCALARS.dtype)


def clamp_weight(params: Params, weight: int) -> int:
    """Return the weight, or the nearer end of 1..W."""
    return max(1, min(operator.index(weight), params.weight_cap))


@dataclass(frozen=True, slots=True)
class Totals:
    """The opened scalars section: core's own counts, and the declared scalars' sums.

    `undefined` counts the reports whose declared numbers could not be measured, and
    `measured` is the weight of the others.
    """

    weight: int
    clipped: int
    statistics_clipped: int
    clamped: int
    undefined: int
    measured: int
    sums: tuple[int, ...]


def read_totals(params: Params, section: Words, count: int) -> Totals:
    """Take the opened scalars section apart. Run by the model owner.

    Raises:
        PeerError: FS-725 for sums that `count` reports cannot have.
    """
    words = [int(word) for word in section]
    weight, clipped, statistics_clipped, clamped, undefined, measured, *sums = words
    totals = Totals(
        weight,
        clipped,
        statistics_clipped,
        clamped,
        undefined,
        measured,
        tuple(sums),
    )
    _require_weight(params, totals.weight, count)
    if not (
        totals.clipped <= count
        and totals.statistics_clipped <= (count if params.statistics else 0)
        and totals.clamped <= count * params.scalar_count
    ):
        raise PeerError("FS-725", "the clip counts are out of range")
    if not totals.undefined <= count:
        raise PeerError("FS-725", "more could not measure than reported")
    _require_weight(params, totals.measured, count - totals.undefined)
    _require_weight(params, totals.weight - totals.measured, totals.undefined)
    return totals


def _require_weight(params: Params, weight: int, count: int) -> None:
    if not count <= weight <= count * params.weight_cap:
        raise PeerError("FS-725", "the sum of the weights is out of range")


def decode_scalars(params: Params, totals: Totals) -> MeanScalars:
    """Return counts as exact sums and metrics as weighted means, in metric units.

    Both are over the reports that could measure. A metric is None if none could.

    Raises:
        PeerError: FS-725 for a metric outside its declared range.
    """
    opened: MeanScalars = {}
    rest = list(totals.sums)
    for scalar in params.scalars:
        sums, rest = rest[: scalar.size], rest[scalar.size :]
        numbers = sums if scalar.is_count else _means(scalar, sums, totals.measured)
        if numbers is None:
            opened[scalar.name] = None
        else:
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


def _means(scalar: Scalar, sums: Sequence[int], measured: int) -> list[float] | None:
    low, high = scalar.low or 0.0, scalar.high or 0.0
    whole = measured * METRIC_STEPS
    if not max(sums) <= whole:
        raise PeerError("FS-725", f"the mean of {scalar.name} is above {high}")
    if measured == 0:
        return None
    return [total / whole * (high - low) + low for total in sums]
