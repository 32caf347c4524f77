"""A seed and a vector add up to the words; either is bound to its context."""

import hmac
from dataclasses import replace

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from fedsecure.core.mpc import ring, sharing
from fedsecure.core.mpc.ring import Words
from fedsecure.core.mpc.sharing import InputContext
from fedsecure.errors import PeerError

CONTEXT = InputContext(b"s" * 32, b"i" * 16, "clinic-a", "ages")
RAND = bytes(range(32)) + b"\1"


@given(arrays(np.uint64, (3, 2)), st.binary(min_size=33, max_size=33))
def test_both_servers_shares_add_up_to_the_words(words: Words, rand: bytes) -> None:
    made = sharing.share(words, CONTEXT, rand)
    seed = sharing.share_of("seed", made.seed, (3, 2), CONTEXT)
    vector = sharing.share_of("vector", ring.to_bytes(made.vector), (3, 2), CONTEXT)
    assert np.array_equal(sharing.combine(seed, vector), words)


def test_the_stream_is_that_of_masks_under_a_label_of_its_own() -> None:
    """The oracle: HKDF of RFC 5869 written out, and plain AES-256-CTR."""
    info = (
        b"fedsecure v1 mask input\0" + b"s" * 32 + b"i" * 16 + b"\0\x08clinic-a\0\4ages"
    )
    extracted = hmac.digest(bytes(32), RAND[:32], "sha256")
    key = hmac.digest(extracted, info + b"\1", "sha256")
    block = bytes(12) + (2).to_bytes(4)
    stream = Cipher(algorithms.AES(key), modes.CTR(block)).encryptor().update(bytes(48))
    expected = np.frombuffer(stream, "<u8").reshape(3, 2)
    assert np.array_equal(sharing.expand(RAND[:32], (3, 2), CONTEXT), expected)


def test_every_fact_of_the_context_changes_the_stream() -> None:
    others = [
        replace(CONTEXT, spec_digest=b"S" * 32),
        replace(CONTEXT, input_id=b"I" * 16),
        replace(CONTEXT, owner="clinic-b"),
        replace(CONTEXT, name="age"),
        replace(CONTEXT, owner="clinic-aages", name=""),
    ]
    streams = {
        sharing.expand(bytes(32), (1, 4), context).tobytes()
        for context in (CONTEXT, *others)
    }
    assert len(streams) == 1 + len(others)


def test_a_coin_says_which_server_gets_the_seed() -> None:
    words = np.zeros((1, 1), np.uint64)
    sides = [
        sharing.share(words, CONTEXT, bytes(32) + bytes([coin])).seed_to_first
        for coin in (0, 1, 254, 255)
    ]
    assert sides == [False, True, False, True]


def test_shares_are_not_printed() -> None:
    made = sharing.share(np.full((1, 1), 77, np.uint64), CONTEXT, RAND)
    assert repr(made) == "InputSharing()"


@pytest.mark.parametrize(("kind", "size"), [("seed", 31), ("seed", 48), ("vector", 40)])
def test_a_share_of_another_length_is_refused(
    kind: sharing.ShareKind, size: int
) -> None:
    with pytest.raises(PeerError, match=f"FS-730.*{size} bytes"):
        sharing.share_of(kind, bytes(size), (3, 2), CONTEXT)


def test_shares_of_different_shapes_are_not_added() -> None:
    with pytest.raises(PeerError, match="FS-730"):
        sharing.combine(np.zeros((3, 1), np.uint64), np.zeros((1, 3), np.uint64))


@pytest.mark.parametrize(("spec", "input_id"), [(31, 16), (32, 15), (0, 16)])
def test_a_context_of_the_wrong_size_is_refused(spec: int, input_id: int) -> None:
    with pytest.raises(PeerError, match="FS-726"):
        InputContext(bytes(spec), bytes(input_id), "clinic-a", "ages")


def test_the_textbook_example_modulo_ten() -> None:
    """5 = 7 + 8 and 5 = 1 + 4 mod 10: each server adds its shares; 5 + 5 opens as 0."""
    first, second = (7, 1), (8, 4)
    assert [sum(pair) % 10 for pair in zip(first, second, strict=True)] == [5, 5]
    assert (sum(first) + sum(second)) % 10 == 0
