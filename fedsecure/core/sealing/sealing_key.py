"""A receiver's key pair of one round, and content keys sealed to it.

HPKE (RFC 9180, base mode, single shot) with the KEM of X-Wing, that is ML-KEM-768 and
X25519 together: it stays closed as long as one of both is unbroken. Its randomness is
drawn inside the cryptography library.
"""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from fedsecure.errors import PeerError

SEED_BYTES: Final = 32  # of a private key
CONTENT_KEY_BYTES: Final = 32
SEALED_KEY_BYTES: Final = 1120 + CONTENT_KEY_BYTES + 16  # encapsulation, key, tag

_MLKEM_PUBLIC_BYTES: Final = 1184
PUBLIC_KEY_BYTES: Final = _MLKEM_PUBLIC_BYTES + 32  # ML-KEM-768, then X25519

_HPKE: Final = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


class SealingKey:
    """A receiver's key pair of one round. Prints nothing of itself.

    The private key is the 32-byte seed of X-Wing (draft-connolly-cfrg-xwing-kem,
    section 5.2), from which SHAKE256 gives both components.
    """

    __slots__ = ("_private", "_seed", "public_bytes")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise PeerError(
                "FS-722", f"a private key has {len(seed)} bytes, not {SEED_BYTES}"
            )
        expanded = hashlib.shake_256(seed).digest(96)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        self._seed = bytes(seed)
        self._private = MLKEM768X25519PrivateKey(mlkem, x25519)
        self.public_bytes: Final = (
            mlkem.public_key().public_bytes_raw()
            + x25519.public_key().public_bytes_raw()
        )

    @classmethod
    def from_seed(cls, rand: bytes) -> "SealingKey":
        """Make a key pair from SEED_BYTES uniform bytes, used for nothing else."""
        return cls(rand)

    @classmethod
    def from_bytes(cls, private: bytes) -> "SealingKey":
        """Read what `to_bytes` gave.

        Raises:
            PeerError: FS-722 for the wrong number of bytes.
        """
        return cls(private)

    def to_bytes(self) -> bytes:
        """Return the private key, for a file that nobody else can read."""
        return self._seed

    def open_key(self, sealed_key: bytes, info: bytes) -> bytes:
        """Return the content key.

        Raises:
            PeerError: FS-720 when it was sealed to another key, or for something else.
        """
        try:
            return _HPKE.decrypt(sealed_key, self._private, info=info)
        except (InvalidTag, ValueError) as error:
            raise PeerError("FS-720", "the sealed key does not open") from error


def seal_key(public_key: bytes, info: bytes, content_key: bytes) -> bytes:
    """Return a content key that the holder of `public_key` alone can open.

    Raises:
        PeerError: FS-722 for a malformed public key.
    """
    if len(content_key) != CONTENT_KEY_BYTES:
        msg = f"a content key has {CONTENT_KEY_BYTES} bytes, not {len(content_key)}"
        raise ValueError(msg)
    try:
        receiver = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public_key[:_MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public_key[_MLKEM_PUBLIC_BYTES:]),
        )
        return _HPKE.encrypt(content_key, receiver, info=info)
    except ValueError as error:
        raise PeerError("FS-722", "the receiver's public key is malformed") from error
