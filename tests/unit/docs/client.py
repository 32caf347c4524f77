"""A data owner's client, written from docs/protocol.md and from nothing else.

It knows the page, Python and the package `cryptography`. What it sends is compared
with the page's own bytes, and given to a real aggregator.
"""

import base64
import hashlib
import hmac
import json
import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PublicKey,
    Suite,
)

CHUNK = 2**20
Seal = Callable[[str, bytes, bytes], bytes]  # aggregator, content key, info


@dataclass(frozen=True)
class DataOwner:
    """A name in the federation, and its signing key."""

    name: str
    key: Ed25519PrivateKey


@dataclass(frozen=True)
class Numbers:
    """What a data owner has to say."""

    update: Sequence[float]
    weight: int
    metrics: Mapping[str, Any]


def reports(
    owner: DataOwner,
    spec: str,
    receivers: Sequence[str],
    numbers: Numbers,
    rand: bytes,
    seal: Seal,
) -> dict[str, bytes]:
    """Return both bodies to send, by aggregator."""
    terms = json.loads(unbase64(spec.split(".")[1]))
    digest = hashlib.sha256(spec.rpartition(".")[0].encode()).digest()
    seed, report_id, coin = rand[:32], rand[32:48], rand[48]
    content_keys = (rand[49:81], rand[81:113])
    share = vector(terms, digest, owner.name, report_id, seed)
    plaintexts = {
        "seed": seed,
        "vector": share(tensor(terms, numbers), scalars(terms, numbers)),
    }
    kinds = ("seed", "vector") if coin & 1 else ("vector", "seed")
    return {
        name: body(owner, terms, digest, (name, kind, report_id), key)(
            plaintexts[kind], seal
        )
        for name, kind, key in zip(sorted(receivers), kinds, content_keys, strict=True)
    }


def seal_to(sealing_keys: Mapping[str, str]) -> Seal:
    """Return what seals a content key to an aggregator's key of the round."""
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

    def seal(aggregator: str, content_key: bytes, info: bytes) -> bytes:
        raw = unbase64(sealing_keys[aggregator])
        key = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(raw[:1184]),
            X25519PublicKey.from_public_bytes(raw[1184:]),
        )
        return suite.encrypt(content_key, key, info=info)

    return seal


def tensor(terms: Mapping[str, Any], numbers: Numbers) -> list[int]:
    """Section "Numbers": the update."""
    trained, statistics = shrunk(terms, numbers)
    whole, steps = numbers.weight / terms["weight_cap"], 2.0 ** terms["fraction_bits"]
    s, apart = (whole * trained) * steps, (whole * statistics) * steps
    if terms["statistics"]:
        apart /= terms["statistics"]["clip"] / terms["clip"]
    among = statistics_in(terms)
    return [
        round((apart if at in among else s) * value) % 2**32
        for at, value in enumerate(singles(numbers))
    ]


def statistics_in(terms: Mapping[str, Any]) -> set[int]:
    """The coordinates that are statistics."""
    ranges = terms["statistics"]["ranges"] if terms["statistics"] else []
    return {at for first, end in ranges for at in range(first, end)}


def singles(numbers: Numbers) -> list[float]:
    """The update in single precision."""
    return [struct.unpack("<f", struct.pack("<f", one))[0] for one in numbers.update]


def shrunk(terms: Mapping[str, Any], numbers: Numbers) -> tuple[float, float]:
    """Section "Numbers": c of what is trained, and of statistics."""
    among = statistics_in(terms)
    squares = [0.0, 0.0]
    for at, value in enumerate(singles(numbers)):
        squares[at in among] += value * value
    clips = terms["clip"], (terms["statistics"] or terms)["clip"]
    first, second = (
        1.0 if math.sqrt(total) <= clip else clip / math.sqrt(total)
        for total, clip in zip(squares, clips, strict=True)
    )
    return first, second


def scalars(terms: Mapping[str, Any], numbers: Numbers) -> list[int]:
    """Section "Numbers": the scalars; for finite values within their ranges."""
    clipped = [int(c < 1) for c in shrunk(terms, numbers)]
    words = [numbers.weight, *clipped, 0, 0, numbers.weight]
    for field in terms["scalars"]:
        given = numbers.metrics[field["name"]]
        for value in given if isinstance(given, list) else [given]:
            if field["low"] is None:
                words.append(round(value))
            else:
                low, high = Fraction(field["low"]), Fraction(field["high"])
                steps = round((Fraction(value) - low) / (high - low) * 2**24)
                words.append(numbers.weight * steps)
    return words


def vector(
    terms: Mapping[str, Any],
    digest: bytes,
    reporter: str,
    report_id: bytes,
    seed: bytes,
) -> Callable[[list[int], list[int]], bytes]:
    """Section "Shares": what takes the masks away."""
    info = b"\0" + digest + report_id + lp(reporter.encode())
    tensor_mask = stream(
        hkdf(seed, b"fedsecure v1 mask tensor" + info), 4 * terms["dimension"]
    )
    scalars_mask = hkdf(seed, b"fedsecure v1 mask scalars" + info)

    def masked(numbers: list[int], words: list[int]) -> bytes:
        first = struct.unpack(f"<{len(numbers)}I", tensor_mask)
        second = struct.unpack(f"<{len(words)}Q", stream(scalars_mask, 8 * len(words)))
        return struct.pack(
            f"<{len(numbers)}I{len(words)}Q",
            *((x - m) % 2**32 for x, m in zip(numbers, first, strict=True)),
            *((x - m) % 2**64 for x, m in zip(words, second, strict=True)),
        )

    return masked


def hkdf(seed: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 with an empty salt, 32 bytes."""
    return hmac.digest(hmac.digest(bytes(32), seed, "sha256"), info + b"\1", "sha256")


def stream(key: bytes, size: int) -> bytes:
    """AES-256 in counter mode, chunk by chunk."""
    chunks = []
    for index in range(-(-size // CHUNK)):
        counter = index.to_bytes(12) + (2).to_bytes(4)
        cipher = Cipher(algorithms.AES256(key), modes.CTR(counter)).encryptor()
        chunks.append(cipher.update(bytes(min(CHUNK, size - index * CHUNK))))
    return b"".join(chunks)


def body(
    owner: DataOwner,
    terms: Mapping[str, Any],
    digest: bytes,
    report: tuple[str, str, bytes],
    content_key: bytes,
) -> Callable[[bytes, Seal], bytes]:
    """Sections "Sealed payloads", "report" and "HTTP": one framed report."""
    aggregator, kind, report_id = report
    parts = [b"fedsecure v1 seal report", b"1", bytes.fromhex(terms["federation"])]
    parts += [digest, owner.name.encode(), aggregator.encode(), report_id]
    info = b"".join(map(lp, [*parts, kind.encode()]))

    def sealed(plaintext: bytes, seal: Seal) -> bytes:
        key = seal(aggregator, content_key, info)
        records = encrypt(content_key, info, plaintext)
        tags = records if len(records) == 1 else [one[-16:] for one in records]
        payload = key + b"".join(records)
        header = {
            "federation": terms["federation"],
            "spec": digest.hex(),
            "reporter": owner.name,
            "aggregator": aggregator,
            "report_id": report_id.hex(),
            "kind": kind,
            "length": len(payload),
            "digest": hashlib.sha256(key + b"".join(tags)).hexdigest(),
        }
        token = sign(owner, "report", header)
        return len(token).to_bytes(4) + token + payload

    return sealed


def encrypt(content_key: bytes, info: bytes, plaintext: bytes) -> list[bytes]:
    """The records of a payload."""
    cipher, data = AESGCM(content_key), hashlib.sha256(info).digest()
    starts = range(0, len(plaintext), CHUNK)
    return [
        cipher.encrypt(
            index.to_bytes(11) + bytes([start == starts[-1]]),
            plaintext[start : start + CHUNK],
            data,
        )
        for index, start in enumerate(starts)
    ]


def sign(owner: DataOwner, typ: str, statement: Mapping[str, Any]) -> bytes:
    """Section "Signed statements": a token."""
    header = {"alg": "EdDSA", "kid": owner.name, "typ": typ}
    signing_input = b".".join(
        base64url(
            json.dumps(part, sort_keys=True, separators=(",", ":")).encode("ascii")
        )
        for part in (header, statement)
    )
    return signing_input + b"." + base64url(owner.key.sign(signing_input))


def lp(part: bytes) -> bytes:
    """A part behind its length in 2 bytes."""
    return len(part).to_bytes(2) + part


def base64url(content: bytes) -> bytes:
    """Without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def unbase64(text: str) -> bytes:
    """With the padding that is missing."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
