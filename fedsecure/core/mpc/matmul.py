"""Exact matrix products mod 2**64, by float64 arithmetic where that is faster.

A word is cut into three signed digits, word = d0 + d1 * 2**22 + d2 * 2**44, each from
-2**21 to 2**21. A product of digits is at most 2**42, and a sum of 2048 of them at most
2**53: float64 holds each of these integers exactly, in whatever order they are added.
So the digits' matrices are multiplied by the machine's BLAS, at most 2048 columns at a
time, and six such products make one product of words (those that are missing are
multiples of 2**64).

A BLAS that rounds where IEEE 754 does not, or multiplies after Strassen, would break
this. `require_exact` tries it, once in a process, before any product relies on it; if
it fails, products are made of integers, which is slower.
"""

from functools import cache
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.core.mpc.ring import Words

Method: TypeAlias = Literal["float64", "integer"]
Digits: TypeAlias = tuple[NDArray[np.float64], ...]  # d0, d1, d2, each of one shape

BLOCK: Final = 2048  # inner size up to which sums of products of digits are exact

_DIGIT_BITS: Final = 22
_DIGIT: Final = np.int64(2**_DIGIT_BITS - 1)
_HALF: Final = np.int64(2 ** (_DIGIT_BITS - 1))
_SMALL: Final = 200_000  # products of words; below, integers are faster
_TEST_SIZE: Final = 256  # rows and columns: large enough for a BLAS to cut into blocks


def product(left: Words, right: Words) -> Words:
    """Multiply two matrices mod 2**64, exactly.

    Args:
        left: Shape (m, k), uint64.
        right: Shape (k, n), uint64.

    Returns:
        Shape (m, n), uint64.
    """
    (m, k), n = left.shape, right.shape[1]
    if m == 1 or n == 1 or m * k * n < _SMALL or require_exact() == "integer":
        return left @ right
    return float_product(left, right)


def float_product(left: Words, right: Words) -> Words:
    """Multiply by float64 arithmetic whatever the size; exactly.

    Args:
        left: Shape (m, k), uint64.
        right: Shape (k, n), uint64.
    """
    total = np.zeros((left.shape[0], right.shape[1]), np.uint64)
    for start in range(0, left.shape[1], BLOCK):
        block = slice(start, start + BLOCK)
        total += _block_product(digits(left[:, block]), digits(right[block]))
    return total


def digits(words: Words) -> Digits:
    """Cut words into balanced digits d0, d1, d2.

    Args:
        words: Any shape, uint64.

    Returns:
        Three arrays of that shape, float64: integers from -2**21 to 2**21.
    """
    rest, found = np.ascontiguousarray(words).view(np.int64), []
    for _ in range(2):
        # Sums may wrap at 2**63; the digits are right mod 2**64 all the same.
        digit = ((rest + _HALF) & _DIGIT) - _HALF
        found.append(digit.astype(np.float64))
        rest = (rest - digit) >> _DIGIT_BITS
    return *found, rest.astype(np.float64)


def _block_product(a: Digits, b: Digits) -> Words:
    """Multiply digits (m, k) by (k, n), k up to BLOCK; shape (m, n), uint64."""
    total = _integers(a[0] @ b[0])
    for place in (1, 2):
        terms = (_integers(a[i] @ b[place - i]) for i in range(place + 1))
        for term in terms:
            total += term << np.uint64(place * _DIGIT_BITS)
    return total


def _integers(exact: NDArray[np.float64]) -> Words:
    return exact.astype(np.int64).view(np.uint64)


@cache
def require_exact() -> Method:
    """Try this machine's float64 products, and say what `product` uses on it.

    Run by a server when it starts; else by the first product that is large enough. The
    products are checked mod 2**64 on vectors of integers (Freivalds), so it takes some
    ten milliseconds.

    Returns:
        "float64", or "integer" where float64 products are not exact.
    """
    return "float64" if all(map(_is_exact, _test_words())) else "integer"


def _is_exact(left: Words) -> bool:
    right = np.ascontiguousarray(left.T)
    probe = _scrambled(left.shape[0], 1) | np.uint64(1)
    expected = left @ (right @ probe)
    return bool(np.array_equal(float_product(left, right) @ probe, expected))


def _test_words() -> tuple[Words, Words]:
    """Return the largest digits, whose sums reach 2**53, and words without a pattern.

    Both have shape (_TEST_SIZE, BLOCK), uint64.
    """
    low = np.uint64(2**64 - 2**21 * (1 + 2**22))  # d0 = d1 = -2**21
    largest = np.full((_TEST_SIZE, BLOCK), low)
    largest[:, 0] += np.uint64(1)  # so that no low bit of a sum is spare
    return largest, _scrambled(_TEST_SIZE, BLOCK)


def _scrambled(rows: int, columns: int) -> Words:
    """Return shape (rows, columns), uint64: a counter, mixed as SplitMix64 does."""
    words = np.arange(1, rows * columns + 1, dtype=np.uint64)
    words *= np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (words ^ (words >> np.uint64(31))).reshape(rows, columns)
