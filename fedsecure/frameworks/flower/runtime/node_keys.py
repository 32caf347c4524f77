"""The public half of an agent's key in the form in which Flower knows it."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from flwr.supercore.primitives.asymmetric import public_key_to_bytes

from fedsecure.errors import OperatorError
from fedsecure.protocol.node_keys import is_p384


def node_public_bytes(text: str) -> bytes:
    """Turn a public half from `federation.toml` into the form Flower knows it by.

    Run by the model owner to match the nodes of a SuperLink with the roster.

    Raises:
        OperatorError: FS-504 when the text is no P-384 public key.
    """
    try:
        key = load_ssh_public_key(text.encode("ascii"))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise OperatorError("FS-504", f"{text[:40]!r} is no OpenSSH key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not is_p384(key.curve):
        raise OperatorError("FS-504", f"{text[:40]!r} is no P-384 key")
    form: bytes = public_key_to_bytes(key)
    return form
