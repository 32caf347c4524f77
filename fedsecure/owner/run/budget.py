"""A study's privacy budget, kept by the model owner over all runs of the study.

    left(member)  = what the budget allows - what rounds on record charge the member
    require       the round, and the evaluation that is still to come, must fit in it
                  for each of the cohort
    spend         the round must fit in it for each of the set

The account is the round store itself: a round is charged from the record of its
opening on, which is written before the opening is sent, and given back with the record
that it is void at both aggregators. So a process that is killed between any two steps
leaves the account right, and a round that is taken up again is charged once.

Aggregators and agents keep accounts of their own and do not believe this one. It is
here so that no round is asked for that they would refuse, and so that a run ends with a
model that has been measured.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from fedsecure.core.dp.accountant import epsilon
from fedsecure.errors import OperatorError
from fedsecure.owner.rounds.proposal import RoundRequest
from fedsecure.owner.rounds.specs import params_for
from fedsecure.protocol.parameters import cost_of
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import PrivacyField, Purpose, RoundSpec


class BudgetSpentError(OperatorError):
    """FS-374: what comes next would cost more than the study may."""

    def __init__(self, detail: str) -> None:
        super().__init__("FS-374", detail)


class Charges(Protocol):
    """The part of the round store that an account is read from."""

    def spent(self, study: str, but: str = "") -> dict[str, int]:
        """Return what each data owner is charged in a study, in 1e-12 of rho.

        Args:
            study: The study's digest.
            but: The digest of a spec that is left out.
        """


@dataclass(frozen=True, slots=True)
class StudyBudget:
    """The accountant of every run: rounds without noise cost it nothing.

    Args:
        charges: Where rounds are on record.
    """

    charges: Charges

    def require(self, request: RoundRequest) -> None:
        """Refuse a round after which the study would have cost too much.

        Raises:
            BudgetSpentError: FS-374, with what was spent.
        """
        if request.privacy is None or request.study is None:
            return
        cost = _cost_of(request)
        if request.purpose is Purpose.TRAIN:
            cost += _cost_of(_evaluation(request))
        spent = self.charges.spent(request.study)
        _require_room(request.privacy, spent, request.cohort, cost)

    def spend(self, spec: Signed[RoundSpec], members: Sequence[str]) -> None:
        """Refuse to fix a set of which somebody has no room for the round.

        Raises:
            BudgetSpentError: FS-374, with what was spent.
        """
        said = spec.statement
        if said.privacy is None or said.study is None:
            return
        spent = self.charges.spent(said.study, but=spec.digest)
        _require_room(said.privacy, spent, members, cost_of(said) or 0)

    def opened(self, spec: Signed[RoundSpec]) -> None:
        """Note nothing: it is on record."""

    def void(self, spec: Signed[RoundSpec], *, burnt: bool) -> None:
        """Note nothing: it is on record, and whether it was given back."""


def _cost_of(request: RoundRequest) -> int:
    return params_for(request).cost or 0


def _evaluation(request: RoundRequest) -> RoundRequest:
    return replace(request, purpose=Purpose.EVALUATE, dimension=0)


def _require_room(
    privacy: PrivacyField, spent: dict[str, int], members: Iterable[str], cost: int
) -> None:
    dearest = max(members, key=lambda name: spent.get(name, 0))
    before = spent.get(dearest, 0)
    after = epsilon(before + cost, privacy.delta)
    if after > privacy.epsilon:
        raise BudgetSpentError(
            f"{dearest} has given epsilon {epsilon(before, privacy.delta):.3g} of "
            f"{privacy.epsilon:g} at delta {privacy.delta:g}; with what is still to "
            f"come it would be {after:.3g}",
        )
