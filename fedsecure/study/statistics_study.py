"""A study's round of statistics: what data owners are asked to agree to.

It is a study of its own, with a digest of its own: who approved a training has not
approved counts of its rows. With noise it has a budget of its own, too, which one round
uses up: asked again, it is refused.
"""

from dataclasses import dataclass
from typing import Final

from fedsecure.core.dp.accountant import largest_rho, multiplier
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.statements import PrivacyField, Weighting
from fedsecure.study.config import AnyStudy, Study
from fedsecure.study.statistics.task import (
    StatisticsTask,
    form_for,
    statistics_task,
)
from fedsecure.study.task import STUDY
from fedsecure.study.terms import SUITE, StudyRequest, Terms

CLIP: Final = 1.0  # of an update; there is none, but every spec has one


@dataclass(frozen=True, slots=True)
class Budget:
    """What one round of statistics may tell.

    Args:
        unit: What is protected.
        epsilon: For who knows the noise of one aggregator.
        delta: The probability that is left to chance.
    """

    unit: Unit
    epsilon: float
    delta: float

    def privacy(self) -> PrivacyField:
        """Return the noise with which one round uses the budget up.

        Raises:
            OperatorError: FS-200 for a number out of range.
        """
        try:
            noise = multiplier(largest_rho(self.epsilon, self.delta), 1)
        except PeerError as error:
            raise OperatorError(error.code, error.detail) from error
        return PrivacyField(
            unit=self.unit,
            unit_clip=CLIP,
            noise=noise,
            scalar_noise=noise,
            evaluation_noise=noise,
            every_round=False,
            epsilon=self.epsilon,
            delta=self.delta,
        )


def _task_of(study: AnyStudy, budget: Budget | None) -> StatisticsTask:
    """Return what the data owners of a study are asked about their columns.

    Raises:
        OperatorError: FS-200 for a budget out of range, FS-375 when the study has no
            schema, or one that is too wide.
    """
    if not isinstance(study, Study):
        raise OperatorError("FS-375", f"{study.name} has no schema")
    form = form_for(budget.privacy() if budget else None)
    return statistics_task(study.name, study.features, form)


def statistics_request(study: AnyStudy, budget: Budget | None) -> StudyRequest:
    """Return what every data owner is asked to agree to. Run by the model owner.

    Args:
        study: Has the schema, and the smallest set to be opened.
        budget: Of this one round; None: without noise.

    Raises:
        OperatorError: FS-200 and FS-375.
    """
    task = _task_of(study, budget)
    terms = Terms(
        scalars=task.scalars,
        clip=CLIP,
        privacy=budget.privacy() if budget else None,
        weight_cap=1,
        weighting=Weighting.EQUAL,
        min_cohort=study.aggregation.min_cohort,
        suite=SUITE,
    )
    return StudyRequest({STUDY: task.text}, terms)
