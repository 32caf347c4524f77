"""The text forms of bytes in statements, files and tables, each with one spelling.

Digests and identifiers are lower-case hex, so that they can be compared with what
`sha256sum` prints; keys are unpadded base64url (RFC 4648, section 5). A second
spelling of the same bytes is refused, or one statement could have two digests.
"""

import base64
import binascii
from typing import Annotated, Final

from pydantic import AfterValidator, StringConstraints

SIGNING_KEY_BYTES: Final = 32  # Ed25519, RFC 8032
SEALING_KEY_BYTES: Final = 1216  # ML-KEM-768 (1184) and X25519 (32)


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


Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 digest in hex."""

ReportId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""16 random bytes in hex, the same at both aggregators."""

Base64Key = Annotated[str, _of_size(SIGNING_KEY_BYTES)]
SealingPublicKey = Annotated[str, _of_size(SEALING_KEY_BYTES)]
