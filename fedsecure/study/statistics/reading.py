"""What opened counts say of each column. Run by the model owner.

Every row counts once in each column, so that the number of rows is told by all columns:
it is taken from all of them together, each the less the more cells it adds up.

    n = sum over columns of (sum of its cells) / cells  /  sum of 1 / cells

Median and quartiles are read from 32 bins, evenly within one: without noise they are
off by at most the width of a bin. Mean and standard deviation are exact without noise,
and read from the bins with it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.core.params import Params
from fedsecure.study.statistics.cells import Cells
from fedsecure.study.statistics.denoising import Histogram
from fedsecure.study.statistics.task import SUM_STEPS, StatisticsTask, sums_of

_QUARTILES: Final = (0.25, 0.5, 0.75)
_READ: Final = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 1]])  # last: IQR

Opened: TypeAlias = Mapping[str, int | float | list[int] | list[float] | None]
Numbers: TypeAlias = Mapping[str, Sequence[float]]  # of each scalar, `size` of them


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, and the standard deviation that noise gives it; 0: there is none."""

    value: float
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class NumberStatistics:
    """What is known of a column of numbers. None: noise leaves nothing to read.

    `known` and `missing` are rows, or parts of all where rows are not told.
    """

    column: str
    unit: str
    known: Estimate
    missing: Estimate | None
    low_quartile: Estimate | None
    median: Estimate | None
    high_quartile: Estimate | None
    iqr: Estimate | None
    mean: Estimate | None
    sd: Estimate | None
    histogram: Histogram


@dataclass(frozen=True, slots=True)
class NameStatistics:
    """What is known of a column of names, or of the label's classes."""

    column: str
    known: Estimate
    missing: Estimate | None
    counts: tuple[tuple[str, Estimate], ...]


ColumnStatistics: TypeAlias = NumberStatistics | NameStatistics


@dataclass(frozen=True, slots=True)
class StudyStatistics:
    """All that one round told.

    Args:
        study: Its name.
        data_owners: How many the sums are over.
        rows: Of all; None: not told, counts are parts of 1.
        columns: In the schema's order.
        label: The classes.
        error: The standard deviation of each count's noise; 0: there is none.
    """

    study: str
    data_owners: int
    rows: Estimate | None
    columns: tuple[ColumnStatistics, ...]
    label: NameStatistics
    error: float

    @property
    def exact(self) -> bool:
        """Whether there is no noise in it."""
        return self.error == 0


def count_error(params: Params, data_owners: int) -> float:
    """Return the standard deviation that noise gives each opened count, or part.

    Args:
        params: Of the round.
        data_owners: How many the sums are over.
    """
    steps = params.scalar_noise_steps
    if steps is None:
        return 0.0
    noise = math.sqrt(2) * steps.sigma / params.metric_steps
    means = not all(scalar.is_count for scalar in params.scalars)
    return noise / data_owners if means else noise


def read_statistics(
    task: StatisticsTask, scalars: Opened, error: float, data_owners: int
) -> StudyStatistics:
    """Return what the opened scalars of a round say.

    Args:
        task: What was asked.
        scalars: By declared name, as the core opens them, or the record has them.
        error: Of each count, from `count_error`.
        data_owners: How many the sums are over.
    """
    opened = {
        name: [0.0] if value is None else np.ravel(value).tolist()
        for name, value in scalars.items()
    }
    told = task.form != "fractions"
    whole = _rows(task.cells, opened, error) if told else Estimate(1.0)
    *columns, label = (_column(cells, opened, error, whole) for cells in task.cells)
    if not isinstance(label, NameStatistics):
        msg = "a label has classes"
        raise TypeError(msg)
    return StudyStatistics(
        study=task.study,
        data_owners=data_owners,
        rows=whole if told else None,
        columns=tuple(columns),
        label=label,
        error=error,
    )


def _rows(cells: Sequence[Cells], opened: Numbers, error: float) -> Estimate:
    if error == 0:
        return Estimate(float(sum(opened[cells[-1].scalar])))
    weights = [1 / one.size for one in cells]
    sums = [sum(opened[one.scalar]) for one in cells]
    mean = sum(w * n for w, n in zip(weights, sums, strict=True)) / sum(weights)
    return Estimate(max(mean, 0.0), error / math.sqrt(sum(weights)))


def _column(
    cells: Cells, opened: Numbers, error: float, whole: Estimate
) -> ColumnStatistics:
    counts = np.array(opened[cells.scalar], np.float64)
    missing = Estimate(float(counts[-1]), error) if cells.missing else None
    known = _known(whole, missing)
    if cells.range is None:
        pairs = zip(cells.values, counts.tolist(), strict=False)
        shown = tuple((name, Estimate(count, error)) for name, count in pairs)
        return NameStatistics(cells.column, known, missing, shown)
    bins = counts[: cells.known]
    histogram = Histogram(cells.edges, bins, error, known.value, known.error)
    sums = opened.get(sums_of(cells))
    return _number(cells, known, missing, histogram, sums)


def _known(whole: Estimate, missing: Estimate | None) -> Estimate:
    if missing is None:
        return whole
    left = max(whole.value - max(missing.value, 0.0), 0.0)
    return Estimate(left, math.hypot(whole.error, missing.error))


def _number(
    cells: Cells,
    known: Estimate,
    missing: Estimate | None,
    histogram: Histogram,
    sums: Sequence[float] | None,
) -> NumberStatistics:
    low, median, high, iqr = _quartiles(histogram)
    mean, sd = _moments(histogram) if sums is None else _exact(cells, known, sums)
    return NumberStatistics(
        column=cells.column,
        unit=cells.unit,
        known=known,
        missing=missing,
        low_quartile=low,
        median=median,
        high_quartile=high,
        iqr=iqr,
        mean=mean,
        sd=sd,
        histogram=histogram,
    )


def _quartiles(histogram: Histogram) -> Sequence[Estimate | None]:
    if not histogram.defined:
        return [None] * len(_READ)
    values = _READ @ histogram.quantiles(*_QUARTILES)
    if histogram.error == 0:
        return [Estimate(float(value)) for value in values]
    errors = histogram.quantile_errors(_READ, *_QUARTILES)
    return [Estimate(float(v), float(e)) for v, e in zip(values, errors, strict=True)]


def _moments(histogram: Histogram) -> tuple[Estimate | None, Estimate | None]:
    if not histogram.defined:
        return None, None
    (mean, sd), errors = histogram.moments(), histogram.moment_errors()
    return Estimate(mean, errors[0]), Estimate(sd, errors[1])


def _exact(
    cells: Cells, known: Estimate, sums: Sequence[float]
) -> tuple[Estimate | None, Estimate | None]:
    """Return mean and standard deviation (over n) of sums of places in the range."""
    if not known.value > 0:
        return None, None
    first, second = (total / SUM_STEPS / known.value for total in sums)
    edges: NDArray[np.float64] = cells.edges
    low, width = float(edges[0]), float(edges[-1] - edges[0])
    spread = width * math.sqrt(max(second - first**2, 0.0))
    return Estimate(low + width * first), Estimate(spread)
