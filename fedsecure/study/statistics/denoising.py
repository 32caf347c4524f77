"""A histogram from counts with noise, and what its quantiles may be off by.

Noise puts rows where there are none: over the far bins of a wide range it adds up to
more than the rows. So the histogram is taken to be one run of bins [a, b), with nothing
outside: the run for which

    sum of y**2 over a..b  -  2 s**2 (b - a)

is largest (Akaike's criterion for a Gaussian of standard deviation s: a bin more has to
earn twice its noise). Within it the counts are brought to what is known of them, no
count below 0 and the total as it is told by all columns together, by the nearest such
point (projection on the simplex, [DSSC08]).

What a number read from it may be off by is found by drawing: the histogram is taken for
the truth, noise of the same size is added many times, and the number is read again each
time. The draws are of a fixed seed: they hide nothing, and the same counts give the
same answer.

All of it is computed from what was opened, so it costs no privacy.

[DSSC08] Duchi, Shalev-Shwartz, Singer, Chandra, "Efficient projections onto the
l1-ball", ICML 2008.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

DRAWS: Final = 300
SEED: Final = 1

Counts = NDArray[np.float64]  # shape (bins,), or (draws, bins)


@dataclass(frozen=True)
class Histogram:
    """How the numbers of a column spread.

    Args:
        edges: Shape (bins + 1,), rising.
        counts: Shape (bins,), rows or parts, as they were opened.
        error: The standard deviation of each count's noise; 0: there is none.
        total: What all counts together are.
        total_error: Its standard deviation.
    """

    edges: NDArray[np.float64]
    counts: Counts
    error: float
    total: float
    total_error: float

    @cached_property
    def likely(self) -> Counts:
        """Counts without what is noise for sure: shape (bins,), none below 0."""
        likely: Counts = self._cleaned(self.counts[None], np.array([self.total]))[0]
        return likely

    @cached_property
    def defined(self) -> bool:
        """Whether there is anything to read quantiles from."""
        return self.total > 2 * self.total_error and bool(self.likely.sum() > 0)

    def quantiles(self, *parts: float) -> NDArray[np.float64]:
        """Return where these parts of all numbers are below: float64, shape (parts,).

        Within a bin numbers are taken to lie evenly.
        """
        found: NDArray[np.float64] = self._quantiles(self.likely[None], parts)[0]
        return found

    def moments(self) -> tuple[float, float]:
        """Return mean and standard deviation, numbers being in their bins' middles."""
        mean, spread = self._moments(self.likely[None])
        return float(mean[0]), float(spread[0])

    def quantile_errors(
        self, weights: NDArray[np.float64], *parts: float
    ) -> NDArray[np.float64]:
        """Return what sums of quantiles may be off by: standard deviations.

        Args:
            weights: Shape (sums, parts), float64: what of each quantile is in each sum.
            parts: As for `quantiles`.
        """
        here = weights @ self.quantiles(*parts)
        drawn = self._quantiles(self._drawn, parts) @ weights.T
        errors: NDArray[np.float64] = np.sqrt(np.mean((drawn - here) ** 2, axis=0))
        return errors

    def moment_errors(self) -> tuple[float, float]:
        """Return what `moments` may be off by: standard deviations."""
        means, spreads = self._moments(self._drawn)
        mean, spread = self.moments()
        return (
            float(np.sqrt(np.mean((means - mean) ** 2))),
            float(np.sqrt(np.mean((spreads - spread) ** 2))),
        )

    @cached_property
    def _drawn(self) -> Counts:
        rand = np.random.default_rng(SEED)
        noise = rand.normal(0.0, 1.0, (DRAWS, len(self.counts))) * self.error
        totals = self.total + rand.normal(0.0, 1.0, DRAWS) * self.total_error
        return self._cleaned(self.likely + noise, np.maximum(totals, 0.0))

    def _cleaned(self, counts: Counts, totals: NDArray[np.float64]) -> Counts:
        if self.error == 0:
            return counts
        return _projected(counts, _run(counts, self.error), totals)

    def _quantiles(
        self, counts: Counts, parts: tuple[float, ...]
    ) -> NDArray[np.float64]:
        found = [np.interp(parts, _below(one), self.edges) for one in counts]
        return np.array(found)

    def _moments(
        self, counts: Counts
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        middles = (self.edges[1:] + self.edges[:-1]) / 2
        parts = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-300)
        means = parts @ middles
        squares = np.sum(parts * (middles - means[:, None]) ** 2, axis=1)
        return means, np.sqrt(squares)


def _below(counts: Counts) -> NDArray[np.float64]:
    """Return the part of all that is below each edge: shape (bins + 1,)."""
    rising = np.concatenate([[0.0], np.cumsum(counts)])
    # `interp` needs what rises: where nothing lies, the lower edge is meant.
    steps = np.arange(len(rising)) * 1e-12
    below: NDArray[np.float64] = rising / max(rising[-1], 1e-300) + steps
    return below


def _run(counts: Counts, error: float) -> NDArray[np.bool_]:
    """Tell which bins are in the run that stands out: shape (draws, bins)."""
    bins = counts.shape[1]
    worth = np.cumsum(counts**2 - 2 * error**2, axis=1)
    before = np.concatenate([np.zeros((len(counts), 1)), worth[:, :-1]], axis=1)
    gain = worth[:, None, :] - before[:, :, None]  # of the run from row to column
    gain[:, np.tri(bins, k=-1, dtype=np.bool_)] = -np.inf
    first, last = np.divmod(gain.reshape(len(counts), -1).argmax(axis=1), bins)
    place = np.arange(bins)
    inside: NDArray[np.bool_] = (place >= first[:, None]) & (place <= last[:, None])
    return inside


def _projected(
    counts: Counts, inside: NDArray[np.bool_], totals: NDArray[np.float64]
) -> Counts:
    """Return the nearest counts within the run, none below 0, of these totals."""
    bins = counts.shape[1]
    within = np.where(inside, counts, -np.inf)
    falling = -np.sort(-within, axis=1)
    sums = np.cumsum(np.where(np.isfinite(falling), falling, 0.0), axis=1)
    shift = (sums - totals[:, None]) / np.arange(1, bins + 1)
    used = np.maximum((falling > shift).sum(axis=1), 1)
    level = np.take_along_axis(shift, used[:, None] - 1, axis=1)
    nearest: Counts = np.maximum(within - level, 0.0)
    return nearest
