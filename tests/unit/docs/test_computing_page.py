"""docs/computing.md: what it warns of is possible, and what it shows runs."""

import numpy as np

from fedsecure.core.mpc import evaluate, ring
from fedsecure.core.mpc.program import Linear
from fedsecure.core.mpc.ring import Words
from fedsecure.core.mpc.sharing import combine

FEATURES, BITS = 3, 16
MODEL = Linear(FEATURES, 1, BITS, BITS, bound=8.0, weight_bound=4.0, bias_bound=4.0)
RNG = np.random.default_rng(7)
WEIGHTS = RNG.uniform(-4, 4, (FEATURES, 1))
BIAS = np.array([[0.75]])


def served(rows: Words) -> Words:
    """What both aggregators answer to rows of any words, opened."""
    model = np.vstack(
        [ring.encode(WEIGHTS, BITS, 4.0), ring.encode(BIAS, 2 * BITS, 4.0)]
    )
    mine = RNG.integers(0, 2**64, rows.shape, np.uint64)
    return combine(
        evaluate.linear(MODEL, model, mine, first=True),
        evaluate.linear(MODEL, model, rows - mine, first=False),
    )


def test_as_many_answers_as_features_and_one_more_are_the_model() -> None:
    rows = RNG.uniform(-8, 8, (FEATURES + 1, FEATURES))
    answers = ring.decode(served(ring.encode(rows, BITS, 8.0)), 2 * BITS)
    equations = np.hstack([rows, np.ones((FEATURES + 1, 1))])
    found = np.linalg.solve(equations, answers)
    np.testing.assert_allclose(found, np.vstack([WEIGHTS, BIAS]), atol=1e-3)


def test_a_client_that_packs_weights_into_one_answer_needs_fewer() -> None:
    nothing = np.zeros((1, FEATURES), np.uint64)
    places = np.array([[1, 2**21, 2**42]], np.uint64)  # no number of any patient
    packed = int((served(places) - served(nothing))[0, 0])
    found = []
    for _ in range(FEATURES):
        word = ((packed & (2**21 - 1)) ^ 2**20) - 2**20  # signed, 21 bits
        found.append(word)
        packed = (packed - word) >> 21
    wanted = ring.encode(WEIGHTS, BITS, 4.0).view(np.int64).ravel().tolist()
    assert found == wanted
