"""One row under Paillier: what its client and a server spend, and what phe would.

    client   encrypt every number of the row, decrypt both servers' answers
    server   one logit: every ciphertext to the power of a share's word, and summed up;
             ours adds a mask, and makes it fresh
    key      a key pair, with the table and the proof that go with it
    check    what a server does once for each key

phe's keys come without a proof. Its client opens as many answers.
"""

import secrets
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from fedsecure.core.homomorphic import answers, key_proof, keys, queries
from fedsecure.core.homomorphic.draws import Draws
from fedsecure.core.mask import SEED_BYTES
from fedsecure.core.mpc import ring, sharing
from fedsecure.core.mpc.program import Linear
from fedsecure_bench.peers import EXTRA, load_peer

FEATURES: Final = 30
BITS: Final = keys.DEFAULT_BITS
PROGRAM: Final = Linear(FEATURES, 1, 16, 16, 16.0, 8.0, 8.0)
CLIENT: Final = f"Paillier {BITS}: client"
SERVER: Final = f"Paillier {BITS}: server"
KEY: Final = f"Paillier {BITS}: key"
CHECK: Final = f"Paillier {BITS}: check of a key"
PHE_CLIENT: Final = f"phe {BITS}: client"
PHE_SERVER: Final = f"phe {BITS}: server"
PHE_KEY: Final = f"phe {BITS}: key"
COMPARED: Final = {PHE_CLIENT: CLIENT, PHE_SERVER: SERVER, PHE_KEY: KEY}
SLOW: Final = frozenset({KEY, PHE_KEY})
"""Steps whose time is a matter of luck: primes are searched for."""

Work = Callable[[], object]


def ours() -> Mapping[str, Work]:
    """Return our own steps, by name."""
    key = keys.generate(BITS, _seed())
    words = ring.encode(_row(), PROGRAM.fraction_bits, PROGRAM.bound)
    payload = queries.encrypt(key, words, _seed())
    query = queries.read_query(payload, BITS, words.shape)
    model, zeros = _model_share(), np.zeros(1, np.uint64)
    answer = answers.answer(PROGRAM, model, query, zeros, _seed())

    def client() -> None:
        queries.encrypt(key, words, _seed())
        for _ in range(2):
            queries.decrypt(key, answer, (1, 1))

    def server() -> None:
        queries.read_query(payload, BITS, words.shape)
        answers.answer(PROGRAM, model, query, zeros, _seed())

    def new_key() -> None:
        made = keys.generate(BITS, _seed())
        made.encrypt(0, Draws(_seed(), b"bench"))
        assert made.proof  # noqa: S101 - made here, on purpose

    def check() -> None:
        key_proof.require_proof.cache_clear()
        key_proof.require_proof(key.n, key.proof)

    return {CLIENT: client, SERVER: server, CHECK: check, KEY: new_key}


def by_phe() -> Mapping[str, Work]:
    """Return phe's steps, with gmpy2, without which it would be slower yet.

    Raises:
        Absent: It is not installed.
    """
    phe = load_peer("phe.paillier", "Paillier", EXTRA)
    public, private = phe.generate_paillier_keypair(n_length=BITS)
    numbers = [int(number) for number in np.rint(_row()[0] * 2**16)]
    words = [secrets.randbits(64) for _ in numbers]
    sent = [public.encrypt(number) for number in numbers]
    answer = sent[0] * 3

    def client() -> None:
        for number in numbers:
            public.encrypt(number)
        for _ in range(2):
            private.decrypt(answer)

    def server() -> None:
        sum(one * word for one, word in zip(sent, words, strict=True))

    def new_key() -> None:
        phe.generate_paillier_keypair(n_length=BITS)

    return {PHE_CLIENT: client, PHE_SERVER: server, PHE_KEY: new_key}


def _row() -> ring.Numbers:
    return np.random.default_rng(0).uniform(-8, 8, (1, FEATURES))


def _model_share() -> ring.Words:
    """Return one server's share of a model: uniform words, as every share is."""
    return sharing.stream_words(_seed(), (FEATURES + 1, 1))


def _seed() -> bytes:
    return secrets.token_bytes(SEED_BYTES)
