"""Noise and its cost a second time: slow, plain, and sharing no code with core.

Decimal numbers of a hundred digits where core has integers of 256 bits, one draw after
another, every probability by an exponential of its own; scales by trying them all;
epsilon by golden section instead of a grid.
"""

import hashlib
import hmac
import math
from bisect import bisect_right
from collections.abc import Iterator
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

DIGITS = 100
BLOCK = 2**17  # draws
PICO = 10**12


def weights(sigma: int) -> list[Decimal]:
    """exp(-k^2 / (2 sigma^2)) for k = 0..12 sigma, twice that from k = 1 on."""
    with localcontext() as context:
        context.prec = DIGITS
        square = Decimal(2 * sigma * sigma)
        return [
            (Decimal(-k * k) / square).exp() * (2 if k else 1)
            for k in range(12 * sigma + 1)
        ]


@cache
def table(sigma: int) -> list[int]:
    """floor(2^128 Pr[|N| <= k]) for k = 0..12 sigma - 1."""
    with localcontext() as context:
        context.prec = DIGITS
        parts = weights(sigma)
        total, below, found = sum(parts), Decimal(0), []
        for part in parts[:-1]:
            below += part
            found.append(int(2**128 * below / total))
        return found


def draw(sigma: int, uniform: int, negative: bool) -> int:
    """One draw from 128 uniform bits and a sign."""
    magnitude = bisect_right(table(sigma), uniform)
    return -magnitude if negative else magnitude


def noise_key(seed: bytes, section: str, spec: bytes, opening: bytes) -> bytes:
    """HKDF-SHA256 (RFC 5869), no salt, 32 bytes."""
    info = f"fedsecure v1 noise {section}".encode() + b"\0" + spec + opening
    extracted = hmac.digest(bytes(32), seed, "sha256")
    return hmac.digest(extracted, info + b"\1", "sha256")


def chunk(key: bytes, index: int) -> bytes:
    """One chunk of 2^20 bytes of a key stream: AES-256 in counter mode."""
    block = index.to_bytes(12, "big") + (2).to_bytes(4, "big")
    return (
        Cipher(algorithms.AES(key), modes.CTR(block)).encryptor().update(bytes(2**20))
    )


def noise(key: bytes, sigma: int, size: int) -> list[int]:
    """The first draws of a section."""
    return [one for block in _blocks(key, sigma, size) for one in block]


def _blocks(key: bytes, sigma: int, size: int) -> Iterator[list[int]]:
    for number, start in enumerate(range(0, size, BLOCK)):
        leading, trailing, signs = (chunk(key, 3 * number + part) for part in range(3))
        yield [
            draw(
                sigma,
                int.from_bytes(
                    trailing[8 * i : 8 * i + 8] + leading[8 * i : 8 * i + 8], "little"
                ),
                bool(signs[i // 8] >> (i % 8) & 1),
            )
            for i in range(min(BLOCK, size - start))
        ]


def sha256_of(draws: list[int]) -> str:
    """SHA-256 over draws as signed numbers of 8 bytes, little-endian."""
    return hashlib.sha256(
        b"".join(one.to_bytes(8, "little", signed=True) for one in draws)
    ).hexdigest()


def steps(
    unit_clip: float, multiplier: float, bits: int, dimension: int, parts: int
) -> tuple[int, int]:
    """D and sigma, by roots of a hundred digits."""
    with localcontext() as context:
        context.prec = DIGITS
        unit = Decimal(unit_clip) * Decimal(2) ** bits
        root = Decimal(parts).sqrt() * unit + Decimal(dimension).sqrt()
        sensitivity = math.ceil(root)
    return sensitivity, math.ceil(Fraction(multiplier) * sensitivity)


def scalar_steps(
    steps: int, multiplier: float, declared: int, words: int
) -> tuple[int, int]:
    """D and sigma of the scalars, by roots of a hundred digits."""
    with localcontext() as context:
        context.prec = DIGITS
        root = steps * Decimal(declared + 2).sqrt() + Decimal(words).sqrt()
        sensitivity = math.ceil(root)
    return sensitivity, math.ceil(Fraction(multiplier) * sensitivity)


def metric_steps(multiplier: float, declared: int, words: int) -> int:
    """The largest power of two up to 2^10 for which there is a sampler."""
    fitting = (
        2**t
        for t in range(10, -1, -1)
        if scalar_steps(2**t, multiplier, declared, words)[1] <= 2**18
    )
    return next(fitting)


def fraction_bits(
    max_reports: int,
    clip: float,
    noise: tuple[float, float],
    dimension: int,
    parts: int,
) -> int:
    """The largest f in -60..60 with which the sum and its noise fit, and no finer."""
    for f in range(60, -61, -1):
        _, sigma = steps(*noise, f, dimension, parts)
        with localcontext() as context:
            context.prec = DIGITS
            largest = max_reports * (Decimal(clip) * Decimal(2) ** f + 1)
            whole = largest + 9 * Decimal(2).sqrt() * sigma
            half = Decimal(noise[0]) * Decimal(2) ** (f - 1)
            needed = f == -60 or half < 128 * Decimal(max(dimension, 1)).sqrt()
        if sigma <= 2**18 and whole < 2**31 and needed:
            return f
    raise ValueError("no scale fits")


def rho_pico(sensitivity: int, sigma: int) -> int:
    """The cost of one opening in 1e-12, rounded up."""
    return -(-PICO * sensitivity**2 // (2 * sigma**2))


def epsilon(rho: int, delta: float) -> Decimal:
    """The least epsilon of CKS20, proposition 12, by golden section."""
    with localcontext() as context:
        context.prec = 60
        golden = (Decimal(5).sqrt() - 1) / 2
        low, high = Decimal(-25), Decimal(45)  # ln(alpha - 1)
        for _ in range(180):
            left, right = high - golden * (high - low), low + golden * (high - low)
            if _epsilon_at(rho, delta, left) < _epsilon_at(rho, delta, right):
                high = right
            else:
                low = left
        return max(Decimal(0), _epsilon_at(rho, delta, low))


def _epsilon_at(rho: int, delta: float, place: Decimal) -> Decimal:
    alpha = 1 + place.exp()
    log = (1 / Decimal(delta)).ln() + (alpha - 1) * (1 - 1 / alpha).ln() - alpha.ln()
    return Decimal(rho) / PICO * alpha + log / (alpha - 1)
