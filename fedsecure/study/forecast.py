"""What noise will leave of a study, before anybody is asked: expected deviations.

Run by the model owner, on the numbers of the study alone: how many data owners there
are, and, where rows are protected, how many rows they have together. All standard
deviations are of both aggregators' noise, as in an honest federation.

Guarantee: none. The noise of each number is exact for so many data owners and rows;
that of the AUC supposes classes of equal size and scores that spread evenly.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from fedsecure.core.dp.accountant import Epsilons, epsilons
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.core.params import Params
from fedsecure.protocol.parameters import planned_params
from fedsecure.protocol.statements import PrivacyField, Purpose, ScalarField
from fedsecure.study.metrics import HISTOGRAMS
from fedsecure.study.terms import Terms

AUC: Final = "auc"
LITTLE: Final = 0.1  # of a metric's range: noise beyond it leaves little to read


@dataclass(frozen=True, slots=True)
class Members:
    """Who will take part.

    Args:
        data_owners: How many.
        rows: What all of them have together; 0: not said.
        holdout: The part of it that is not trained on.
    """

    data_owners: int
    rows: int = 0
    holdout: float = 0.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """What noise does to a study.

    Args:
        privacy: The noise.
        rounds: Of training; and one evaluation.
        spent: What all of them cost together.
        sigma: Of one aggregator's noise on a coordinate of the sum, in model units.
        coordinate: Standard deviation of a coordinate of a mean update, in model units.
        length: The L2 norm that the noise in a mean update has, in model units.
        longest: The largest norm that the mean itself can have, in model units.
        metrics: Of each metric of the evaluation, the standard deviation.
        ranges: How wide each metric's range is.
    """

    privacy: PrivacyField
    rounds: int
    spent: Epsilons
    sigma: float
    coordinate: float
    length: float
    longest: float
    metrics: Mapping[str, float]
    ranges: Mapping[str, float]

    def warnings(self) -> Iterator[str]:
        """Yield what will disappoint, and what helps."""
        more = "more rows" if self.privacy.unit is Unit.ROW else "more data owners"
        ratio = self.length / self.longest
        if ratio > 1:
            yield (
                f"in each round the noise is {ratio:.1f} times as long as the mean "
                f"update can be, over all rounds {ratio / math.sqrt(self.rounds):.1f} "
                f"times; what helps: a larger epsilon, {more}, fewer parameters, fewer "
                "rounds (a quarter of them halves it)"
            )
        poor = [
            name
            for name, deviation in self.metrics.items()
            if deviation > LITTLE * self.ranges[name]
        ]
        if poor:
            bins = "fewer `score_bins`, " if AUC in poor else ""
            yield (
                f"little can be read from {', '.join(poor)}; what helps: a larger "
                f"`share`, {bins}a narrower range in [metrics], {more}, a larger "
                "epsilon"
            )


def forecast(
    terms: Terms, dimension: int, rounds: int, members: Members
) -> Forecast | None:
    """Return what noise will leave; None: the study has none.

    Args:
        terms: Of the study.
        dimension: Parameters of its model.
        rounds: Of training.
        members: Who will take part.

    Raises:
        OperatorError: FS-2xx when the numbers do not fit.
    """
    privacy = terms.privacy
    if privacy is None:
        return None
    asked = members.data_owners
    train = planned_params(terms, Purpose.TRAIN, dimension, asked)
    last = planned_params(terms, Purpose.EVALUATE, 0, asked)
    if train.noise_steps is None:
        return None
    sigma = train.noise_steps.sigma / train.scale
    by_row = privacy.unit is Unit.ROW
    trained = members.rows * (1 - members.holdout) if by_row else members.data_owners
    coordinate = math.sqrt(2) * sigma / max(1.0, trained)
    cost = rounds * (train.cost or 0) + (last.cost or 0)
    return Forecast(
        privacy=privacy,
        rounds=rounds,
        spent=epsilons(cost, privacy.delta),
        sigma=sigma,
        coordinate=coordinate,
        length=coordinate * math.sqrt(dimension),
        longest=privacy.unit_clip,
        metrics=dict(_metrics(terms, last, members)),
        ranges={**{one.name: _width(one) for one in terms.scalars}, AUC: 1.0},
    )


def _metrics(
    terms: Terms, params: Params, members: Members
) -> Iterator[tuple[str, float]]:
    steps, privacy = params.scalar_noise_steps, terms.privacy
    if steps is None or privacy is None:
        return
    by_row = privacy.unit is Unit.ROW
    over = members.rows * members.holdout if by_row else members.data_owners
    word = math.sqrt(2) * steps.sigma / params.metric_steps / max(1.0, over)
    for scalar in terms.scalars:
        if scalar.name not in HISTOGRAMS:
            yield scalar.name, word * _width(scalar)
    bins = [scalar.size for scalar in terms.scalars if scalar.name in HISTOGRAMS]
    if bins:
        # Each class half of the rows; ranks spread evenly over 0..1 about their middle.
        yield AUC, word / 0.5 * math.sqrt(sum(bins) / 12)


def _width(scalar: ScalarField) -> float:
    return (scalar.high or 0.0) - (scalar.low or 0.0)
