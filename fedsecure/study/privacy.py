"""The section `[privacy]` of study.toml, and the noise that follows from it.

A study has one budget, epsilon at delta, for all its openings: so many rounds of
training, and one evaluation. With rho the largest total cost that keeps to it,

    update    1 - share         of rho, in equal parts over the rounds
    scalars   share             of rho, of which
                 1/4            over the rounds, where these carry no metrics (default)
                 R / (R + 1)    over the R rounds, where they do (`every_round`)
                 the rest       to the evaluation

and each part's z is the least with which its openings cost no more. Costs are integers
of 1e-12 (`fedsecure.core.dp.accountant`), and no opening's is rounded up beyond its
part: so the planned openings together never cost more than rho.

Rounds without metrics cost a quarter of the share all the same: they say how many rows
they are over, and how many updates were cut.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from fedsecure.core.dp.accountant import largest_rho, multiplier
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.statements import PrivacyField
from fedsecure.study.strict import Strict

BARE: Final = Fraction(1, 4)  # of the scalars' share: rounds that carry no metrics


class Privacy(Strict):
    """The section `[privacy]`: what one unit may leak over all runs of the study.

    `unit` is what is protected, "row" or "data-owner". `epsilon` at `delta` is the
    budget. `unit_clip` is the largest L2 norm that one row adds to an update, in model
    units; of a data owner that is `clip`. `share` is the part of the budget that goes
    to metrics and counts. With `every_round` rounds of training carry metrics, too.
    """

    unit: Unit
    epsilon: Annotated[float, Field(gt=0)]
    delta: Annotated[float, Field(gt=0, lt=1)]
    unit_clip: Annotated[float, Field(gt=0)] | None = None
    share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    every_round: bool = False

    @model_validator(mode="after")
    def _one_clip_a_unit(self) -> Self:
        if self.unit is Unit.ROW and self.unit_clip is None:
            msg = 'unit "row" needs unit_clip, the largest L2 norm of what one row adds'
            raise ValueError(msg)
        if self.unit is Unit.DATA_OWNER and self.unit_clip is not None:
            msg = 'unit_clip is for unit "row"; what a data owner adds has `clip`'
            raise ValueError(msg)
        return self

    def planned(self, rounds: int, clip: float) -> PrivacyField:
        """Return what a study of so many rounds says in its specs.

        Args:
            rounds: Of training.
            clip: The largest L2 norm of one update, in model units.

        Raises:
            OperatorError: FS-200 when the budget is too small for so many rounds.
        """
        try:
            parts = self._parts(rounds)
            return PrivacyField(
                unit=self.unit,
                unit_clip=clip if self.unit_clip is None else self.unit_clip,
                noise=multiplier(parts.update, rounds),
                scalar_noise=multiplier(parts.scalars, rounds),
                evaluation_noise=multiplier(parts.evaluation, 1),
                every_round=self.every_round,
                epsilon=self.epsilon,
                delta=self.delta,
            )
        except PeerError as error:
            raise OperatorError(
                error.code,
                f"[privacy] epsilon {self.epsilon:g} over {rounds} rounds: "
                f"{error.detail}",
            ) from error

    def _parts(self, rounds: int) -> "_Parts":
        rho = largest_rho(self.epsilon, self.delta)
        scalars = math.floor(rho * Fraction(self.share))
        part = Fraction(rounds, rounds + 1) if self.every_round else BARE
        trained = math.floor(scalars * part)
        return _Parts(rho - scalars, trained, scalars - trained)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What all openings may cost, in 1e-12: updates, scalars of rounds, evaluation."""

    update: int
    scalars: int
    evaluation: int
