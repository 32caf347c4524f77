"""A logistic model of 784 features on shared rows, in this process; CKKS beside it.

client   encode, share, and open both answers
server   read its share, the product with W, and make the answer fresh; a vector's,
         with a seed there is no more to do than to expand it
CKKS     TenSEAL: encrypt each row, multiply by W (which the server knows), decrypt
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from fedsecure.core.mpc import evaluate, ring, sharing, zero_sharing
from fedsecure.core.mpc.plan import plan
from fedsecure.core.mpc.program import Linear
from fedsecure.core.mpc.sharing import InputContext
from fedsecure_bench.peers import load_tenseal

FEATURES: Final = 784
PROGRAM: Final = Linear(FEATURES, 1, 16, 16, 16.0, 8.0, 8.0)
ROWS: Final = (1, 100)
CLIENT: Final = "shares: client"
VECTOR: Final = "shares: server, vector"
SEED: Final = "shares: server, seed"
CKKS: Final = "CKKS 8192: client and server"
PLAIN: Final = "numpy, unprotected"
COMPARED: Final = {CLIENT: PLAIN, VECTOR: PLAIN, SEED: PLAIN, CKKS: CLIENT}

_SPEC: Final = bytes(32)
_KEYS: Final = (bytes(32), b"\1" * 32)

Work = Callable[[], object]


def numbers(rows: int) -> ring.Numbers:
    """Return rows, shape (rows, FEATURES), float64."""
    return np.random.default_rng(rows).uniform(-1, 1, (rows, FEATURES))


def weights() -> ring.Numbers:
    """Return W and b below it, shape (FEATURES + 1, 1), float64."""
    return np.random.default_rng(0).uniform(-1, 1, (FEATURES + 1, 1))


def model_words() -> ring.Words:
    """Return them as words, shape (FEATURES + 1, 1), uint64."""
    found = weights()
    return np.concatenate(
        [
            ring.encode(found[:-1], PROGRAM.weight_bits, PROGRAM.weight_bound),
            ring.encode(found[-1:], PROGRAM.bias_bits, PROGRAM.bias_bound),
        ]
    )


def ours(rows: int) -> Mapping[str, Work]:
    """Return our own steps on so many rows, and numpy's, by name."""
    x, model, known = numbers(rows), model_words(), plan(PROGRAM, rows)
    plain_model = weights()
    context = InputContext(_SPEC, bytes(16), "clinic", sharing.QUERY)

    def shared() -> sharing.InputSharing:
        words = ring.encode(x, PROGRAM.fraction_bits, PROGRAM.bound)
        return sharing.share(words, context, secrets.token_bytes(sharing.RAND_BYTES))

    made = shared()
    vector = ring.to_bytes(made.vector)

    def server(kind: sharing.ShareKind, sent: bytes) -> ring.Words:
        words = sharing.share_of(kind, sent, x.shape, context)
        found = evaluate.linear(PROGRAM, model, words, first=kind == "seed")
        zeros = zero_sharing.zero_words(
            _KEYS, zero_sharing.AnswerContext(_SPEC, "clinic", 1), found.size
        )
        return zero_sharing.refreshed(found, zeros, first=kind == "seed").reshape(-1)

    answers = server("seed", made.seed), server("vector", vector)

    def client() -> None:
        ring.to_bytes(shared().vector)
        evaluate.open_outputs(known, *answers)

    return {
        PLAIN: lambda: x @ plain_model[:-1] + plain_model[-1],
        CLIENT: client,
        SEED: lambda: server("seed", made.seed),
        VECTOR: lambda: server("vector", vector),
    }


def by_ckks() -> Mapping[int, Work]:
    """Return what TenSEAL does for as many rows, one ciphertext for each.

    Raises:
        Absent: It is not installed, or cannot run here.
    """
    tenseal = load_tenseal()
    context = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS,
        poly_modulus_degree=8192,
        coeff_mod_bit_sizes=[60, 40, 40, 60],
        n_threads=1,
    )
    context.global_scale = 2**40
    context.generate_galois_keys()
    found = weights()
    factor, bias = found[:-1, 0].tolist(), found[-1].tolist()

    def answer(rows: Sequence[Sequence[float]]) -> None:
        for row in rows:
            sent = tenseal.ckks_vector(context, row).serialize()
            answer = tenseal.ckks_vector_from(context, sent).dot(factor) + bias
            tenseal.ckks_vector_from(context, answer.serialize()).decrypt()

    return {rows: partial(answer, numbers(rows).tolist()) for rows in ROWS}
