"""The elliptic-curve keys with which agents join Flower's SuperLink.

A data owner keeps the private half as an OpenSSH file, as Flower's own SuperNode
does; the public half stands in `federation.toml` as one line of OpenSSH text.
"""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
)

from fedsecure.errors import OperatorError
from fedsecure.system.private_files import read_private


def generate_node_key() -> tuple[bytes, str]:
    """Make a node key; run by the data owner.

    Returns:
        The private half as an OpenSSH PEM file, and the public half as it stands
        in `federation.toml`.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return pem, node_key_text(key)


def node_key_text(key: ec.EllipticCurvePrivateKey) -> str:
    """Return the public half as it stands in `federation.toml`."""
    public = key.public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode("ascii")


def load_node_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read the private half; run by the data owner's agent.

    Raises:
        OperatorError: FS-504 when it is no unencrypted P-384 key, FS-744 when
            others can read it, FS-801 when it cannot be read.
    """
    try:
        key = load_ssh_private_key(read_private(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise OperatorError(
            "FS-504", f"{path} holds no unencrypted OpenSSH key"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not is_p384(key.curve):
        raise OperatorError("FS-504", f"{path} holds a key that is not P-384")
    return key


def is_p384(curve: ec.EllipticCurve) -> bool:
    """Tell whether a key is on the one curve that Flower takes."""
    return isinstance(curve, ec.SECP384R1)
