"""What one server holds tells nothing of inputs, nor one answer of what made it.

Everything is shared, expanded and computed by the code that ships, with fixed seeds.
"""

import hashlib
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from fedsecure.core.mpc import evaluate, ring, sharing, zero_sharing
from fedsecure.core.mpc.program import Linear
from fedsecure.core.mpc.ring import Words
from fedsecure.core.mpc.sharing import InputContext, ShareKind
from fedsecure.errors import PeerError

Counts = NDArray[np.int64]  # shape (256,), how often each byte came

SHAPE = (32, 64)
INPUTS = 64
FREEDOM = 255
LIMIT = FREEDOM + 5 * math.sqrt(2 * FREEDOM)  # five standard deviations
SPEC = bytes(32)


def rand(name: str, size: int) -> bytes:
    return hashlib.shake_256(name.encode()).digest(size)


def held(kind: ShareKind, words: Words, name: str) -> Words:
    """Share words, send one share, and read it as the server does."""
    context = InputContext(SPEC, rand(f"id {name}", 16), "clinic", "x")
    made = sharing.share(words, context, rand(name, sharing.RAND_BYTES))
    sent = made.seed if kind == "seed" else ring.to_bytes(made.vector)
    return sharing.share_of(kind, sent, SHAPE, context)


def counts(words: Words) -> Counts:
    return np.bincount(words.reshape(-1).view(np.uint8), minlength=256)


def of_constant(kind: ShareKind, value: float) -> Counts:
    words = ring.encode(np.full(SHAPE, value), 16, 1000.0)
    shares = (held(kind, words, f"{kind} {value} {i}") for i in range(INPUTS))
    return np.sum([counts(one) for one in shares], axis=0)


def unlike_uniform(found: Counts) -> float:
    expected = found.sum() / found.size
    return float(((found - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("kind", ["seed", "vector"])
def test_shares_are_uniform_and_alike_for_any_two_inputs(kind: ShareKind) -> None:
    zero, full = of_constant(kind, 0.0), of_constant(kind, -1000.0)
    assert unlike_uniform(zero) < LIMIT
    assert unlike_uniform(full) < LIMIT
    assert ((zero - full) ** 2 / (zero + full)).sum() < LIMIT


def test_the_words_themselves_are_far_from_uniform() -> None:
    """The comparison above would find a share that held the input."""
    words = ring.encode(np.linspace(-1000, 1000, 2048).reshape(SHAPE), 16, 1000.0)
    assert unlike_uniform(counts(words)) > 10 * LIMIT
    shares = held("seed", words, "both"), held("vector", words, "both")
    assert np.array_equal(sharing.combine(*shares), words)


PROGRAM = Linear(2, 256, 16, 16, 8.0, 8.0, 8.0)
X = np.array([[1.0, 1.0]])


def models() -> tuple[Words, Words]:
    """Return two models that give the same logits of X from different weights."""
    steep = np.rint(np.linspace(-4, 4, 256) * 256) / 256
    pair = []
    for first in (steep, -steep):
        weights = np.stack([first, steep[::-1] - first])
        pair.append(
            np.concatenate(
                [
                    ring.encode(weights, 16, 16.0),
                    np.zeros((1, 256), np.uint64),
                ]
            )
        )
    return pair[0], pair[1]


def answers(model: Words, name: str, *, fresh: bool) -> tuple[Words, Words]:
    """Answer one query whose shares the client knows: the same ones every time."""
    context = InputContext(SPEC, bytes(16), "clinic", sharing.QUERY)
    made = sharing.share(ring.encode(X, 16, 8.0), context, rand("query", 33))
    first = evaluate.linear(
        PROGRAM, model, sharing.expand(made.seed, (1, 2), context), first=True
    )
    second = evaluate.linear(PROGRAM, model, made.vector, first=False)
    keys = rand(f"a {name}", 32), rand(f"b {name}", 32)
    zeros = zero_sharing.zero_words(
        keys, zero_sharing.AnswerContext(SPEC, "clinic", 1), first.size
    )
    if not fresh:
        return first, second
    return (
        zero_sharing.refreshed(first, zeros, first=True),
        zero_sharing.refreshed(second, zeros, first=False),
    )


def test_two_answers_tell_their_sum_and_nothing_of_what_made_it() -> None:
    one, other = models()
    sums, found = [], []
    for place, model in enumerate((one, other)):
        pairs = [answers(model, f"{place} {i}", fresh=True) for i in range(INPUTS)]
        sums += [(first + second).tobytes() for first, second in pairs]
        found.append(
            [np.sum([counts(pair[side]) for pair in pairs], axis=0) for side in (0, 1)]
        )
    assert len(set(sums)) == 1
    for side in (0, 1):
        a, b = found[0][side], found[1][side]
        assert unlike_uniform(a) < LIMIT
        assert unlike_uniform(b) < LIMIT
        assert ((a - b) ** 2 / (a + b)).sum() < LIMIT


def test_answers_that_are_not_made_fresh_tell_the_model() -> None:
    """A client that knows its shares reads a second product of the weights."""
    one, other = (answers(model, "", fresh=False) for model in models())
    assert np.array_equal(one[0] + one[1], other[0] + other[1])
    assert not np.array_equal(one[0], other[0])


def test_zero_is_shared_anew_for_each_job_client_and_query() -> None:
    context = zero_sharing.AnswerContext
    keys = b"k" * 32, b"K" * 32
    found = {
        zero_sharing.zero_words(pair, facts, 4).tobytes()
        for pair, facts in [
            (keys, context(SPEC)),
            (keys, context(SPEC, "clinic", 1)),
            (keys, context(SPEC, "clinic", 2)),
            (keys, context(SPEC, "clinic-b", 1)),
            (keys, context(b"S" * 32, "clinic", 1)),
            (keys[::-1], context(SPEC)),
            ((b"j" * 32, keys[1]), context(SPEC)),
            ((keys[0], b"J" * 32), context(SPEC)),
        ]
    }
    assert len(found) == 8


@pytest.mark.parametrize(("spec", "key"), [(31, 32), (32, 31), (32, 33)])
def test_zero_is_not_shared_from_facts_of_another_size(spec: int, key: int) -> None:
    with pytest.raises(PeerError, match="FS-726"):
        zero_sharing.zero_words(
            (bytes(32), bytes(key)), zero_sharing.AnswerContext(bytes(spec)), 1
        )
