"""Local training and evaluation of one study on one data owner's rows.

Runs at the data owner, in the agent's own process. What costs time is made once and
kept between rounds: the model, the rows, the compiled steps. What must not carry over
is put back at the start of every round: weights, the optimizer's state, the state of
random layers. So a round's result depends on the task, the global model, the round's
number and the rows, and on nothing that happened before.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import keras
import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import PeerError
from fedsecure.study.keras.architecture import (
    from_logits,
    layers_of,
    model_from_data,
    require_fit,
)
from fedsecure.study.metrics import (
    ACCURACY,
    LOSS,
    SCORES_NEGATIVE,
    SCORES_POSITIVE,
    ScalarDeclaration,
    score_histogram,
)
from fedsecure.study.task import Task
from fedsecure_clients.data.dataset import Dataset
from fedsecure_clients.keras_app.steps import Steps

Weights = list[NDArray[np.float32]]  # one array a layer
Metrics = dict[str, float | list[float]]  # by declared name

EVALUATION_ROWS: Final = 4096  # rows scored at once, at most
EVALUATION_NUMBERS: Final = 2**20  # and so many features, beyond one batch
SHUFFLE_DOMAIN: Final = b"fedsecure v1 order of rows"


@dataclass(frozen=True, slots=True)
class Trained:
    """What a train round makes of the global model, and of how many rows.

    `weights` are one float32 array a layer, of its shape: the trained weights, or, of a
    task with `unit_clip`, the update alone.
    """

    weights: Weights = field(repr=False)
    rows: int


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The declared metrics, and of how many held-out rows they are the means."""

    metrics: Metrics = field(repr=False)
    rows: int


class Learner:
    """A study's model beside one data owner's rows, warm from round to round.

    Module `learners` makes the one that a task asks for; this one is of the step
    "epochs".

    Raises:
        PeerError: FS-420 to FS-424, the model is refused.
    """

    def __init__(self, task: Task, training: Dataset, held_out: Dataset) -> None:
        keras.utils.set_random_seed(task.seed % 2**32)
        self._task = task
        self._model = model_from_data(task.model, task.compilation)
        require_fit(self._model, task.features)
        self._training, self._held_out = training, held_out
        self._logits = from_logits(self._model)

    @property
    def examples(self) -> int:
        """The number of rows to train on."""
        return len(self._training)

    @cached_property
    def _steps(self) -> Steps:
        return Steps(self._model, self._training)

    @property
    def held_out(self) -> Dataset:
        """The rows that are scored."""
        return self._held_out

    def outputs(self, weights: Weights) -> tuple[float, NDArray[np.float32]]:
        """Return the loss over the held-out rows, and what the model makes of each.

        The outputs are of shape (rows, k), float32.

        Raises:
            PeerError: FS-231 or FS-424, the weights are not a model of this study.
        """
        self._start(weights)
        return self._score()

    def probabilities(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what `outputs` say of each class: shape (rows, classes), float32."""
        return _probabilities(outputs, logits=self._logits)

    def evaluate(self, weights: Weights) -> Evaluated:
        """Score the held-out rows with `weights`.

        Where an output is not finite, there is no metric: all are NaN, which the sum
        counts. An error would tell the model owner about one data owner.

        Args:
            weights: One float32 array a layer, of the shape that the study's model has.

        Raises:
            PeerError: FS-231 or FS-424, the weights are not a model of this study.
        """
        loss, outputs = self.outputs(weights)
        if not np.isfinite(outputs).all():
            return unmeasured(self._task.scalars)
        right = self._right(outputs, self._held_out.labels)
        return self._evaluated(loss, right, outputs, self._held_out.labels)

    def train(
        self, weights: Weights, server_round: int, proximal_mu: float = 0.0
    ) -> Trained:
        """Fit the training rows for the study's epochs, starting at `weights`.

        Args:
            weights: The global model: one float32 array a layer, of its shape.
            server_round: Decides, with the study's seed, the order of the rows.
            proximal_mu: FedProx adds mu / 2 * ||w - weights||^2 to the loss, over the
                trainable weights [LSZ+20].

        Raises:
            PeerError: FS-230, training left the finite numbers; FS-231 or FS-424, the
                weights are not a model of this study.

        [LSZ+20] Li et al., "Federated optimization in heterogeneous networks", MLSys
        2020.
        """
        self._start(weights)
        rand = _generator(self._task.seed, server_round)
        self._steps.reset(int(rand.integers(2**31)))
        pull = self._steps.pull(proximal_mu)
        for epoch in range(1, self._task.local_epochs + 1):
            order = rand.permutation(self.examples)
            loss = self._steps.epoch(order, self._task.batch_size, pull)
            if not np.isfinite(loss):
                raise PeerError(
                    "FS-230", f"loss in round {server_round}, epoch {epoch}"
                )
        trained: Weights = self._model.get_weights()
        if not all(np.isfinite(array).all() for array in trained):
            raise PeerError("FS-230", f"weights in round {server_round}")
        return Trained(trained, self.examples)

    def _start(self, weights: Weights) -> None:
        layers = layers_of(self._model)
        shapes = [array.shape for array in weights]
        if shapes != [layer.shape for layer in layers]:
            raise PeerError("FS-424", f"weights of shapes {shapes} for {layers}")
        for layer, array in zip(layers, weights, strict=True):
            if array.dtype != np.float32:
                raise PeerError("FS-422", f"{layer.name} is {array.dtype}")
            if not np.isfinite(array).all():
                raise PeerError("FS-231", f"{layer.name} of the global model")
        self._model.set_weights(weights)

    def _score(self) -> tuple[float, NDArray[np.float32]]:
        rows = self._held_out
        total, outputs = 0.0, []
        step = self._rows_at_once()
        for start in range(0, len(rows), step):
            chunk = slice(start, start + step)
            loss, output = self._steps.score(rows.features[chunk], rows.labels[chunk])
            total += loss * len(output)
            outputs.append(output)
        return total / len(rows), np.concatenate(outputs)

    def _rows_at_once(self) -> int:
        """Return how many rows to score together: images are large."""
        fitting = EVALUATION_NUMBERS // math.prod(self._held_out.features.shape[1:])
        return max(self._task.batch_size, min(EVALUATION_ROWS, fitting))

    def _right(
        self, outputs: NDArray[np.float32], labels: NDArray[np.int32]
    ) -> NDArray[np.float64]:
        """Return 1 where the model chooses a row's class, else 0: shape (rows,)."""
        right: NDArray[np.bool_] = self.probabilities(outputs).argmax(axis=1) == labels
        return right.astype(np.float64)

    def _evaluated(
        self,
        loss: float,
        right: NDArray[np.float64],
        outputs: NDArray[np.float32],
        labels: NDArray[np.int32],
    ) -> Evaluated:
        """Return the metrics over rows whose outputs are finite, at least one row.

        Args:
            loss: Their mean.
            right: Shape (rows,), float64: 1 where the class is right, else 0.
            outputs: Shape (rows, k), float32.
            labels: Shape (rows,), int32.
        """
        metrics: Metrics = {LOSS: loss, ACCURACY: float(right.mean())}
        probabilities, bins = self.probabilities(outputs), self._task.metrics.score_bins
        if probabilities.shape[1] == 2:
            scores = probabilities[:, 1]
            metrics[SCORES_POSITIVE] = score_histogram(scores, labels == 1, bins)
            metrics[SCORES_NEGATIVE] = score_histogram(scores, labels == 0, bins)
        return Evaluated(metrics, len(labels))


def unmeasured(declared: Sequence[ScalarDeclaration]) -> Evaluated:
    """Return NaN for every metric; no class is right, none of them comes first."""
    metrics: Metrics = {
        one.name: math.nan if one.size == 1 else [math.nan] * one.size
        for one in declared
    }
    return Evaluated(metrics, 0)


def _probabilities(
    outputs: NDArray[np.float32], *, logits: bool
) -> NDArray[np.float32]:
    """Return shape (rows, classes), whatever the model's last layer is."""
    single = outputs.shape[1] == 1
    if logits:
        squash = keras.ops.sigmoid if single else keras.ops.softmax
        outputs = squash(outputs).numpy()
    return np.hstack([1 - outputs, outputs]) if single else outputs


def _generator(seed: int, server_round: int) -> np.random.Generator:
    """Return the source of this round's order of rows; public, it protects nothing."""
    label = f"{seed}/{server_round}".encode()
    digest = hashlib.sha256(SHUFFLE_DOMAIN + label).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
