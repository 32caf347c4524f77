"""The metrics that a study shares, and how the model owner reads their means.

Every data owner reports, over its held-out rows: `loss`; `accuracy`; and for two
classes the score histograms `scores-positive` and `scores-negative`. A bin holds the
FRACTION of the held-out rows that are of that class and score in that bin, so that
with equal weights no sum of it is a number of examples. Only the (weighted) mean over
a set of data owners is ever opened. The AUC comes from the opened mean histograms: it
is that of the mixture in which every data owner weighs as much as its weight.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from fedsecure.study.schema.columns import Bounds
from fedsecure.study.strict import Strict

LOSS: Final = "loss"
ACCURACY: Final = "accuracy"
SCORES_POSITIVE: Final = "scores-positive"
SCORES_NEGATIVE: Final = "scores-negative"
HISTOGRAMS: Final = frozenset({SCORES_POSITIVE, SCORES_NEGATIVE})

MIN_BINS: Final = 8
MAX_BINS: Final = 256


class Metrics(Strict):
    """The section `[metrics]` of study.toml: ranges, and the bins of histograms.

    A value outside its range counts as the nearer end, and the sum says how often
    that happened; one that is not finite counts for nothing, and is said as well.
    """

    loss: Bounds = Bounds(low=0.0, high=4.0)
    accuracy: Bounds = Bounds(low=0.0, high=1.0)
    score_bins: Annotated[int, Field(ge=MIN_BINS, le=MAX_BINS)] = 64


@dataclass(frozen=True, slots=True)
class ScalarDeclaration:
    """One metric of a round: its name, its range and how many entries it has."""

    name: str
    low: float
    high: float
    size: int = 1


@dataclass(frozen=True, slots=True)
class MeanMetrics:
    """What the model owner reads from one opened round.

    None says that there is no such number: too few data owners could measure it. `auc`
    is None, too, when the study has more than two classes, or when the rows of the
    whole set are of one class.
    """

    loss: float | None
    accuracy: float | None
    auc: float | None


def declare(metrics: Metrics, classes: int) -> tuple[ScalarDeclaration, ...]:
    """Return the metrics that a study with `classes` classes shares, in order."""
    means = (
        ScalarDeclaration(LOSS, metrics.loss.low, metrics.loss.high),
        ScalarDeclaration(ACCURACY, metrics.accuracy.low, metrics.accuracy.high),
    )
    if classes != 2:
        return means
    return means + tuple(
        ScalarDeclaration(name, 0.0, 1.0, metrics.score_bins)
        for name in (SCORES_POSITIVE, SCORES_NEGATIVE)
    )


def score_histogram(
    scores: NDArray[np.float32], chosen: NDArray[np.bool_], bins: int
) -> list[float]:
    """Return how the scores of the chosen rows spread, as fractions of all rows.

    Run by a data owner.

    Args:
        scores: Shape (n,), float32, probabilities of the positive class; n > 0. What is
            outside [0, 1] counts in the nearer bin.
        chosen: Shape (n,), bool, the rows to count.
        bins: Number of equal bins of [0, 1].

    Returns:
        A fraction for each bin; NaN for all when a score is not finite, for then there
        is no such histogram.
    """
    if not np.isfinite(scores).all():
        return [math.nan] * bins
    inside = np.clip(scores[chosen], 0.0, 1.0)
    place = np.minimum(np.floor(inside.astype(np.float64) * bins), bins - 1)
    counts = np.bincount(place.astype(np.intp), minlength=bins)
    return [float(count / len(scores)) for count in counts]


def auc_from_histograms(positive: ArrayLike, negative: ArrayLike) -> float | None:
    """Return the area under the ROC curve; run by the model owner.

    The probability that a positive row scores higher than a negative one, where
    two rows of one bin count one half (the trapezoid rule).

    Args:
        positive: Shape (bins,), mass of positive rows by rising score.
        negative: Shape (bins,), mass of negative rows by rising score.

    Returns:
        The area, or None when either class has no mass.
    """
    up = np.asarray(positive, dtype=np.float64)
    down = np.asarray(negative, dtype=np.float64)
    total = up.sum() * down.sum()
    if not (total > 0 and up.sum() > 0):  # with noise both may be below zero
        return None
    below = np.cumsum(down) - down
    area = float(np.sum(up * (below + down / 2)) / total)
    return min(max(area, 0.0), 1.0)  # only noise leads out of it


def read_means(means: Mapping[str, Sequence[float] | None]) -> MeanMetrics:
    """Return what the opened means of one round say; run by the model owner.

    Args:
        means: By declared name, the mean of each of its entries; None: there is none.
            A name that is not there was not asked for.
    """
    auc = None
    positive, negative = means.get(SCORES_POSITIVE), means.get(SCORES_NEGATIVE)
    if positive is not None and negative is not None:
        auc = auc_from_histograms(positive, negative)
    return MeanMetrics(_single(means.get(LOSS)), _single(means.get(ACCURACY)), auc)


def read_deviations(
    means: Mapping[str, Sequence[float] | None], noise: Mapping[str, float]
) -> MeanMetrics:
    """Return how far noise has moved what `read_means` says: standard deviations.

    Run by the model owner. That of the AUC is of its first derivatives, and too small
    where the noise is as large as what is in the bins.

    Args:
        means: As for `read_means`.
        noise: By declared name, the standard deviation of each entry's mean.
    """
    auc = None
    positive, negative = means.get(SCORES_POSITIVE), means.get(SCORES_NEGATIVE)
    if positive is not None and negative is not None:
        auc = _auc_deviation(positive, negative, noise)
    return MeanMetrics(noise.get(LOSS), noise.get(ACCURACY), auc)


def _auc_deviation(
    positive: Sequence[float], negative: Sequence[float], noise: Mapping[str, float]
) -> float | None:
    up, down = np.asarray(positive), np.asarray(negative)
    area = auc_from_histograms(up, down)
    if area is None:
        return None
    below = (np.cumsum(down) - down / 2) / down.sum()  # of negatives, for each bin
    above = 1 - (np.cumsum(up) - up / 2) / up.sum()  # of positives
    moved_up = noise[SCORES_POSITIVE] / abs(up.sum()) * np.linalg.norm(below - area)
    moved_down = noise[SCORES_NEGATIVE] / abs(down.sum()) * np.linalg.norm(above - area)
    return float(np.hypot(moved_up, moved_down))


def _single(mean: Sequence[float] | None) -> float | None:
    return None if mean is None else float(mean[0])
