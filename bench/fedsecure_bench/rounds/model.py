"""The model of the rounds that are compared: ten layers, and four data owners."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

NODES: Final = 4
LAYERS: Final = 10


def layers(dimension: int) -> list[NDArray[np.float32]]:
    """Return a model of so many parameters in all; no two layers are equal."""
    rng = np.random.default_rng(0)
    return np.array_split(rng.standard_normal(dimension, np.float32), LAYERS)
