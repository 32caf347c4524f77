"""Training on rows that lie in one place, beside a federated training of them.

As long as a federation, from the same weights, and without what a federation needs:
nothing is clipped, shared or made noisy. With the step "epochs" a round is the local
training itself. With "gradient" it is the strategy's step on the mean of the rows'
gradients, each cut to the study's unit_clip.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fedsecure.core.encoding import MeanUpdate
from fedsecure.errors import OperatorError, PeerError
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.frameworks.flower.strategies import build_strategy
from fedsecure.frameworks.flower.wrapped import Wrapped
from fedsecure.frameworks.keras.model_source import from_keras
from fedsecure.owner.jobs.model_source import Parts
from fedsecure.owner.run.participants import stand_ins
from fedsecure.study.config import Study
from fedsecure.study.round_task import GlobalModel
from fedsecure.study.terms import StudyRequest
from fedsecure_clients.keras_app.comparison import Kind
from fedsecure_clients.keras_app.training import Learner, Trained, Weights


@dataclass(frozen=True, slots=True)
class Training:
    """One model to train on rows in one place, alone or pooled.

    Args:
        study: What is trained.
        request: What a data owner would agree to.
        parts: Of its model.
        name: Of the place.
        kind: What it stands for in a comparison.
        learner: The model beside the rows.
    """

    study: Study
    request: StudyRequest
    parts: Parts
    name: str
    kind: Kind
    learner: Learner

    @property
    def rows(self) -> int:
        """How many rows it is trained on."""
        return self.learner.examples

    def run(self, weights: Weights, rounds: int) -> Weights:
        """Train from `weights` on: one float32 array a layer, of its shape.

        Raises:
            OperatorError: FS-230 with the name, it left the finite numbers; FS-368 or
                FS-823 the strategy of a study whose step is "gradient".
        """
        step = self._steps() if self.study.training.step == "gradient" else self._epochs
        try:
            for number in range(1, rounds + 1):
                weights = step(number, weights)
        except PeerError as error:
            raise OperatorError(error.code, f"{self.name}: {error.detail}") from error
        return weights

    def _epochs(self, number: int, weights: Weights) -> Weights:
        return self.learner.train(weights, number).weights

    def _steps(self) -> Callable[[int, Weights], Weights]:
        """Return a round of a fresh strategy, for it keeps its moments to itself."""
        aggregation = self.study.aggregation.model_copy(update={"min_cohort": 1})
        strategy = build_strategy(replace(self.study, aggregation=aggregation))
        wrapped = Wrapped(strategy, self.request.config, self.parts)

        def step(number: int, weights: Weights) -> Weights:
            model = from_keras(weights)
            with task_identity(1):  # Flower's messages belong to a run
                assignment = wrapped.configure(number, model, stand_ins([self.name]))
                if assignment.step is None:  # a strategy's always has one
                    return weights
                trained = self.learner.train(weights, number)
                update = self._mean(trained, model)
                return assignment.step(1, update, {}).arrays()

        return step

    def _mean(self, trained: Trained, model: GlobalModel) -> MeanUpdate:
        """Return minus the mean of the rows' gradients: shape (dimension,), float64."""
        answer = from_keras(trained.weights).weights.astype(np.float64)
        task = self.request.task
        if task is None or task.unit_clip is None:
            return answer - model.weights
        return answer / max(1, trained.rows)
