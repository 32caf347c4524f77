"""Signatures that stand beside a readable file: JWS with detached content.

    text   = base64url(header) .. base64url(signature)          (RFC 7515, appendix F)
    header = {"alg":"EdDSA","kid":<name>,"typ":<type>}, those keys in that order
    signed = base64url(header) . base64url(canonical content)   (RFC 8785, UTF-8)

The types are `identity` and `federation`; no statement has one of these.
"""

from collections.abc import Mapping
from typing import Any, Final

import jwt
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from fedsecure.protocol.encodings import base64url, from_base64url

ALGORITHM: Final = "EdDSA"
MAX_TEXT: Final = 1000  # characters

_jws: Final = jwt.PyJWS(algorithms=[ALGORITHM])


def sign(
    content: Mapping[str, Any], typ: str, name: str, key: Ed25519PrivateKey
) -> str:
    """Sign content that is kept elsewhere."""
    token = _jws.encode(
        rfc8785.dumps(dict(content)),
        key,
        algorithm=ALGORITHM,
        headers={"typ": typ, "kid": name},
    )
    header, _, signature = token.split(".")
    return f"{header}..{signature}"


def verify(
    text: str, content: Mapping[str, Any], typ: str, name: str, key: Ed25519PublicKey
) -> None:
    """Check who signed what.

    The steps, in order:
        (1) it is a header and a signature in canonical base64url, and not too long;
        (2) the header is exactly that of this name and type;
        (3) the signature over header and content is made with this key.

    Raises:
        ValueError: One of them does not hold.
    """
    if not len(text) <= MAX_TEXT:
        msg = "the signature is too long"
        raise ValueError(msg)
    header, _, signature = text.partition("..")
    expected = b'{"alg":"EdDSA","kid":"%s","typ":"%s"}' % (name.encode(), typ.encode())
    if from_base64url(header) != expected:  # (1), (2)
        msg = f"not the signature of {name} over its {typ}"
        raise ValueError(msg)
    signed = f"{header}.{base64url(rfc8785.dumps(dict(content)))}".encode("ascii")
    try:
        key.verify(from_base64url(signature), signed)  # (3)
    except InvalidSignature as error:
        msg = f"the signature of {name} does not fit"
        raise ValueError(msg) from error
