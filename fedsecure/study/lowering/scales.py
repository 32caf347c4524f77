"""Which fixed point a linear model is served in.

A word has 62 bits for the largest logit that the schema allows, with the bits of rows'
numbers and of weights behind its point. What is left beside those in front of the point
is shared out to both, so that rounding either changes a logit about as much.

Guarantee: for rows within the schema's ends, with logits z of the model and z' of the
program, |z - z'| <= `error`, and no score differs by more than `PRECISION`.

A spec is read by both servers and all clients, so what it says of weights is rounded up
to a power of two: their largest size, and nothing else.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from fedsecure.core.mpc.plan import plan
from fedsecure.core.mpc.program import Linear
from fedsecure.errors import OperatorError, PeerError
from fedsecure.study.lowering.description import ActivationName
from fedsecure.study.lowering.linear import LinearModel, Numbers, Product

PRECISION: Final = 1e-4  # of a score; of a linear output beside the largest one
MAX_BITS: Final = 40  # behind the point, of a row's numbers or of weights
WORD: Final = 62  # bits of a signed word that a program may use
BEHIND: Final = 60  # bits behind the point that a logit may have
SLACK: Final = 1 + 2.0**-20  # for what is rounded up

_SLOPE: Final[dict[ActivationName, float]] = {
    "linear": 1.0,
    "sigmoid": 0.25,
    "softmax": 0.5,
}
"""How much a score changes, at most, when each logit changes by 1."""


@dataclass(frozen=True, slots=True)
class FixedPoint:
    """A linear model's program, and what its rounding can do to a logit."""

    program: Linear
    error: float


def fit(model: LinearModel, low: Numbers, high: Numbers) -> FixedPoint:
    """Choose the fixed point of a model for rows from low to high. Run by its owner.

    Args:
        model: From `lower`.
        low: Each feature's lowest value, shape (features,), float64.
        high: Each feature's highest.

    Raises:
        OperatorError: FS-220 naming the layer with the largest weights, when words
            cannot hold the logits that finely.
    """
    rows = np.maximum(np.abs(low), np.abs(high))
    bound = max(float(rows.max()), 2.0**-MAX_BITS)
    weight_bound = _power(model.weights)
    bias_bound = _power(model.bias)
    largest = model.features * bound * weight_bound + bias_bound
    spare = min(BEHIND, WORD - math.ceil(math.log2(largest * SLACK)))
    # Rounding x costs up to sum |W|, rounding W up to sum |x|; both known to a power.
    more = math.log2(weight_bound) - math.ceil(math.log2(bound))
    fraction_bits = min(MAX_BITS, max(0, math.floor((spare + more) / 2)))
    weight_bits = min(MAX_BITS, max(0, spare - fraction_bits))
    program = Linear(
        features=model.features,
        outputs=model.outputs,
        fraction_bits=fraction_bits,
        weight_bits=weight_bits,
        bound=_rounded_up(bound, fraction_bits),
        weight_bound=weight_bound,
        bias_bound=bias_bound,
    )
    error = _error(model, rows, program)
    _require(model, error, largest, program)
    return FixedPoint(program, error)


def _power(numbers: Numbers) -> float:
    """Return the next power of two above the largest absolute value."""
    largest = float(np.abs(numbers).max())
    return 2.0 ** max(math.ceil(math.log2(largest)), -MAX_BITS) if largest else 1.0


def _rounded_up(bound: float, bits: int) -> float:
    return math.ldexp(math.ceil(math.ldexp(bound, bits)), -bits)


def _error(model: LinearModel, rows: Numbers, program: Linear) -> float:
    """Return how far a logit can be off.

    (x + dx)(W + dW) - xW = dx W + (x + dx) dW, and b is off by half a step of its own.
    """
    x_step = 2.0 ** -(program.fraction_bits + 1)
    w_step = 2.0 ** -(program.weight_bits + 1)
    of_rows = float(np.abs(model.weights).sum(axis=0).max()) * x_step
    of_weights = float((rows + x_step).sum()) * w_step
    return of_rows + of_weights + x_step * w_step * 2


def _require(model: LinearModel, error: float, largest: float, program: Linear) -> None:
    scale = max(1.0, largest) if model.activation == "linear" else 1.0
    off = error * _SLOPE[model.activation] / scale
    try:
        plan(program)
        fits = off <= PRECISION
    except PeerError:
        fits = False
    if not fits:
        raise OperatorError(
            "FS-220",
            f"layer {_heaviest(model)!r}: with the ranges of the schema a logit could "
            f"reach {largest:.1e}, and in words that hold it scores are off by "
            f"{off:.1e}; at most {PRECISION:g}. Scale the columns, or train with "
            "smaller weights",
        )


def _heaviest(model: LinearModel) -> str:
    """Return the name of the Dense layer with the largest weights."""
    dense = [step for step in model.steps if isinstance(step, Product)]
    return max(dense, key=lambda step: float(np.abs(step.kernel).max())).name
