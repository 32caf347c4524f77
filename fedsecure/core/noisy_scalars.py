"""The scalars section of a round with noise: what one unit moves in it, and its sums.

All numbers are in T steps (`Params.metric_steps`). One report holds

                     unit data-owner                    unit row
    weight           0                                  T * rows trained on
    clipped          T if the update was clipped        the same
    measured         T if it is defined                 T * rows that were measured
    metric           T * p                              T * p * rows that were measured
    count            (not declared)                     T * m

with p = (m - low) / (high - low), within 0..1; a vector of metrics of a data owner is
scaled to L2 norm 1 if it is longer. The other words of `COUNTS` are 0: what they tell
is told by no round with noise.

Guarantee: one unit moves the section by at most T sqrt(k + 2), rounding apart. A data
owner moves `clipped`, `measured` and k declared scalars by T each. A row was either
trained on, and moves `weight` and `clipped`; or held out, and moves `measured` and k.
Assumption, for rows: the agent's metrics are means over the measured rows of numbers
that were brought into their range row by row; and of the cells of a count one row moves
one cell, by one.

An update that is not finite is sent as 0, with a weight of 0; and so are metrics of
which one is not finite, with `measured` 0. An error instead would tell: a data owner
that is silent is seen in spite of all noise. Each leaves the other as it is, because
a row that is held out must not move what the update says.
"""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedsecure.core.dp.sensitivity import NoiseSteps, Unit
from fedsecure.core.encoding import MeanUpdate, Update
from fedsecure.core.modulus import SCALARS, Words
from fedsecure.core.params import COUNTS, Params, Scalar
from fedsecure.core.scalars import MeanScalars, Metrics, declared_numbers
from fedsecure.core.shares import Deviations, Mean, Measurement
from fedsecure.errors import PeerError

_MOST: Final = 2**62  # of any sum, so that noise cannot wrap it
_FAR: Final = 20  # standard deviations of a length: beyond, it is no noise
_WEIGHT, _CLIPPED, _MEASURED = (
    COUNTS.index(name) for name in ("weight", "clipped", "measured")
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a data owner measured, of which everything is finite.

    Args:
        update: Shape (dimension,), float32, model units.
        weight: Rows trained on; a data owner's counts for nothing.
        measured: Rows that the metrics are means of.
        metrics: For each declared scalar a number, or `size` of them.
        defined: Whether the metrics were finite; else they are 0.
    """

    update: Update = field(repr=False)
    weight: int = field(repr=False)
    measured: int = field(repr=False)
    metrics: Metrics = field(repr=False)
    defined: bool = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoisyTotals:
    """The opened scalars section, noise and all.

    Args:
        divisor: Of the update's sum: rows, or count * W.
        clipped: Reports whose update was clipped.
        measured: What the sums of metrics are divided by: rows, or reports.
        sums: Of each declared number, in units of T.
    """

    divisor: int
    clipped: float
    measured: float
    sums: tuple[float, ...]


def measured(update: Update, measurement: Measurement) -> Measured:
    """Return what is sent of a measurement, zeros where it is not finite.

    Run by a data owner.

    Args:
        update: The measurement's; shape (dimension,), float32, model units.
        measurement: The rest of it.
    """
    weight, rows = measurement.weight, measurement.measured
    if not np.isfinite(update).all():
        update, weight = np.zeros_like(update), 0
    metrics = measurement.metrics
    numbers = (np.ravel(value) for value in metrics.values())
    defined = all(math.isfinite(one) for values in numbers for one in values.tolist())
    if not defined:
        rows = 0
        metrics = {name: [0.0] * np.size(value) for name, value in metrics.items()}
    return Measured(update, weight, rows, metrics, defined)


def encode(params: Params, found: Measured, *, clipped: bool) -> Words:
    """Return the scalars section of one report. Run by the data owner.

    Args:
        params: The round's numbers, with noise.
        found: What was measured.
        clipped: Whether the update was longer than C.

    Returns:
        Shape (scalar_count,), uint64, mod 2**64.

    Raises:
        OperatorError: FS-212 when metrics are missing, undeclared or of wrong size.
    """
    numbers = declared_numbers(params, found.metrics)
    steps, rows = params.metric_steps, _is_of_rows(params)
    most = _MOST // (params.max_reports * steps)
    section = np.zeros(params.scalar_count, SCALARS.dtype)
    section[_CLIPPED] = steps * clipped
    unit = _bounded(found.measured, most) if rows else int(found.defined)
    section[_MEASURED] = steps * unit
    if rows:
        section[_WEIGHT] = steps * _bounded(found.weight, most)
    place = len(COUNTS)
    for scalar, values in numbers:
        part = _amounts(scalar, values, unit, scaled=not rows)
        section[place : place + scalar.size] = np.rint(
            np.minimum(part, most) * steps
        ).astype(SCALARS.dtype)
        place += scalar.size
    return section


def decode(params: Params, section: Words, count: int) -> NoisyTotals:
    """Take the opened section apart. Run by the model owner.

    Args:
        params: The round's numbers, with noise.
        section: Shape (scalar_count,), uint64: both aggregators' sums, added.
        count: The number of reports.

    Raises:
        PeerError: FS-725 for sums that so many reports, and noise, cannot have.
    """
    signed = section.view(SCALARS.signed_dtype).astype(np.float64)
    _require_length(params, signed, count)
    words = signed / params.metric_steps
    weight, rows = words[_WEIGHT], _is_of_rows(params)
    return NoisyTotals(
        divisor=max(1, round(weight)) if rows else count * params.weight_cap,
        clipped=float(words[_CLIPPED]),
        measured=float(words[_MEASURED]),
        sums=tuple(words[len(COUNTS) :].tolist()),
    )


def mean(params: Params, update: MeanUpdate, totals: NoisyTotals, count: int) -> Mean:
    """Return what the model owner learns of the round.

    Args:
        params: The round's numbers, with noise.
        update: The mean update, shape (dimension,), float64, model units.
        totals: The opened scalars.
        count: The number of reports.
    """
    return Mean(
        update=update,
        scalars=_means(params, totals),
        count=count,
        total_weight=totals.divisor,
        clipped=min(max(round(totals.clipped), 0), count),
        statistics_clipped=0,
        clamped=0,
        undefined=0,
        deviations=_deviations(params, totals),
    )


def _is_of_rows(params: Params) -> bool:
    return params.noise is not None and params.noise.unit is Unit.ROW


def _bounded(number: int, most: int) -> int:
    return max(0, min(operator.index(number), most))


def _amounts(
    scalar: Scalar, values: Sequence[float], unit: int, *, scaled: bool
) -> NDArray[np.float64]:
    """Return what a report holds of one scalar, in units of T; shape (size,)."""
    if scalar.low is None or scalar.high is None:
        return np.maximum(np.asarray(values, np.float64), 0.0)
    low, width = scalar.low, scalar.high - scalar.low
    parts = np.clip((np.asarray(values, np.float64) - low) / width, 0.0, 1.0)
    if scaled:
        parts /= max(1.0, float(np.linalg.norm(parts)))
    return np.asarray(parts * unit, np.float64)


def _means(params: Params, totals: NoisyTotals) -> MeanScalars:
    opened: MeanScalars = {}
    place = 0
    for scalar in params.scalars:
        sums = totals.sums[place : place + scalar.size]
        place += scalar.size
        opened[scalar.name] = _mean(scalar, sums, totals.measured)
    return opened


def _mean(
    scalar: Scalar, sums: Sequence[float], over: float
) -> int | float | list[int] | list[float] | None:
    if scalar.low is None or scalar.high is None:
        counts = [round(one) for one in sums]
        return counts if scalar.size > 1 else counts[0]
    if not over >= 1.0:
        return None
    low, width = scalar.low, scalar.high - scalar.low
    if scalar.size > 1:  # not brought into the range: sums of entries are used
        return [low + one / over * width for one in sums]
    return low + min(max(sums[0] / over, 0.0), 1.0) * width


def _deviations(params: Params, totals: NoisyTotals) -> Deviations:
    tensor, scalars = _steps(params)
    word = math.sqrt(2) * scalars.sigma / params.metric_steps
    update = math.sqrt(2) * tensor.sigma / params.scale
    share = totals.divisor / params.weight_cap
    return Deviations(
        update=update / share,
        weight=word if _is_of_rows(params) else 0.0,
        scalars={
            scalar.name: word * _units(scalar, totals.measured)
            for scalar in params.scalars
        },
    )


def _units(scalar: Scalar, over: float) -> float:
    """Return what one unit of T is worth in what is opened of a scalar."""
    if scalar.low is None or scalar.high is None:
        return 1.0
    return (scalar.high - scalar.low) / max(1.0, over)


def _steps(params: Params) -> tuple[NoiseSteps, NoiseSteps]:
    tensor, scalars = params.noise_steps, params.scalar_noise_steps
    if tensor is None or scalars is None:
        msg = "the round has no noise"
        raise ValueError(msg)
    return tensor, scalars


def _require_length(params: Params, words: NDArray[np.float64], count: int) -> None:
    """Check the section; rows have no bound but that of all sums."""
    _, noise = _steps(params)
    if _is_of_rows(params):
        if not np.abs(words).max() <= _MOST:
            raise PeerError("FS-725", "a sum of scalars is out of range")
        return
    root = math.sqrt(words.size)
    most = count * noise.sensitivity + math.sqrt(2) * noise.sigma * (root + _FAR)
    if not float(np.linalg.norm(words)) <= most:
        raise PeerError("FS-725", "the sums of scalars exceed their ranges and noise")
