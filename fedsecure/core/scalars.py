"""The scalars section: counts and metrics in fixed point, and their sums.

    count    m            -> m
    metric   m            -> w * rint((m - low) / (high - low) * 2**24)

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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fedsecure.core.modulus import SCALARS, Words
from fedsecure.core.params import METRIC_STEPS, Params, Scalar
from fedsecure.errors import OperatorError, PeerError

Metrics: TypeAlias = Mapping[str, float | Sequence[float]]  # by scalar name
MeanScalars: TypeAlias = dict[str, int | float | list[int] | list[float] | None]


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
        Shape (scalar_count,), uint64, mod 2**64.

    Raises:
        OperatorError: FS-212 when metrics are missing, undeclared or of wrong size.
    """
    bounded = clamp_weight(params, weight)
    clamped = int(bounded != weight)
    given = [
        (scalar, number)
        for scalar, numbers in declared_numbers(params, metrics)
        for number in numbers
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


def declared_numbers(
    params: Params, metrics: Metrics
) -> list[tuple[Scalar, Sequence[float]]]:
    """Return each declared scalar with its `size` numbers, in their order.

    Raises:
        OperatorError: FS-212 when metrics are missing, undeclared or of wrong size.
    """
    _require_declared(params, metrics)
    return [
        (scalar, _numbers(scalar, metrics[scalar.name])) for scalar in params.scalars
    ]


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

    Args:
        params: Which scalars there are.
        section: Shape (scalar_count,), uint64: both aggregators' sums, added.
        count: The number of reports.

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
