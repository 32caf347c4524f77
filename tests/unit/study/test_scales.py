"""The fixed point of a service is exact enough for all rows of its schema."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fedsecure.core.mpc import ring
from fedsecure.core.mpc.evaluate import linear, open_outputs
from fedsecure.core.mpc.plan import plan
from fedsecure.core.mpc.program import LOGITS
from fedsecure.errors import OperatorError
from fedsecure.study.lowering.description import ActivationName, scores
from fedsecure.study.lowering.linear import LinearModel, Product, Scaling
from fedsecure.study.lowering.scales import PRECISION, FixedPoint, fit

ACTIVATIONS: list[ActivationName] = ["linear", "sigmoid", "softmax"]
SCALES = st.floats(-4, 1.3).map(lambda power: 10.0**power)


def model_of(
    weights: np.ndarray, bias: np.ndarray, activation: ActivationName = "sigmoid"
) -> LinearModel:
    return LinearModel(weights, bias, activation, (Product("last", weights, bias),))


def answered(model: LinearModel, fixed: FixedPoint, rows: np.ndarray) -> np.ndarray:
    """Return what two servers' words open to."""
    program, rand = fixed.program, np.random.default_rng(1)
    words = np.vstack(
        [
            ring.encode(model.weights, program.weight_bits, program.weight_bound),
            ring.encode(model.bias[None], program.bias_bits, program.bias_bound),
        ]
    )
    query = ring.encode(rows, program.fraction_bits, program.bound)
    share = rand.integers(0, 2**64, query.shape, np.uint64)
    planned = plan(program, len(rows))
    halves = [
        linear(program, words, share, first=True),
        linear(program, words, query - share, first=False),
    ]
    return open_outputs(planned, *(half.reshape(-1) for half in halves))[LOGITS]


@given(
    st.integers(1, 60),
    st.integers(1, 4),
    st.sampled_from(ACTIVATIONS),
    SCALES,
    SCALES,
    st.integers(0, 2**32),
)
def test_scores_in_fixed_point_are_those_of_float64(
    features: int,
    outputs: int,
    activation: ActivationName,
    of_rows: float,
    of_weights: float,
    seed: int,
) -> None:
    rand = np.random.default_rng(seed)
    high = rand.uniform(0, of_rows, features)
    low = -rand.uniform(0, of_rows, features)
    weights = rand.normal(0, of_weights, (features, outputs))
    model = model_of(weights, rand.normal(0, of_weights, outputs), activation)
    fixed = fit(model, low, high)
    rows = np.vstack([low, high, rand.uniform(low, high, (30, features))])
    exact, found = model.logits(rows), answered(model, fixed, rows)
    noise = 1e-12 * np.abs(exact).max()  # of float64 itself
    assert np.abs(found - exact).max() <= fixed.error + noise
    off = np.abs(scores(activation, found) - scores(activation, exact)).max()
    largest = max(1.0, float(np.abs(exact).max()))
    assert off <= PRECISION * (largest if activation == "linear" else 1)


def test_numbers_that_words_cannot_hold_finely_are_refused_with_the_layer() -> None:
    large = np.full((20, 1), 1e9)
    steps = (
        Scaling("first", np.ones(20), np.ones(20)),
        Product("last", large, large[0]),
    )
    model = LinearModel(large, large[0], "sigmoid", steps)
    with pytest.raises(OperatorError) as caught:
        fit(model, np.full(20, -1e9), np.full(20, 1e9))
    assert caught.value.code == "FS-220"
    assert "layer 'last'" in caught.value.detail
    assert "2.1e+19" in caught.value.detail


def test_a_program_tells_of_weights_only_the_power_of_two_above_the_largest() -> None:
    weights = np.array([[0.3], [-1.7], [0.01]])
    program = fit(model_of(weights, np.array([0.2])), -np.ones(3), np.ones(3)).program
    assert (program.weight_bound, program.bias_bound) == (2.0, 0.25)
    others = np.array([[1.1], [1.2], [1.3]])
    other = fit(model_of(others, np.array([0.13])), -np.ones(3), np.ones(3)).program
    assert other == program


def test_a_model_of_zeros_has_a_program() -> None:
    fixed = fit(model_of(np.zeros((2, 1)), np.zeros(1)), np.zeros(2), np.zeros(2))
    rows = np.zeros((3, 2))
    assert not answered(model_of(np.zeros((2, 1)), np.zeros(1)), fixed, rows).any()
