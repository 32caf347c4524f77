"""The model of the digits study, its first weights. Only the model owner runs it."""

import numpy as np
from numpy.typing import NDArray

PIXELS, DIGITS = 64, 10


def build(seed: int) -> dict[str, NDArray[np.float32]]:
    """Return the first weights of a softmax regression: 650 parameters."""
    random = np.random.default_rng(seed)
    weights = random.normal(scale=0.01, size=(PIXELS, DIGITS))
    return {
        "weights": weights.astype(np.float32),
        "bias": np.zeros(DIGITS, np.float32),
    }
