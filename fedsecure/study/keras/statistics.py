"""Weights that the optimizer does not train, and what layers declare about weights.

Moving averages are weights that are averaged like others, but they are no weights to a
server's optimizer, and not in the unit of those that are trained: a variance is in that
of the data, squared. So they have a clip of their own, and are averaged and no more.

What is not trained because it is frozen counts as well; its updates are zero.
"""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import keras

VARIANCE: Final = "/moving_variance"  # ends the path of what cannot be below 0

Weights = list[NDArray[np.float32]]  # one array a layer


def statistics_in(model: "keras.Model") -> tuple[bool, ...]:
    """Tell of each of `model.weights` whether it is not trained."""
    trained = {id(variable) for variable in model.trainable_variables}
    return tuple(id(variable) not in trained for variable in model.weights)


def as_declared(model: "keras.Model", weights: Weights) -> Weights:
    """Return weights that keep what the model's layers declare about them.

    A layer's constraint holds after each step of training; the mean of such weights,
    and a server's step from it, may leave it. And no variance is below 0.

    Args:
        model: Its layers; its own weights are not looked at.
        weights: One float32 array for each of `model.weights`, of its shape.

    Returns:
        Arrays of the same shapes and dtype.
    """
    return [
        _declared(variable, array)
        for variable, array in zip(model.weights, weights, strict=True)
    ]


def _declared(
    variable: "keras.Variable", array: NDArray[np.float32]
) -> NDArray[np.float32]:
    if variable.path.endswith(VARIANCE):
        return np.maximum(array, np.float32(0))
    constraint = getattr(variable, "constraint", None)
    if constraint is None:
        return array
    return np.asarray(constraint(array), np.float32)
