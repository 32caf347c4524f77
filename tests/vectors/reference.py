"""The protocol's arithmetic a second time: slow, plain, and sharing no code with core.

Python integers and fractions instead of numpy, HKDF from HMAC, plain counter mode
instead of AES-GCM on zeros, whole messages instead of streams. The vectors come from
here, so they are right if both implementations were written right.
"""

import hashlib
import hmac
import math
import struct
from fractions import Fraction
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

CHUNK = 2**20


def fraction_bits(max_reports: int, clip: float) -> int:
    """The largest f in -60..60 with max_reports * (clip * 2**f + 1) < 2**31."""
    return next(
        f
        for f in range(60, -61, -1)
        if max_reports * (Fraction(clip) * Fraction(2) ** f + 1) < 2**31
    )


def float32(number: float) -> float:
    """The nearest float32."""
    return float(struct.unpack("<f", struct.pack("<f", number))[0])


def encode_update(case: dict[str, Any], update: list[float], weight: int) -> list[int]:
    """Signed fixed-point integers. Norms must be such as float64 holds."""
    clip, statistics = float(case["clip"]), statistics_of(case)
    whole = weight / case["weight_cap"]
    shrink, own_shrink = shrinks(case, update)
    factor = whole * shrink * 2.0 ** case["fraction_bits"]
    own = whole * own_shrink * 2.0 ** case["fraction_bits"]
    own_clip = float((case["statistics"] or case)["clip"])
    return [
        round((own / (own_clip / clip) if at in statistics else factor) * number)
        for at, number in enumerate(update)
    ]


def statistics_of(case: dict[str, Any]) -> set[int]:
    """The coordinates that are statistics."""
    ranges = case["statistics"]["ranges"] if case["statistics"] else []
    return {at for first, end in ranges for at in range(first, end)}


def shrinks(case: dict[str, Any], update: list[float]) -> tuple[float, float]:
    """By how much what is trained and what is statistics are scaled down."""
    statistics = statistics_of(case)
    parts: tuple[list[float], list[float]] = ([], [])
    for at, number in enumerate(update):
        parts[at in statistics].append(number * number)
    clips = float(case["clip"]), float((case["statistics"] or case)["clip"])
    norms = [math.sqrt(math.fsum(part)) for part in parts]
    first, second = (
        1.0 if norm <= clip else clip / norm
        for norm, clip in zip(norms, clips, strict=True)
    )
    return first, second


def encode_scalars(
    case: dict[str, Any],
    weight: int,
    metrics: dict[str, Any],
    clipped: tuple[bool, bool],
) -> list[int]:
    """The scalars section, before it is masked."""
    values, clamped = [], int(not 1 <= weight <= case["weight_cap"])
    weight = max(1, min(weight, case["weight_cap"]))
    given = [
        (scalar, float(number) if isinstance(number, str) else number)
        for scalar in case["scalars"]
        for number in as_list(metrics[scalar["name"]])
    ]
    if any(isinstance(n, float) and not math.isfinite(n) for _, n in given):
        none = [0] * len(given)
        return [weight, *map(int, clipped), clamped, 1, 0, *none]
    for scalar, number in given:
        if scalar["low"] is None:
            most = (2**64 - 1) // case["max_reports"]
            nearest = 0 if number < 0 else min(round(number), most)
            values.append(nearest)
            clamped += nearest != number
        else:
            low, high = Fraction(scalar["low"]), Fraction(scalar["high"])
            bounded = max(low, min(Fraction(number), high))
            steps = round((bounded - low) / (high - low) * 2**24)
            values.append(weight * steps)
            clamped += bounded != Fraction(number)
    return [weight, *map(int, clipped), clamped, 0, weight, *values]


def as_list(value: Any) -> list[Any]:
    """One number, or several."""
    return value if isinstance(value, list) else [value]


def hkdf(seed: bytes, info: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869), no salt, 32 bytes."""
    extracted = hmac.digest(bytes(32), seed, "sha256")
    return hmac.digest(extracted, info + b"\1", "sha256")


def mask_info(label: str, spec_digest: bytes, report_id: bytes, reporter: str) -> bytes:
    """What a mask's key is derived for."""
    name = reporter.encode()
    return b"".join(
        (
            label.encode(),
            b"\0",
            spec_digest,
            report_id,
            struct.pack(">H", len(name)),
            name,
        )
    )


def key_stream(key: bytes, size: int) -> bytes:
    """AES-256 in counter mode, one stream to each chunk."""
    stream = b""
    for index in range(-(-size // CHUNK)):
        block = index.to_bytes(12, "big") + (2).to_bytes(4, "big")
        cipher = Cipher(algorithms.AES(key), modes.CTR(block)).encryptor()
        stream += cipher.update(bytes(min(CHUNK, size - len(stream))))
    return stream


def vector_share(
    update: list[int], scalars: list[int], tensor_key: bytes, scalars_key: bytes
) -> bytes:
    """The vector's bytes: both sections minus their masks."""
    tensor_mask = key_stream(tensor_key, 4 * len(update))
    scalars_mask = key_stream(scalars_key, 8 * len(scalars))
    tensor = [
        (number - mask) % 2**32
        for number, (mask,) in zip(
            update, struct.iter_unpack("<I", tensor_mask), strict=True
        )
    ]
    section = [
        (number - mask) % 2**64
        for number, (mask,) in zip(
            scalars, struct.iter_unpack("<Q", scalars_mask), strict=True
        )
    ]
    return struct.pack(f"<{len(tensor)}I{len(section)}Q", *tensor, *section)


def seal_info(label: str, parts: list[bytes]) -> bytes:
    """Length-prefixed label, version and parts."""
    everything = [label.encode(), b"1", *parts]
    return b"".join(struct.pack(">H", len(part)) + part for part in everything)


def records(content_key: bytes, info: bytes, plaintext: bytes) -> list[bytes]:
    """The sealed records of a plaintext."""
    cipher, data = AESGCM(content_key), hashlib.sha256(info).digest()
    starts = range(0, len(plaintext), CHUNK)
    return [
        cipher.encrypt(
            index.to_bytes(11, "big") + bytes([index == len(starts) - 1]),
            plaintext[start : start + CHUNK],
            data,
        )
        for index, start in enumerate(starts)
    ]


def payload_digest(sealed_key: bytes, sealed: list[bytes]) -> bytes:
    """The digest of a report's payload."""
    parts = sealed if len(sealed) == 1 else [record[-16:] for record in sealed]
    return hashlib.sha256(sealed_key + b"".join(parts)).digest()


def sample_bytes(name: str, size: int) -> bytes:
    """Bytes that look random and are the same everywhere."""
    return hashlib.shake_128(f"fedsecure test {name}".encode()).digest(size)
