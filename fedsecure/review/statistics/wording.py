"""Numbers with what noise may have moved them by, as people write them."""

import math
from collections.abc import Iterator
from typing import Final

from fedsecure.study.statistics.reading import Estimate, StudyStatistics

NOTHING: Final = "n/a"  # what noise leaves nothing of
EXACT_DIGITS: Final = 4
_MOST: Final = 9  # decimals


def shown(estimate: Estimate | None) -> str:
    """Return a measured number; with noise such as "54.0 ± 1.2", to two digits."""
    if estimate is None:
        return NOTHING
    if estimate.error == 0:
        return f"{estimate.value:,.{EXACT_DIGITS}g}"
    places = _decimals(estimate.error)
    return f"{estimate.value:,.{places}f} ± {estimate.error:,.{places}f}"


def count(estimate: Estimate | None, *, parts: bool) -> str:
    """Return a number of rows, or in `parts` a part of all rows; "-": not counted."""
    if estimate is None:
        return "-"
    factor, unit = (100.0, " %") if parts else (1.0, "")
    value, error = estimate.value * factor, estimate.error * factor
    if error == 0:
        return f"{value:,.0f}{unit}"
    places = _decimals(error) if parts else 0
    return f"{value:,.{places}f} ± {error:,.{places}f}{unit}"


def budget(epsilon: float | None, delta: float | None) -> str:
    """Return what a round may tell about one unit."""
    if epsilon is None or delta is None:
        return "exact sums, no noise"
    return f"epsilon {epsilon:g} at delta {delta:g}"


def notes(statistics: StudyStatistics) -> Iterator[str]:
    """Yield what has to be known to read the numbers."""
    if statistics.exact:
        yield (
            "Counts, means and standard deviations are exact. Median and IQR are read "
            "from 32 bins: off by at most the width of a bin."
        )
        return
    yield (
        "± is the standard deviation that noise gives a number: one time in three it "
        "is further off. All but counts is read from 32 bins."
    )
    if statistics.rows is None:
        yield (
            "Parts are means over data owners, each weighing the same. How many rows "
            "there are is not told."
        )


def _decimals(error: float) -> int:
    """Return how many decimals show two digits of an error."""
    return min(max(1 - math.floor(math.log10(error)), 0), _MOST)
