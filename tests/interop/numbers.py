"""Numbers and shares: page, sections "Numbers" and "Shares"."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

CHUNK = 2**20
STEPS = 2**24
RAND = 113  # bytes of randomness for one report

Content = Mapping[str, Any]


def fraction_bits(reports: int, clip: float) -> int:
    """The largest f with reports * (clip * 2^f + 1) < 2^31."""
    bits = 60
    while not reports * (Fraction(clip) * Fraction(2) ** bits + 1) < 2**31:
        bits -= 1
    return bits


def scalar_count(spec: Content) -> int:
    return 6 + sum(int(field["size"]) for field in spec["scalars"])


def encode(
    spec: Content, update: NDArray[np.float32], weight: int, metrics: Mapping[str, Any]
) -> bytes:
    """Both sections of a report's plaintext."""
    wide = update.astype(np.float64)
    apart, unit = statistics(spec)
    tensor, clipped = np.zeros(wide.size, np.int64), []
    for part, clip, of in (
        (~apart, spec["clip"], 1.0),
        (apart, spec["clip"] * unit, unit),
    ):
        norm = float(np.sqrt(np.sum(wide[part] ** 2)))
        c = 1.0 if norm <= clip else clip / norm
        s = ((weight / spec["weight_cap"]) * c) * 2.0 ** spec["fraction_bits"] / of
        tensor[part] = np.rint(s * wide[part]).astype(np.int64)
        clipped.append(int(c < 1))
    words, clamped = [], 0
    given = [
        (field, value)
        for field in spec["scalars"]
        for value in np.atleast_1d(metrics[field["name"]]).tolist()
    ]
    finite = bool(np.isfinite([value for _, value in given]).all())
    for field, value in given:
        word, moved = _word(spec, field, value) if finite else (0, False)
        words.append(word * (1 if field["low"] is None else weight))
        clamped += moved
    section = [weight, *clipped, clamped, int(not finite), weight * finite, *words]
    return (tensor % 2**32).astype("<u4").tobytes() + np.array(
        section, np.uint64
    ).astype("<u8").tobytes()


def statistics(spec: Content) -> tuple[NDArray[np.bool_], float]:
    """Which coordinates are statistics, and C' / C."""
    apart = np.zeros(spec["dimension"], np.bool_)
    statistics = spec["statistics"]
    if statistics is None or not spec["dimension"]:
        return apart, 1.0
    for first, end in statistics["ranges"]:
        apart[first:end] = True
    return apart, statistics["clip"] / spec["clip"]


def _word(spec: Content, field: Content, value: float) -> tuple[int, bool]:
    low, high = field["low"], field["high"]
    if low is None:
        most = (2**64 - 1) // len(spec["cohort"])
        word = min(max(round(value), 0), most)
        return word, word != value
    if not value >= low:
        return 0, True
    if value > high:
        return STEPS, True
    return round((value - low) / (high - low) * STEPS), False


def mask(
    spec: Content, spec_digest: str, report_id: bytes, reporter: str, seed: bytes
) -> bytes:
    """What a seed stands for: the masks of both sections."""
    name = reporter.encode()
    facts = bytes.fromhex(spec_digest) + report_id
    facts += len(name).to_bytes(2, "big") + name
    return _stream(
        seed, b"fedsecure v1 mask tensor\0" + facts, 4 * spec["dimension"]
    ) + (_stream(seed, b"fedsecure v1 mask scalars\0" + facts, 8 * scalar_count(spec)))


def _stream(seed: bytes, info: bytes, size: int) -> bytes:
    key = HKDF(SHA256(), 32, None, info).derive(seed)
    stream = b""
    for index in range(-(-size // CHUNK)):
        counter = index.to_bytes(12, "big") + bytes.fromhex("00000002")
        cipher = Cipher(algorithms.AES256(key), modes.CTR(counter)).encryptor()
        stream += cipher.update(bytes(min(CHUNK, size - len(stream))))
    return stream


def split(spec: Content, plaintext: bytes) -> tuple[NDArray[Any], NDArray[Any]]:
    """The words of both sections."""
    end = 4 * spec["dimension"]
    return np.frombuffer(plaintext[:end], "<u4"), np.frombuffer(plaintext[end:], "<u8")


def combine(spec: Content, a: bytes, b: bytes, sign: int = 1) -> bytes:
    """Add two shares in each ring, or take the second one away."""
    pairs = zip(split(spec, a), split(spec, b), strict=True)
    return b"".join((x + y if sign > 0 else x - y).tobytes() for x, y in pairs)


def unshard(
    spec: Content, shares: Sequence[bytes], reports: int
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """The mean update and the opened scalars; refuses sums that cannot be."""
    tensor, section = split(spec, combine(spec, *shares))
    weight, clipped, apart, clamped, undefined, measured, *words = map(int, section)
    able, cap = reports - undefined, spec["weight_cap"]
    scale = Fraction(2) ** spec["fraction_bits"]
    part = Fraction(weight, spec["weight_cap"])
    signed = tensor.view("<i4").astype(np.int64)
    most = int(Fraction(spec["clip"]) * scale * part) + reports
    possible = (
        reports <= weight <= reports * cap
        and max(clipped, apart, undefined) <= reports
        and able <= measured <= able * cap
        and undefined <= weight - measured <= undefined * cap
        and clamped <= reports * scalar_count(spec)
        and (not signed.size or int(np.abs(signed).max()) <= most)
    )
    if not possible:
        raise ValueError("sums that so many reports cannot have")
    opened: dict[str, Any] = {
        "weight": weight,
        "clipped": clipped,
        "statistics-clipped": apart,
        "clamped": clamped,
        "undefined": undefined,
    }
    for field in spec["scalars"]:
        sums, words = words[: field["size"]], words[field["size"] :]
        low, high = field["low"], field["high"]
        values: list[Any] = list(sums)
        if low is not None:
            values = [one / (measured * STEPS) * (high - low) + low for one in sums]
        opened[field["name"]] = values if field["size"] > 1 else values[0]
    mean = signed / float(scale * part)
    places, unit = statistics(spec)
    mean[places] *= unit
    return mean, opened
