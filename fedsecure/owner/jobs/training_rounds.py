"""The rounds of a training: a step on each opened mean, and an evaluation at the end.

A run that goes on (`Past`) first hands the opened means to a fresh strategy again, in
order, for a strategy keeps its moments in memory alone; then the round that was left
undecided is taken up.
"""

from collections.abc import Mapping
from functools import partial
from typing import Protocol

from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.owner.jobs.evaluate import evaluation
from fedsecure.owner.run.loop import RoundLoop
from fedsecure.owner.run.outcome import Outcome
from fedsecure.owner.run.participants import (
    Agent,
    Assign,
    Assignment,
    require_task,
    stand_ins,
)
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.run.resume import NOTHING, OpenedRound, Past, RoundKey
from fedsecure.owner.run.soundness import Measured, Soundness
from fedsecure.protocol.statements import Purpose
from fedsecure.study.round_task import GlobalModel


class Strategy(Protocol):
    """What is asked in each round of a training, and the step on its mean."""

    def configure(
        self, number: int, model: GlobalModel, agents: Mapping[str, Agent]
    ) -> Assignment:
        """Choose whom to ask, and for what; the assignment has a step."""


class Training:
    """Trains a model round by round.

    Args:
        strategy: Whom to ask for what, and what becomes of the mean.
        rounds: Brings each round to an end.
        plan: The run.
    """

    def __init__(self, strategy: Strategy, rounds: RoundLoop, plan: Plan) -> None:
        self._strategy = strategy
        self._rounds = rounds
        self._plan = plan

    def run(self, model: GlobalModel, past: Past = NOTHING) -> GlobalModel:
        """Train from the initial global model; return the last one.

        Args:
            model: The model that the run began with.
            past: What the run did before it was interrupted.

        Raises:
            PeerError: FS-369 when a round failed in every attempt; whatever an
                aggregator refused.
            OperatorError: FS-356 when the study is not what it was; FS-232 when the
                model is not sound any more, FS-235 when nothing moved it.
            FedsecureError: The accountant's refusal.
        """
        soundness = Soundness(self._plan.min_cohort)
        soundness.note_all(past.measured)
        for opened in past.opened:
            model = self._replay(opened, model)
            soundness.note_mean(opened.mean())
        last = self._plan.rounds
        spent: FedsecureError | None = None
        try:
            for number in range(1, last + 1):
                model = self._settle((number, Purpose.TRAIN), model, past, soundness)
        except FedsecureError as error:
            if not error.problem.spent:
                raise
            spent = error  # what there is can be measured, if that was paid for
        self._settle((last, Purpose.EVALUATE), model, past, soundness)
        if spent is not None:
            raise spent
        soundness.require()
        soundness.require_moved()
        return model

    def _settle(
        self, key: RoundKey, model: GlobalModel, past: Past, soundness: Soundness
    ) -> GlobalModel:
        """Bring a round to an end, unless it has come to one; return the model."""
        if key in past.decided:
            return model
        outcome = self._rounds.settle(key, self._asking(key, model), model, past)
        self._look_at(outcome, soundness)
        return outcome.model

    def _asking(self, key: RoundKey, model: GlobalModel) -> Assign:
        number, purpose = key
        if purpose is Purpose.TRAIN:
            return partial(self._strategy.configure, number, model)
        return partial(evaluation, number, self._plan.config, model)

    def _look_at(self, outcome: Outcome, soundness: Soundness) -> None:
        """Stop at a model that is not sound, if that is what is planned."""
        if outcome.opened is None:
            return
        spec, mean = outcome.proposal.spec.statement, outcome.opened.mean
        soundness.note(Measured(spec.round, spec.purpose, mean.count, mean.undefined))
        if spec.purpose is Purpose.TRAIN:
            soundness.note_mean(mean.update)
        if self._plan.stop_when_diverged:
            soundness.require()
        soundness.require_finite(outcome.model)

    def _replay(self, opened: OpenedRound, model: GlobalModel) -> GlobalModel:
        """Bring the strategy to where it was after a round.

        Guarantee: the model is the one that was recorded, bit by bit, or FS-356.
        """
        spec = opened.spec
        assignment = self._strategy.configure(spec.round, model, stand_ins(spec.cohort))
        require_task(assignment.task, spec)
        if assignment.step is not None:
            model = assignment.step(opened.included, opened.mean(), opened.scalars)
        if model.weights.tobytes() != opened.model().tobytes():
            raise OperatorError("FS-356", f"the model after round {spec.round} differs")
        return model
