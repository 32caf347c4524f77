"""Sealed payloads: page, sections "Names and keys" and "Sealed payloads"."""

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

RECORD = 2**20
SEALED_KEY = 1168
HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def lp(part: bytes) -> bytes:
    return len(part).to_bytes(2, "big") + part


def report_info(
    federation: str, spec: str, reporter: str, aggregator: str, number: str, kind: str
) -> bytes:
    parts = [bytes.fromhex(federation), bytes.fromhex(spec), reporter.encode()]
    parts += [aggregator.encode(), bytes.fromhex(number), kind.encode()]
    return b"".join(map(lp, [b"fedsecure v1 seal report", b"1", *parts]))


def share_info(
    federation: str, spec: str, aggregator: str, owner: str, opening: str
) -> bytes:
    parts = [bytes.fromhex(federation), bytes.fromhex(spec), aggregator.encode()]
    parts += [owner.encode(), bytes.fromhex(opening)]
    return b"".join(map(lp, [b"fedsecure v1 seal aggregate share", b"1", *parts]))


@dataclass(frozen=True)
class KeyPair:
    """A sealing key: the 32-byte seed, and what it expands to."""

    private: MLKEM768X25519PrivateKey
    public: bytes

    @classmethod
    def of(cls, seed: bytes) -> "KeyPair":
        expanded = hashlib.shake_256(seed).digest(96)
        mlkem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        x25519 = X25519PrivateKey.from_private_bytes(expanded[64:])
        public = mlkem.public_key().public_bytes_raw()
        public += x25519.public_key().public_bytes_raw()
        return cls(MLKEM768X25519PrivateKey(mlkem, x25519), public)


def _nonce(index: int, last: bool) -> bytes:
    return index.to_bytes(11, "big") + (b"\1" if last else b"\0")


def seal(public: bytes, info: bytes, content_key: bytes, plaintext: bytes) -> bytes:
    """A payload."""
    receiver = MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public[:1184]),
        X25519PublicKey.from_public_bytes(public[1184:]),
    )
    cipher, data = AESGCM(content_key), hashlib.sha256(info).digest()
    payload = HPKE.encrypt(content_key, receiver, info=info)
    for start in range(0, len(plaintext), RECORD):
        last = start + RECORD >= len(plaintext)
        piece = plaintext[start : start + RECORD]
        payload += cipher.encrypt(_nonce(start // RECORD, last), piece, data)
    return payload


def open_payload(pair: KeyPair, info: bytes, payload: bytes) -> bytes:
    """The plaintext."""
    content_key = HPKE.decrypt(payload[:SEALED_KEY], pair.private, info=info)
    cipher, data = AESGCM(content_key), hashlib.sha256(info).digest()
    records, step = payload[SEALED_KEY:], RECORD + 16
    plaintext = b""
    for start in range(0, len(records), step):
        last = start + step >= len(records)
        record = records[start : start + step]
        plaintext += cipher.decrypt(_nonce(start // step, last), record, data)
    return plaintext


def report_digest(payload: bytes) -> str:
    """The sealed key and the records' tags; of one record, everything."""
    records, step = payload[SEALED_KEY:], RECORD + 16
    if len(records) <= step:
        return hashlib.sha256(payload).hexdigest()
    digest = hashlib.sha256(payload[:SEALED_KEY])
    for start in range(0, len(records), step):
        digest.update(records[start : start + step][-16:])
    return digest.hexdigest()
