"""The text forms of bytes in statements, files and tables, each with one spelling.

Digests and identifiers are lower-case hex, so that they can be compared with what
`sha256sum` prints; keys are unpadded base64url (RFC 4648, section 5). A second
spelling of the same bytes is refused, or one statement could have two digests.
"""

import base64
import binascii
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

from fedsecure.system.wording import form

SIGNING_KEY_BYTES: Final = 32  # Ed25519, RFC 8032
SEALING_KEY_BYTES: Final = 1216  # ML-KEM-768 (1184) and X25519 (32)

_P: Final = 2**255 - 19  # Ed25519 computes modulo this
_ORDER_8: Final = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    "little",
)
_SMALL_ORDER: Final = frozenset({0, 1, _P - 1, _ORDER_8, _P - _ORDER_8})
"""The y coordinates of the curve's eight points of order 1, 2, 4 and 8."""


def base64url(value: bytes) -> str:
    """Encode without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes:
    """Decode the one canonical form.

    Raises:
        ValueError: Padding, foreign characters or stray bits at the end.
    """
    try:
        value = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        msg = "not base64url"
        raise ValueError(msg) from error
    if base64url(value) != text:
        msg = "not the canonical form of base64url"
        raise ValueError(msg)
    return value


def _of_size(size: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(from_base64url(text)) != size:
            msg = f"not {size} bytes"
            raise ValueError(msg)
        return text

    return AfterValidator(check)


def _that_only_its_owner_signs_for(text: str) -> str:
    # With a key of small order, such as 32 zero bytes, anybody can make signatures.
    y = int.from_bytes(from_base64url(text), "little") % 2**255  # less the sign of x
    if not y < _P or y in _SMALL_ORDER:
        msg = "a key for which anybody can sign"
        raise ValueError(msg)
    return text


Digest = Annotated[
    str, StringConstraints(pattern=form(r"^[0-9a-f]{64}$", "64 hex digits"))
]
"""A SHA-256 digest in hex."""

ReportId = Annotated[
    str, StringConstraints(pattern=form(r"^[0-9a-f]{32}$", "32 hex digits"))
]
"""16 random bytes in hex, the same at both aggregators."""

Base64Key = Annotated[
    str, _of_size(SIGNING_KEY_BYTES), AfterValidator(_that_only_its_owner_signs_for)
]
SealingPublicKey = Annotated[str, _of_size(SEALING_KEY_BYTES)]
