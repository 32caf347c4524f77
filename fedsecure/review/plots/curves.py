"""What there is to draw of a run: points, bars and marks, all over the same axis.

    points   metrics are of the model that a round started from: train round r gives
             the point at r - 1 completed rounds, the final evaluation the last one;
             with noise each has a bar of one standard deviation each way
    line     what all openings of the run have cost by then, as epsilon
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
from itertools import accumulate
from typing import Final

from fedsecure.core.dp.accountant import PICO, epsilon
from fedsecure.errors import OperatorError
from fedsecure.review.records import RoundRow, RunRow

AFTER: Final = 0.75  # rounds from the last one to the marks of the final evaluation


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric of the global model: `values[i]` after `at[i]` rounds, NaN: n/a.

    `noise[i]` is the standard deviation of the noise in it; 0: there is none.
    """

    name: str
    at: Sequence[int]
    values: Sequence[float]
    noise: Sequence[float] = ()

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
        moved = self.noise or [0.0] * len(self.values)
        return (
            min(self.values[i] - moved[i] for i in self.defined),
            max(self.values[i] + moved[i] for i in self.defined),
        )


@dataclass(frozen=True, slots=True)
class Bars:
    """What each opened train round did itself, one entry a round."""

    at: Sequence[int]  # the round's number
    clip_rates: Sequence[float]  # part of the set, 0 to 1; NaN: not known
    cohorts: Sequence[int]
    sets: Sequence[int]

    @property
    def clipping(self) -> bool:
        """Whether the clip rate of any round is known: it is not, with noise."""
        return not all(map(math.isnan, self.clip_rates))


@dataclass(frozen=True, slots=True)
class Spending:
    """What a run has cost: epsilon `values[i]` after `at[i]` rounds, of the budget.

    One server corrupt; for who is in every set.
    """

    at: Sequence[float]
    values: Sequence[float]
    budget: float


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
        spending: What openings have cost; None: there is no noise, or what earlier
            ones cost is not known here.
    """

    first: int
    last: int
    metrics: Sequence[Curve]
    bars: Bars
    missing: Mapping[float, int]
    void: Mapping[float, int]
    most: int
    spending: Spending | None = None


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
        spending=_spending(run, rounds, last) if first == 0 else None,
    )


def _metrics(opened: Sequence[RoundRow], last: int) -> list[Curve]:
    measured = [row for row in opened if not row.bare]
    loss = _curve("Loss", measured, last)
    auc = _curve("AUC", measured, last)
    accuracy = _curve("Accuracy", measured, last)
    # Accuracy speaks where no AUC is measured, as with more than two classes.
    shown = [loss, auc if auc.defined else accuracy]
    return [curve for curve in shown if curve.defined]


def _curve(name: str, measured: Sequence[RoundRow], last: int) -> Curve:
    column = name.lower()
    return Curve(
        name,
        [row.round - 1 if _trains(row) else last for row in measured],
        [_number(getattr(row, column)) for row in measured],
        [getattr(row, f"{column}_deviation") or 0.0 for row in measured],
    )


def _spending(run: RunRow, rounds: Sequence[RoundRow], last: int) -> Spending | None:
    if run.epsilon_budget is None or run.delta is None:
        return None
    charged = [row for row in rounds if row.rho]
    total = accumulate(round((row.rho or 0.0) * PICO) for row in charged)
    return Spending(
        [0.0, *(float(_place(row, last)) for row in charged)],
        [0.0, *(epsilon(rho, run.delta) for rho in total)],
        run.epsilon_budget,
    )


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
