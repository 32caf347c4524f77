"""What there is to draw of a run: points, bars and marks, all over the same axis.

    points   metrics are of the model that a round started from: train round r gives
             the point at r - 1 completed rounds, the final evaluation the last one
    bars     what a round itself did stands at its own number: clip rate, set
    marks    cohorts of which somebody was missing, and void attempts; those of the
             final evaluation just after the last round

Every figure comes from an opened sum, and nobody is named: a picture travels further
than a terminal.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fedsecure.errors import OperatorError
from fedsecure.review.records import RoundRow, RunRow

AFTER: Final = 0.75  # rounds from the last one to the marks of the final evaluation


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric of the global model: `values[i]` after `at[i]` rounds, NaN: n/a."""

    name: str
    at: Sequence[int]
    values: Sequence[float]

    @property
    def defined(self) -> list[int]:
        """Indices of the values that are numbers."""
        return [i for i, value in enumerate(self.values) if not math.isnan(value)]

    @property
    def alone(self) -> list[int]:
        """Indices of the values between two that are not, which no line can show."""
        known = set(self.defined)
        return [i for i in self.defined if not known & {i - 1, i + 1}]

    @property
    def undefined(self) -> int:
        """How many values are not numbers."""
        return len(self.values) - len(self.defined)

    @property
    def span(self) -> tuple[float, float]:
        """Least and largest value."""
        numbers = [self.values[i] for i in self.defined]
        return min(numbers), max(numbers)


@dataclass(frozen=True, slots=True)
class Bars:
    """What each opened train round did itself, one entry a round."""

    at: Sequence[int]  # the round's number
    clip_rates: Sequence[float]  # part of the set, 0 to 1; NaN: not known
    cohorts: Sequence[int]
    sets: Sequence[int]


@dataclass(frozen=True, slots=True)
class Curves:
    """Everything that a picture of a run shows.

    Args:
        first: How many rounds the model had seen where the picture begins: 0, or more
            where only a part of a long run is shown.
        last: The last train round that is decided.
        metrics: Those that were measured at least once.
        bars: The opened train rounds.
        missing: Position -> how many of the cohort are not in the opened sum.
        void: Position -> how many attempts there are void.
        most: The largest cohort that was asked.
    """

    first: int
    last: int
    metrics: Sequence[Curve]
    bars: Bars
    missing: Mapping[float, int]
    void: Mapping[float, int]
    most: int


def curves(run: RunRow, rounds: Sequence[RoundRow]) -> Curves:
    """Gather what there is to draw.

    Args:
        run: The run.
        rounds: Every attempt at its rounds, in order of proposal.

    Raises:
        OperatorError: FS-864 when no round was opened.
    """
    opened = [row for row in rounds if row.state == "opened"]
    void = [row for row in rounds if row.state == "void"]
    if not opened:
        told = f"run {run.run}: {len(rounds)} proposed, {len(void)} void, none opened"
        raise OperatorError("FS-864", told)
    # A round number that was given up left the model as it was: it counts as over.
    last = max((row.round for row in opened + void if _trains(row)), default=0)
    first = min((row.round - 1 for row in opened + void if _trains(row)), default=last)
    return Curves(
        first=first,
        last=last,
        metrics=_metrics(opened, last),
        bars=_bars([row for row in opened if _trains(row)]),
        missing={_place(row, last): _missing(row) for row in opened if _missing(row)},
        void=Counter(_place(row, last) for row in void),
        most=max(row.cohort for row in rounds),
    )


def _metrics(opened: Sequence[RoundRow], last: int) -> list[Curve]:
    at = [row.round - 1 if _trains(row) else last for row in opened]
    loss = Curve("Loss", at, [_number(row.loss) for row in opened])
    auc = Curve("AUC", at, [_number(row.auc) for row in opened])
    accuracy = Curve("Accuracy", at, [_number(row.accuracy) for row in opened])
    # Accuracy speaks where no AUC is measured, as with more than two classes.
    shown = [loss, auc if auc.defined else accuracy]
    return [curve for curve in shown if curve.defined]


def _bars(trained: Sequence[RoundRow]) -> Bars:
    return Bars(
        at=[row.round for row in trained],
        clip_rates=[_number(row.clip_rate) for row in trained],
        cohorts=[row.cohort for row in trained],
        sets=[row.in_set or 0 for row in trained],
    )


def _trains(row: RoundRow) -> bool:
    return row.purpose == "train"


def _place(row: RoundRow, last: int) -> float:
    return row.round if _trains(row) else last + AFTER


def _missing(row: RoundRow) -> int:
    return row.cohort - (row.in_set or 0)


def _number(value: float | None) -> float:
    return math.nan if value is None else value
