"""The compiled steps of one model on single rows: the sum of gradients, and scores.

Run at the data owner in studies whose step is "gradient". A row's gradient is that of
the loss of a batch of this row alone, regularisation included; so layers cannot mix
rows, and a regulariser counts once in the mean of all gradients, within each row's cut.

    sum over rows of   g * min(1, clip / ||g||)     g: over all trainable weights

What one row adds must not depend on which rows are beside it, not even by rounding, or
the sum could move by more than one row's cut when a row is taken away. So rows are run
in batches of one fixed size, the last one filled up with rows that count for nothing,
and the sums are of float64; a test compares bits.

Memory: rows at once are as many as make 2**22 numbers of gradients, 256 at most, and
always one.
"""

import math
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fedsecure_clients.data.dataset import Dataset

Tensor = Any  # tensorflow ships no types
Sums: TypeAlias = list[NDArray[np.float64]]  # one array for each trainable weight

MOST_ROWS: Final = 256  # that are run at once
MOST_NUMBERS: Final = 2**22  # of gradients, or of features, that are held at once


class RowSteps:
    """One model, run on rows of one shape."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._single_output = model.output_shape[-1] == 1
        self._variables = list(model.trainable_variables)
        shape = model.input_shape[1:]
        largest = max(math.prod(shape), sum(map(_size, self._variables)))
        self._rows_at_once = max(1, min(MOST_ROWS, MOST_NUMBERS // largest))
        rows = (
            tf.TensorSpec((self._rows_at_once, *shape), tf.float32),
            tf.TensorSpec((self._rows_at_once,), tf.int32),
        )
        counted = tf.TensorSpec((self._rows_at_once,), tf.bool)
        clip = tf.TensorSpec((), tf.float64)
        self._sum = tf.function(self._cut_sum, (*rows, counted, clip), autograph=False)
        self._score = tf.function(self._scores, rows, autograph=False)

    def gradient_sum(self, rows: Dataset, clip: float) -> tuple[Sums, int]:
        """Add up the gradients of rows, each cut to the L2 norm `clip`.

        A row whose loss or gradient is not finite counts in nothing.

        Args:
            rows: To train on; may be none.
            clip: Model units; infinite: nothing is cut.

        Returns:
            The sum: an array for each trainable weight, of its shape, float64; and how
            many rows count in it.
        """
        total: Sums = [np.zeros(tuple(v.shape), np.float64) for v in self._variables]
        count = 0
        for features, labels, size in self._batches(rows):
            counted = np.arange(self._rows_at_once) < size
            sums, finite = self._sum(features, labels, counted, clip)
            for array, part in zip(total, sums, strict=True):
                np.add(array, part.numpy().reshape(array.shape), out=array)
            count += int(finite)
        return total, count

    def scores(self, rows: Dataset) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return each row's loss and outputs: shapes (rows,) and (rows, k), float32."""
        outputs = self._model.output_shape[-1]
        losses = [np.empty(0, np.float32)]
        scored = [np.empty((0, outputs), np.float32)]
        for features, labels, size in self._batches(rows):
            loss, output = self._score(features, labels)
            losses.append(loss.numpy()[:size])
            scored.append(output.numpy()[:size])
        return np.concatenate(losses), np.concatenate(scored)

    def _batches(
        self, rows: Dataset
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int32], int]]:
        """Yield rows in batches of the fixed size, with how many of each are rows."""
        step = self._rows_at_once
        for start in range(0, len(rows), step):
            features, labels = rows.features[start:][:step], rows.labels[start:][:step]
            lacking = step - len(labels)
            if lacking:  # the first row once more: a value that the model takes
                features = np.concatenate([features, features[[0] * lacking]])
                labels = np.concatenate([labels, labels[[0] * lacking]])
            yield features, labels, step - lacking

    def _cut_sum(
        self, features: Tensor, labels: Tensor, counted: Tensor, clip: Tensor
    ) -> tuple[list[Tensor], Tensor]:
        losses, gradients = tf.vectorized_map(self._gradient, (features, labels))
        flat = [_flat64(gradient) for gradient in gradients]
        norms = tf.sqrt(tf.add_n([tf.reduce_sum(tf.square(g), axis=1) for g in flat]))
        finite = tf.math.is_finite(norms) & tf.math.is_finite(losses) & counted
        factors = tf.where(finite, tf.minimum(tf.ones_like(norms), clip / norms), 0.0)
        sums = [
            # What is not finite would stay so times 0.
            tf.linalg.matvec(tf.where(finite[:, None], g, 0.0), factors, True)
            for g in flat
        ]
        return sums, tf.reduce_sum(tf.cast(finite, tf.int32))

    def _gradient(self, row: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        with tf.GradientTape() as tape:
            loss, _ = self._loss(*row, training=True)
        gradients = tape.gradient(
            loss, self._variables, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        # A layer that looks up gives the gradient of the entries it looked up.
        return loss, [tf.convert_to_tensor(gradient) for gradient in gradients]

    def _scores(self, features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        def score(row: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            return self._loss(*row, training=False)

        losses, outputs = tf.vectorized_map(score, (features, labels))
        return losses, outputs

    def _loss(
        self, features: Tensor, label: Tensor, *, training: bool
    ) -> tuple[Tensor, Tensor]:
        """Return one row's compiled loss, regularisation included, and its outputs."""
        one = features[tf.newaxis]
        outputs = self._model(one, training=training)
        truth = tf.reshape(label, (1, 1) if self._single_output else (1,))
        if self._single_output:
            truth = tf.cast(truth, tf.float32)
        loss = self._model.compute_loss(
            x=one, y=truth, y_pred=outputs, training=training
        )
        return tf.reshape(loss, ()), outputs[0]


def _size(variable: keras.Variable) -> int:
    return math.prod(map(int, variable.shape))


def _flat64(gradients: Tensor) -> Tensor:
    """Return gradients of rows as shape (rows, weights), float64."""
    return tf.cast(tf.reshape(gradients, (gradients.shape[0], -1)), tf.float64)
