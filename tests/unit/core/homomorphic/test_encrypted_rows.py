"""A client's rows, encrypted, answered by two servers who share the model."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fedsecure.core.homomorphic import answers, keys, queries
from fedsecure.core.homomorphic.keys import SecretKey
from fedsecure.core.homomorphic.queries import EncryptedRows
from fedsecure.core.mpc import evaluate, ring, sharing, zero_sharing
from fedsecure.core.mpc.plan import plan
from fedsecure.core.mpc.program import Linear
from fedsecure.core.mpc.ring import Words
from fedsecure.errors import PeerError
from tests.unit.core.homomorphic.small_key import SMALL, seed

BITS = 2048
PROGRAM = Linear(3, 2, 16, 16, 50.0, 4.0, 10.0)
SHAPE = (2, 3)
X = np.array([[50.0, -50.0, 0.25], [-1.5, 3.0, 0.0]])
W = np.array([[4.0, -4.0], [0.5, 1.0], [-2.0, 3.25]])
B = np.array([[10.0, -10.0]])


def model_words() -> Words:
    bias = ring.encode(B, PROGRAM.bias_bits, 10.0)
    return np.concatenate([ring.encode(W, 16, 4.0), bias])


def zeros(count: int, query: int = 1) -> Words:
    context = zero_sharing.AnswerContext(bytes(32), "clinic", query)
    return zero_sharing.zero_words((b"k" * 32, b"K" * 32), context, count)


@pytest.fixture(scope="module")
def key() -> SecretKey:
    return keys.generate(BITS, seed("key"))


@pytest.fixture(scope="module")
def payload(key: SecretKey) -> bytes:
    return queries.encrypt(key, ring.encode(X, 16, 50.0), seed("rows"))


def changed(payload: bytes, start: int, number: int, size: int) -> bytes:
    return payload[:start] + number.to_bytes(size) + payload[start + size :]


def test_both_servers_answers_open_to_the_logits(
    key: SecretKey, payload: bytes
) -> None:
    context = sharing.InputContext(bytes(32), bytes(16), "owner", "model")
    made = sharing.share(model_words(), context, bytes(33))
    shares = sharing.expand(made.seed, (4, 2), context), made.vector
    query = queries.read_query(payload, BITS, SHAPE)
    parts = zeros(4), -zeros(4)
    opened = []
    for name, (share, part) in enumerate(zip(shares, parts, strict=True)):
        data = answers.answer(PROGRAM, share, query, part, seed(f"server {name}"))
        assert len(data) == queries.answer_bytes(BITS, 2, 2)
        opened.append(queries.decrypt(key, data, (2, 2)).reshape(-1))
    logits = evaluate.open_outputs(plan(PROGRAM, rows=2), *opened)["logits"]
    assert np.abs(logits - (X @ W + B)).max() == 0  # these are exact in fixed point


TINY = Linear(2, 1, 8, 8, 64.0, 8.0, 8.0)
WORD = st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1])
LARGEST = ring.largest_word(64.0, 8)
NUMBER = st.integers(-LARGEST, LARGEST) | st.sampled_from([-LARGEST, LARGEST])


@settings(deadline=None, max_examples=100)
@given(
    st.lists(NUMBER, min_size=2, max_size=2),
    st.lists(WORD, min_size=3, max_size=3),
    WORD,
    st.binary(min_size=32, max_size=32),
)
def test_a_servers_plaintext_never_wraps_and_is_its_share_of_the_logit(
    row: list[int], words: list[int], zero: int, rand: bytes
) -> None:
    rows = tuple(SMALL.encrypt(x, 2 + place) for place, x in enumerate(row))
    model = np.array(words, np.uint64).reshape(3, 1)
    part = np.array([zero], np.uint64)
    query = EncryptedRows(SMALL.n, (rows,))
    (plain,) = SMALL.opened(answers.answer(TINY, model, query, part, rand))
    own = sum(x * w for x, w in zip(row, words[:2], strict=True)) + words[2]
    margin = answers.margin(TINY)
    assert abs(own) <= margin
    assert 0 <= plain - own - margin < SMALL.n - 2 * margin  # as integers, not mod n
    assert (plain - own - zero) % 2**64 == 0


def test_a_key_that_is_too_short_for_the_model_is_refused() -> None:
    wide = replace(TINY, bound=2.0**52, fraction_bits=8)
    n = SMALL.primes[0] >> 80
    query = EncryptedRows(n, ((2, 3),))
    with pytest.raises(PeerError, match=r"FS-223.*240 bits is too short"):
        answers.answer(wide, np.ones((3, 1), np.uint64), query, zeros(1), bytes(32))


@pytest.mark.parametrize(
    ("model", "rows", "part"),
    [((2, 1), 2, 1), ((3, 2), 2, 1), ((3, 1), 1, 1), ((3, 1), 2, 2)],
)
def test_shapes_that_do_not_belong_together_are_refused(
    model: tuple[int, int], rows: int, part: int
) -> None:
    query = EncryptedRows(SMALL.n, ((2, 3)[:rows],))
    with pytest.raises(PeerError, match="FS-730"):
        answers.answer(TINY, np.ones(model, np.uint64), query, zeros(part), bytes(32))


def test_a_query_is_key_proof_and_ciphertexts(key: SecretKey, payload: bytes) -> None:
    assert len(payload) == queries.query_bytes(BITS, *SHAPE)
    assert len(payload) == 256 * 12 + 512 * 6
    assert int.from_bytes(payload[:256]) == key.n
    query = queries.read_query(payload, BITS, SHAPE)
    signed = [int(key.decrypt(c)) for row in query.rows for c in row]
    expected = ring.encode(X, 16, 50.0).view(np.int64).reshape(-1).tolist()
    assert signed == [number % int(key.n) for number in expected]


@pytest.mark.parametrize("change", [-512, -1, 1, 512])
def test_a_query_of_another_length_is_refused(payload: bytes, change: int) -> None:
    data = payload[:change] if change < 0 else payload + bytes(change)
    with pytest.raises(PeerError, match=r"FS-731.*bytes"):
        queries.read_query(data, BITS, SHAPE)


def test_a_key_of_another_length_or_an_even_one_is_refused(payload: bytes) -> None:
    n = int.from_bytes(payload[:256])
    for wrong in (n >> 1, n - 1, 0, 1):
        with pytest.raises(PeerError, match=r"FS-731.*the key has"):
            queries.read_query(changed(payload, 0, wrong, 256), BITS, SHAPE)


def test_a_key_without_its_proof_is_refused(payload: bytes) -> None:
    with pytest.raises(PeerError, match=r"FS-731.*root 0"):
        queries.read_query(changed(payload, 256, 5, 256), BITS, SHAPE)


def test_what_is_no_ciphertext_is_refused_wherever_it_stands(
    key: SecretKey, payload: bytes
) -> None:
    n = int(key.n)
    wrong = (0, n, n * n, n * n + 1, 2**4096 - 1, int(key.first.value), n * 5)
    for place, number in enumerate(wrong):
        start = 256 * 12 + 512 * (place % 6)
        with pytest.raises(PeerError, match=f"FS-731.*ciphertext {place % 6 + 1} of 6"):
            queries.read_query(changed(payload, start, number, 512), BITS, SHAPE)


def test_an_answer_is_read_as_strictly(key: SecretKey) -> None:
    for data in (bytes(511), bytes(513), bytes(512), int(key.n).to_bytes(512)):
        with pytest.raises(PeerError, match="FS-731"):
            queries.decrypt(key, data, (1, 1))
