"""A federated training in one process: what `train` does, without servers and network.

All that decides the outcome is the real run's own code: the strategy and what it may
see (`flower.wrapped`), what an agent answers (`keras_app.app`) and makes of it
(`flower.mod`), clip, fixed point, weights and both shares (`core.scheme`), and when a
run has diverged (`owner.run.soundness`). So its model is the one that a federation of
these sites would get, bit by bit, as long as nobody is missing. With noise it is one
that they might get: the noise is drawn as both aggregators would, and differs from time
to time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

import numpy as np
from flwr.app import Message

from fedsecure.core.gaussian_release import mechanism_of
from fedsecure.core.params import Params
from fedsecure.core.release import (
    SEED_BYTES,
    ReleaseContext,
    keys_of,
    release,
)
from fedsecure.core.scheme import (
    EXPANSION_BYTES,
    RAND_BYTES,
    AggregateShare,
    Mean,
    Measurement,
    ReportContext,
    aggregate,
    prepare,
    shard,
    unshard,
)
from fedsecure.errors import OperatorError, PeerError
from fedsecure.frameworks.flower.mod import ask_app, for_app
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.frameworks.flower.strategies import build_strategy
from fedsecure.frameworks.flower.wrapped import Wrapped
from fedsecure.frameworks.keras.model_source import from_keras
from fedsecure.owner.jobs.evaluate import evaluation
from fedsecure.owner.jobs.model_source import Parts
from fedsecure.owner.recorder import figures_of
from fedsecure.owner.run.participants import stand_ins
from fedsecure.owner.run.soundness import Measured, Soundness
from fedsecure.protocol.parameters import planned_params
from fedsecure.protocol.statements import Purpose
from fedsecure.study.config import Study
from fedsecure.study.remarks import Figures, over_all
from fedsecure.study.round_task import GlobalModel, RoundTask
from fedsecure.study.terms import StudyRequest
from fedsecure_clients.keras_app.app import evaluated, trained
from fedsecure_clients.keras_app.training import Learner, Weights


@dataclass
class Rehearsal:
    """One federated training of some sites.

    Args:
        study: What is trained, and how updates become one.
        request: What every site would agree to.
        parts: Of its model.
        learners: By site, in ascending order of names.
        rand: `rand(n)` returns n random bytes: shares are made of them, and noise; of
            shares nothing is left in the sum.
    """

    study: Study
    request: StudyRequest
    parts: Parts
    learners: Mapping[str, Learner]
    rand: Callable[[int], bytes] = field(repr=False)
    figures: list[Figures] = field(default_factory=list)

    @property
    def notes(self) -> Iterator[str]:
        """What is strange about its rounds, and what to do."""
        wanted = self.study.aggregation.min_cohort
        if self.min_cohort < wanted:
            yield (
                f"A federation would open nothing: these are {self.min_cohort} sites, "
                f"and `min_cohort` is {wanted}."
            )
        if self.request.terms.privacy is not None:
            yield (
                "Noise was drawn as both aggregators would: the next training gets "
                "another model. Compare several before you choose by it."
            )
        yield from over_all(self.figures)

    @property
    def min_cohort(self) -> int:
        """The fewest reports of a sum here: all, if the study wants more."""
        return min(self.study.aggregation.min_cohort, len(self.learners))

    def run(self, weights: Weights, rounds: int) -> Weights:
        """Train from `weights` on: one float32 array a layer, of its shape.

        Raises:
            OperatorError: FS-230 at a site, FS-232 the model cannot be measured, FS-368
                or FS-823 the strategy.
        """
        aggregation = self.study.aggregation.model_copy(
            update={"min_cohort": self.min_cohort}
        )
        strategy = build_strategy(replace(self.study, aggregation=aggregation))
        wrapped = Wrapped(strategy, self.request.config, self.parts)
        soundness = Soundness(self.min_cohort)
        model = from_keras(weights)
        steps = [(number, Purpose.TRAIN) for number in range(1, rounds + 1)]
        for number, purpose in [*steps, (rounds, Purpose.EVALUATE)]:
            with task_identity(1):  # Flower's messages belong to a run
                model, mean = self._round(wrapped, number, purpose, model)
            soundness.note(Measured(number, purpose, mean.count, mean.undefined))
            soundness.require()
            soundness.require_finite(model)
        return model.arrays()

    def _round(
        self, wrapped: Wrapped, number: int, purpose: Purpose, model: GlobalModel
    ) -> tuple[GlobalModel, Mean]:
        agents = stand_ins(list(self.learners))
        train = purpose is Purpose.TRAIN
        assignment = (
            wrapped.configure(number, model, agents)
            if train
            else evaluation(number, self.request.config, model, agents)
        )
        asked = sorted(assignment.asked)
        mean = self._mean(assignment.task, asked)
        apart = self.request.terms.statistics is not None
        self.figures.append(figures_of(mean, train=train, apart=apart))
        if assignment.step is not None:
            model = assignment.step(len(asked), mean.update, mean.scalars)
        return model, mean

    def _mean(self, task: RoundTask, asked: Sequence[str]) -> Mean:
        """Return what the model owner would open."""
        terms, train = self.request.terms, task.purpose is Purpose.TRAIN
        dimension = task.weights.size if train else 0
        params = planned_params(terms, task.purpose, dimension, len(asked))
        measurements = [
            ask_app(terms, task, partial(self._answer, task, name)) for name in asked
        ]
        mean = _opened(params, measurements, self.rand)
        return mean.over_at_least(self.min_cohort)

    def _answer(self, task: RoundTask, name: str) -> Message:
        """Let a site's app answer, as its agent would."""
        message = Message(for_app(task), dst_node_id=1, message_type=task.purpose.value)
        answer = trained if task.purpose is Purpose.TRAIN else evaluated
        try:
            return answer(message, self.learners[name])
        except PeerError as error:
            raise OperatorError(error.code, f"{name}: {error.detail}") from error


def _opened(
    params: Params, measurements: Sequence[Measurement], rand: Callable[[int], bytes]
) -> Mean:
    """Run all stages of a sum in one place."""
    spec, memory = bytes(sha256().digest_size), np.empty(EXPANSION_BYTES, np.uint8)
    seeds, vectors = AggregateShare.empty(params), AggregateShare.empty(params)
    for number, measurement in enumerate(measurements):
        name = str(number)
        sharding = shard(params, spec, name, measurement, rand(RAND_BYTES))
        context = ReportContext(spec, sharding.report_id, name)
        vector = [bytes(piece) for piece in sharding.vector]
        seed = [sharding.seed]
        aggregate(
            params, seeds, partial(prepare, params, context, "seed", seed, memory)
        )
        aggregate(
            params, vectors, partial(prepare, params, context, "vector", vector, memory)
        )
    return unshard(params, *(_released(params, one, rand) for one in (seeds, vectors)))


def _released(
    params: Params, total: AggregateShare, rand: Callable[[int], bytes]
) -> AggregateShare:
    """Return one aggregator's share as it lets go of it, with its noise if any."""
    nobody = bytes(sha256().digest_size)
    context = ReleaseContext(nobody, nobody)
    keys = keys_of(rand(SEED_BYTES), context)
    records = release(params, total, mechanism_of(params), keys)
    plaintext = bytearray().join(records)
    return AggregateShare.from_plaintext(params, plaintext, total.count)
