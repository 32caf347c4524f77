"""The compiled steps of one model: a pass over the rows, and scoring.

A data owner's model is often small, and then Keras' `fit` costs more than the
arithmetic: it traces its step anew after every `compile`. Here the steps are traced
once for the life of the agent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from fedsecure_clients.data.dataset import Dataset

Tensor = Any  # tensorflow ships no types


@dataclass(frozen=True, slots=True)
class Pull:
    """FedProx's term: mu / 2 * ||w - anchors||^2 over the trainable weights."""

    anchors: list[Tensor]
    mu: Tensor


class Steps:
    """One model over one set of rows to train on."""

    def __init__(self, model: keras.Model, rows: Dataset) -> None:
        self._model = model
        self._features = tf.constant(rows.features)
        self._labels = tf.constant(rows.labels)
        # The study's schema gives class numbers; a single output is a probability.
        self._single_output = model.output_shape[-1] == 1
        self._optimizer_at_birth = [v.numpy() for v in model.optimizer.variables]
        self._random_states = [
            v for v in model.variables if v.path.endswith("seed_generator_state")
        ]
        self._compile(rows.features.shape[1:])

    def _compile(self, shape: tuple[int, ...]) -> None:
        rows = tf.TensorSpec((None,), tf.int64)
        trainable = self._model.trainable_variables
        anchors = [tf.TensorSpec(v.shape, tf.float32) for v in trainable]
        self._step = tf.function(self._train_on, (rows,), autograph=False)
        self._near_step = tf.function(
            self._train_near,
            (rows, anchors, tf.TensorSpec((), tf.float32)),
            autograph=False,
        )
        self._score = tf.function(
            self._loss_and_outputs,
            (
                tf.TensorSpec((None, *shape), tf.float32),
                tf.TensorSpec((None,), tf.int32),
            ),
            autograph=False,
        )

    def reset(self, seed: int) -> None:
        """Put optimizer and random layers back to where every round starts.

        Each variable of the optimizer gets the value it was born with. Zeroing them
        would not do: Keras keeps the learning rate among them.
        """
        variables = self._model.optimizer.variables
        for variable, value in zip(variables, self._optimizer_at_birth, strict=True):
            variable.assign(value)
        for place, state in enumerate(self._random_states):
            state.assign(np.array([seed, place], dtype=state.dtype))

    def pull(self, mu: float) -> "Pull | None":
        """Return FedProx's term towards the trainable weights as they are now."""
        if not mu:
            return None
        variables = self._model.trainable_variables
        return Pull([tf.identity(v) for v in variables], tf.constant(mu, tf.float32))

    def epoch(
        self, order: NDArray[np.int64], batch_size: int, pull: "Pull | None"
    ) -> float:
        """Train on every row once, in `order`; return the mean loss of a batch.

        The order is a permutation of the whole index, not of a buffer, for files are
        often sorted by label.

        Args:
            order: Shape (rows,), int64: each row's index once.
            batch_size: Rows of a step.
            pull: FedProx's, towards the global model; None without it.
        """
        losses = [self._train(rows, pull) for rows in _batches(order, batch_size)]
        return float(tf.reduce_mean(losses))

    def _train(self, rows: Tensor, pull: "Pull | None") -> Tensor:
        if pull is None:
            return self._step(rows)
        return self._near_step(rows, pull.anchors, pull.mu)

    def score(
        self, features: NDArray[np.float32], labels: NDArray[np.int32]
    ) -> tuple[float, NDArray[np.float32]]:
        """Return the loss over some rows, and what the model makes of each.

        Args:
            features: Shape (rows, *the model's input), float32.
            labels: Shape (rows,), int32.

        Returns:
            The mean loss, and the outputs: shape (rows, k), float32.
        """
        loss, outputs = self._score(features, labels)
        return float(loss), outputs.numpy()

    def _train_on(self, rows: Tensor) -> Tensor:
        return self._descend(rows, lambda: 0.0)

    def _train_near(self, rows: Tensor, anchors: list[Tensor], mu: Tensor) -> Tensor:
        def pull() -> Tensor:
            moved = zip(self._model.trainable_variables, anchors, strict=True)
            squares = [tf.reduce_sum(tf.square(v - a)) for v, a in moved]
            return mu / 2 * tf.add_n(squares)

        return self._descend(rows, pull)

    def _descend(self, rows: Tensor, penalty: Callable[[], Tensor]) -> Tensor:
        features = tf.gather(self._features, rows)
        labels = tf.gather(self._labels, rows)
        with tf.GradientTape() as tape:
            loss = self._loss(features, labels, training=True)[0] + penalty()
        variables = self._model.trainable_variables
        gradients = tape.gradient(loss, variables)
        self._model.optimizer.apply(gradients, variables)
        return loss

    def _loss_and_outputs(
        self, features: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self._loss(features, labels, training=False)

    def _loss(
        self, features: Tensor, labels: Tensor, *, training: bool
    ) -> tuple[Tensor, Tensor]:
        """Return the compiled loss, regularisation included, and the outputs."""
        outputs = self._model(features, training=training)
        if self._single_output:
            labels = tf.cast(labels, tf.float32)[:, tf.newaxis]
        loss = self._model.compute_loss(
            x=features, y=labels, y_pred=outputs, training=training
        )
        return loss, outputs


def _batches(order: NDArray[np.int64], batch_size: int) -> Tensor:
    """Return the order in pieces, the last one as long as what is left."""
    rows = tf.data.Dataset.from_tensor_slices(order).batch(batch_size)
    return rows.with_options(_options())


def _options() -> Tensor:
    # The pipeline moves row numbers only: tuning it costs more than running it.
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return options
