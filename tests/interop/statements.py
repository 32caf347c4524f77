"""Statements, their digests and their one spelling: page, "Signed statements"."""

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

Content = Mapping[str, Any]


def canonical(content: Any) -> bytes:
    """RFC 8785."""
    return _json(content).encode("utf-8")


def _json(value: Any) -> str:
    if isinstance(value, Mapping):
        # In the order of UTF-16 code units; all keys are strings.
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{_json(key)}:{_json(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_json, value)) + "]"
    if isinstance(value, float):
        return _number(value)
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    """A double as ECMAScript writes it."""
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    digits, _, exponent = repr(value).partition("e")
    if exponent and -7 < int(exponent) < 0:  # Python's 1e-05 is 0.00001
        return format(Decimal(repr(value)), "f")
    return f"{digits}e{int(exponent):+d}" if exponent else digits


def base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode("ascii").rstrip("=")


def unbase64url(text: str) -> bytes:
    content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if base64url(content) != text:
        raise ValueError("not canonical base64url")
    return content


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def digest(token: str) -> str:
    """What names a statement: its header and payload, without the signature."""
    return sha256(token.rpartition(".")[0].encode("ascii"))


def header(signer: str, typ: str) -> bytes:
    return f'{{"alg":"EdDSA","kid":"{signer}","typ":"{typ}"}}'.encode("ascii")


@dataclass(frozen=True)
class Signer:
    """A name, and the private key that signs for it."""

    name: str
    key: Ed25519PrivateKey

    @classmethod
    def new(cls, name: str) -> "Signer":
        return cls(name, Ed25519PrivateKey.generate())

    @property
    def public(self) -> str:
        return base64url(self.key.public_key().public_bytes_raw())

    def sign(self, typ: str, content: Content) -> str:
        """A token."""
        text = f"{base64url(header(self.name, typ))}.{base64url(canonical(content))}"
        return f"{text}.{base64url(self.key.sign(text.encode('ascii')))}"

    def sign_detached(self, typ: str, content: Content) -> str:
        """A JWS with detached content."""
        first, _, signature = self.sign(typ, content).split(".")
        return f"{first}..{signature}"


def verify(token: str, typ: str, signer: str, key: str) -> dict[str, Any]:
    """Check a token as section "Everybody: a token" says, and return its payload."""
    first, payload, signature = token.split(".")
    if unbase64url(first) != header(signer, typ):
        raise ValueError(f"not a {typ} of {signer}")
    try:
        Ed25519PublicKey.from_public_bytes(unbase64url(key)).verify(
            unbase64url(signature), f"{first}.{payload}".encode("ascii")
        )
    except InvalidSignature as error:
        raise ValueError(f"a {typ} in the name of {signer}") from error
    content: dict[str, Any] = json.loads(unbase64url(payload))
    if canonical(content) != unbase64url(payload):
        raise ValueError("not in canonical JSON")
    return content


def fingerprint(key: str) -> str:
    """What people compare: the first 128 bits of SHA-256 of the key."""
    text = sha256(unbase64url(key))[:32]
    return "-".join(text[start : start + 4] for start in range(0, 32, 4))
