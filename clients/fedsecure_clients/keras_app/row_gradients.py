"""One step down the gradients of single rows, and scores that are sums over rows.

For studies whose step is "gradient". Runs at the data owner, as module `training`; what
differs is that every number that leaves is made of one number, or vector, for each row,
cut to a public bound before anything is added up:

    train      the update: minus the sum over rows of the gradient, cut to unit_clip
    evaluate   means over rows of the row's loss, right or wrong, and bin, each cut to
               the metric's declared range

A row is trained on or held out by itself (`dataset.split_by_row`), and one whose loss,
gradient or output is not finite counts in nothing. The update is answered as it is:
received weights less the sum, as float32, would round it by what the weights are, and
who chooses large weights could so make one row move it by more.

Without `unit_clip` nothing is cut, and the answer is received weights less the MEAN of
the rows' gradients: FedSGD [MMR+17].

Guarantee: taking one row away moves the update by at most `unit_clip` (L2), whatever
the rows and the weights are, and each sum of a metric by at most its range. Rows are
cut to `unit_clip` less a part in 2**10, for the update is float32: rounding moves it by
at most 2**-24 ||update||, and one that is longer than the round's clip is scaled down
to it, with its rounding. So that part suffices where the clip is at most 2**13 times
`unit_clip`; `require_rows` (`fedsecure.study.row_terms`) checks that.

[MMR+17] McMahan et al., "Communication-efficient learning of deep networks from
decentralized data", AISTATS 2017.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import PeerError
from fedsecure.study.keras.single_rows import require_single_rows
from fedsecure.study.task import Task
from fedsecure_clients.data.dataset import Dataset
from fedsecure_clients.keras_app.row_steps import RowSteps, Sums
from fedsecure_clients.keras_app.training import (
    Evaluated,
    Learner,
    Trained,
    Weights,
    unmeasured,
)

ROUNDING: Final = 2.0**-10  # the part of unit_clip that is left to float32


class RowLearner(Learner):
    """A study's model beside one data owner's rows, each of which counts by itself.

    Raises:
        PeerError: FS-420 to FS-424, the model is refused; FS-432, it mixes rows, or
            draws at random.
    """

    def __init__(self, task: Task, training: Dataset, held_out: Dataset) -> None:
        require_single_rows(task.model)
        super().__init__(task, training, held_out)
        self._rows = RowSteps(self._model)

    def train(
        self, weights: Weights, server_round: int, proximal_mu: float = 0.0
    ) -> Trained:
        """Return the rows' gradients, cut and added up; see the module.

        Args:
            weights: The global model: one float32 array a layer, of its shape.
            server_round: For errors alone: the step is the same in every round.
            proximal_mu: Must be 0.

        Raises:
            PeerError: FS-230, the step left the finite numbers; FS-231 or FS-424, the
                weights are not a model of this study; FS-423, a proximal term.
        """
        if proximal_mu:
            raise PeerError("FS-423", "a proximal term for a step that is one gradient")
        self._start(weights)
        clip = self._task.unit_clip
        with np.errstate(over="ignore"):  # told below
            if clip is None:
                total, count = self._rows.gradient_sum(self._training, math.inf)
                answer = self._less(weights, [part / max(1, count) for part in total])
            else:
                total, count = self._rows.gradient_sum(
                    self._training, clip * (1 - ROUNDING)
                )
                answer = self._less([np.zeros_like(one) for one in weights], total)
        if not all(np.isfinite(array).all() for array in answer):
            raise PeerError("FS-230", f"weights in round {server_round}")
        return Trained(answer, count)

    def evaluate(self, weights: Weights) -> Evaluated:
        """Score the held-out rows with `weights`, each row by itself.

        Where no row has a finite loss and finite outputs, all metrics are NaN.

        Args:
            weights: One float32 array a layer, of the shape that the study's model has.

        Raises:
            PeerError: FS-231 or FS-424, the weights are not a model of this study.
        """
        self._start(weights)
        losses, outputs = self._rows.scores(self._held_out)
        finite = np.isfinite(losses) & np.isfinite(outputs).all(axis=1)
        if not finite.any():
            return unmeasured(self._task.scalars)
        outputs, labels = outputs[finite], self._held_out.labels[finite]
        metrics = self._task.metrics
        loss = losses[finite].astype(np.float64)
        loss = loss.clip(metrics.loss.low, metrics.loss.high)
        right = self._right(outputs, labels)
        right = right.clip(metrics.accuracy.low, metrics.accuracy.high)
        return self._evaluated(float(loss.mean()), right, outputs, labels)

    def _score(self) -> tuple[float, NDArray[np.float32]]:
        losses, outputs = self._rows.scores(self._held_out)
        return float(losses.mean()) if len(losses) else math.nan, outputs

    def _less(self, start: Weights, steps: Sums) -> Weights:
        """Return arrays less a step on those that are trained."""
        places = {id(v): at for at, v in enumerate(self._model.weights)}
        less = list(start)
        for variable, step in zip(self._model.trainable_variables, steps, strict=True):
            at = places[id(variable)]
            less[at] = (start[at].astype(np.float64) - step).astype(np.float32)
        return less
