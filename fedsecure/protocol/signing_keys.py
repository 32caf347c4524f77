"""Signing keys: Ed25519 in files that their party alone can read.

The public half stands in `federation.toml`, beside the party's name.
"""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.encodings import base64url
from fedsecure.protocol.identity import Federation
from fedsecure.system.private_files import read_private, write_private


def public_key_text(key: Ed25519PrivateKey) -> str:
    """Return the public half as it stands in `federation.toml`."""
    return base64url(key.public_key().public_bytes_raw())


def save_signing_key(path: Path, key: Ed25519PrivateKey) -> None:
    """Write a signing key as PKCS #8 PEM, readable by this user alone."""
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(path, pem)


def load_signing_key(path: Path) -> Ed25519PrivateKey:
    """Read a signing key.

    Raises:
        OperatorError: FS-744, FS-801, or FS-745 when it is no Ed25519 key.
    """
    try:
        key = load_pem_private_key(read_private(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise OperatorError("FS-745", f"{path} holds no unencrypted key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise OperatorError("FS-745", f"{path} holds a {type(key).__name__}")
    return key


def require_key_of(federation: Federation, name: str, key: Ed25519PrivateKey) -> None:
    """Check that a party's private key is the one in the federation file.

    Raises:
        OperatorError: FS-741 when `name` is not in the federation, FS-746 when it
            stands there with another key.
    """
    try:
        _, party = federation.find(name)
    except PeerError as error:  # here the name is this party's own
        raise OperatorError(error.code, error.detail) from error
    if party.key != public_key_text(key):
        raise OperatorError("FS-746", f"{name} in federation {federation.name}")
