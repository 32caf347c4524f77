"""The task of one round, and the global model in it, whatever framework made them.

A global model is one flat vector with the names and shapes of its arrays beside it: so
it is stored, hashed and sent the same way for every framework. The task is everything
that a data owner's app gets to see; both ends compute its digest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import PeerError
from fedsecure.protocol.statements import Purpose
from fedsecure.study.task import ConfigValue, Layer, model_digest, task_digest

Weights: TypeAlias = NDArray[np.float32]  # shape (dimension,), the layers in order


@dataclass(frozen=True)
class GlobalModel:
    """A global model.

    Args:
        layers: Names and shapes of its arrays, in order.
        weights: The arrays one after the other, shape (sum of the layers' sizes,),
            float32, model units.
    """

    layers: tuple[Layer, ...]
    weights: Weights = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over layers and weights."""
        return model_digest(self.layers, self.weights).hex()

    def arrays(self) -> list[Weights]:
        """Return the arrays, float32, each in its layer's shape; they share memory."""
        ends = np.cumsum([layer.size for layer in self.layers]).tolist()
        return [
            self.weights[end - layer.size : end].reshape(layer.shape)
            for layer, end in zip(self.layers, ends, strict=True)
        ]


@dataclass(frozen=True)
class RoundTask:
    """Everything that an app gets to see in a round.

    Args:
        purpose: What is asked.
        layers: Names and shapes of the model's arrays, in order.
        config: What stands beside the model.
        weights: The model, shape (sum of the layers' sizes,), float32.
    """

    purpose: Purpose
    layers: tuple[Layer, ...]
    config: Mapping[str, ConfigValue]
    weights: Weights = field(repr=False)

    @cached_property
    def model(self) -> str:
        """SHA-256, in hex, over layers and weights."""
        return model_digest(self.layers, self.weights).hex()

    def digest(self) -> str:
        """SHA-256, in hex, over all of it."""
        model = bytes.fromhex(self.model)
        return task_digest(self.purpose, model, self.config).hex()


def joined(arrays: Iterable[tuple[str, NDArray[Any]]]) -> GlobalModel:
    """Lay named arrays of float32, each of its own shape, one after the other.

    Raises:
        PeerError: FS-361 naming the first array that is not float32.
    """
    layers, parts = [], []
    for name, values in arrays:
        if values.dtype != np.float32:
            raise PeerError("FS-361", f"layer {name!r} is {values.dtype}")
        layers.append(Layer(name, values.shape))
        parts.append(values.ravel())
    flat = np.concatenate(parts) if parts else np.empty(0, np.float32)
    return GlobalModel(tuple(layers), flat)


def laid_out(layers: Sequence[Layer], weights: Weights) -> GlobalModel:
    """Return stored weights, shape (dimension,), float32, as a model of these layers.

    Raises:
        PeerError: FS-362 when the lengths do not agree.
    """
    size = sum(layer.size for layer in layers)
    if size != weights.size:
        raise PeerError("FS-362", f"layers of {size} weights, model of {weights.size}")
    return GlobalModel(tuple(layers), weights)
