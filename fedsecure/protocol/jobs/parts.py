"""What statements about jobs are made of beside plain fields."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from fedsecure.core.sealing.sealing_key import SEALED_KEY_BYTES
from fedsecure.protocol.encodings import from_base64url
from fedsecure.system.wording import form

MIN_KEY_BITS: Final = 2048  # of a client's Paillier key
MAX_KEY_BITS: Final = 4096


class JobKind(StrEnum):
    """What a job is for."""

    SHARES = "shares"  # parties share numbers, one of them opens what is asked
    LINEAR = "linear"  # a service: a linear model answers rows of clients


class Method(StrEnum):
    """How a service keeps rows secret."""

    SHARES = "shares"  # rows are shared; both aggregators know the weights
    PAILLIER = "paillier"  # rows are encrypted; the weights are shared


class InputKind(StrEnum):
    """What the payload of an input or of a query holds."""

    SEED = "seed"  # one addend, as the seed that it is expanded from
    VECTOR = "vector"  # the other addend
    PUBLIC = "public"  # the words themselves, the same for both aggregators
    CIPHERTEXTS = "ciphertexts"  # a client's public key, and its rows under that key


def _a_sealed_key(text: str) -> str:
    if len(from_base64url(text)) != SEALED_KEY_BYTES:
        msg = f"not {SEALED_KEY_BYTES} bytes"
        raise ValueError(msg)
    return text


SealedKey = Annotated[str, AfterValidator(_a_sealed_key)]
"""A content key of 32 bytes, sealed to a receiver's key (`core.sealing`), base64url."""

ValueName = Annotated[
    str,
    Field(
        pattern=form(
            r"^[A-Za-z_][A-Za-z0-9_]{0,63}$",
            "of letters, digits and _, not a digit first, 64 characters at most",
        )
    ),
]
"""A value's name in a program, as in Python; it is safe in paths."""
