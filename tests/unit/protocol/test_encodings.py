import base64
from contextlib import suppress
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from hypothesis import given, strategies as st
from pydantic import TypeAdapter, ValidationError

from fedsecure.protocol.encodings import (
    Base64Key,
    Digest,
    ReportId,
    SealingPublicKey,
    base64url,
    from_base64url,
)

P = 2**255 - 19
ORDER_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"


@given(st.binary(max_size=100))
def test_bytes_come_back(value: bytes) -> None:
    text = base64url(value)
    assert from_base64url(text) == value
    assert text == base64.urlsafe_b64encode(value).decode().replace("=", "")


@given(st.binary(max_size=20), st.text(max_size=6), st.integers(0, 30))
def test_bytes_have_one_spelling(value: bytes, more: str, place: int) -> None:
    text = base64url(value)
    other = text[:place] + more + text[place:]
    with suppress(ValueError):
        assert base64url(from_base64url(other)) == other


@pytest.mark.parametrize(
    "text",
    ["AA==", "AB", "A", "A+A", "A/A", "AA\n", " AA", "A\0A", "ÄA", "\ud800", "="],
)
def test_other_spellings_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64url"):
        from_base64url(text)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Digest, "0af" * 21 + "1", ["0af" * 21, "0AF" * 21 + "1", "0af" * 21 + "1\n"]),
        (ReportId, "0" * 32, ["0" * 31, "0" * 31 + "g", "0" * 33, "\uff10" * 32]),
        (SealingPublicKey, base64url(bytes(1216)), [base64url(bytes(1215)), ""]),
    ],
)
def test_texts_have_one_size_and_alphabet(kind: Any, good: str, bad: list[str]) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(kind)
    assert adapter.validate_python(good) == good
    for text in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(text)


def small_order_keys() -> list[bytes]:
    """Every encoding of a point whose order divides 8, also those not reduced."""
    y8 = int.from_bytes(bytes.fromhex(ORDER_8), "little")
    ys = {0, 1, P - 1, P, P + 1, y8, P - y8}
    return [(y + sign).to_bytes(32, "little") for y in ys for sign in (0, 2**255)]


@pytest.mark.parametrize("key", small_order_keys(), ids=bytes.hex)
def test_a_key_for_which_anybody_can_sign_is_refused(key: bytes) -> None:
    with pytest.raises(ValidationError, match="anybody can sign"):
        TypeAdapter(Base64Key).validate_python(base64url(key))


def test_such_keys_would_be_accepted_by_the_library() -> None:
    # The reason for the check above: these signatures were made without a key.
    zero, forged = Ed25519PublicKey.from_public_bytes(bytes(32)), 0
    for number in range(64):
        for first in small_order_keys():
            with suppress(InvalidSignature):
                zero.verify(first + bytes(32), b"message %d" % number)
                forged += 1
    assert forged > 0


@given(st.binary(min_size=32, max_size=32))
def test_keys_that_were_made_from_a_seed_are_accepted(seed: bytes) -> None:
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    assert TypeAdapter(Base64Key).validate_python(base64url(key)) == base64url(key)
