"""Numbers as words: fixed point in the integers mod 2**64.

    word = round(number * 2**fraction_bits) mod 2**64, to nearest, ties to even

A word is read as the signed number nearest to zero. Sums and products of words wrap; a
program's ranges (`fedsecure.core.mpc.plan`) say why none that is opened has wrapped.
Words travel as 8 bytes each, little-endian, row by row.
"""

from fractions import Fraction
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.core.layout import Buffer
from fedsecure.errors import OperatorError, PeerError

Words: TypeAlias = NDArray[np.uint64]  # elements of the ring
Numbers: TypeAlias = NDArray[np.float64]
Shape: TypeAlias = tuple[int, int]  # rows, columns

WORD_BYTES: Final = 8
LIMIT: Final = 2**62  # no signed word that a program makes may reach it
WIRE: Final = np.dtype("<u8")


def encode(values: Numbers, fraction_bits: int, bound: float) -> Words:
    """Turn numbers into words. Run by whoever has the numbers, before sharing them.

    Args:
        values: Shape (rows, columns), float64, the owner's units.
        fraction_bits: Bits behind the point.
        bound: The largest number allowed, either sign, in the same units.

    Returns:
        Shape (rows, columns), uint64.

    Raises:
        OperatorError: FS-224 for a number that is not finite or is beyond the bound;
            FS-223 for anything but a matrix.
    """
    if values.ndim != 2:
        raise OperatorError(
            "FS-223", f"numbers of shape {values.shape} are not rows and columns"
        )
    wrong = np.argwhere(~(np.abs(values) <= bound))  # so that NaN is wrong, too
    if wrong.size:
        row, column = wrong[0]
        raise OperatorError(
            "FS-224",
            f"row {row + 1}, column {column + 1} (both from 1) is not a number from "
            f"{-bound:g} to {bound:g}",
        )
    return np.rint(np.ldexp(values, fraction_bits)).astype(np.int64).view(np.uint64)


def largest_word(bound: float, fraction_bits: int) -> int:
    """Return the largest signed word that `encode` makes of numbers within a bound."""
    exact: Fraction = Fraction(bound) * 2**fraction_bits
    return round(exact)  # ties to even, as `encode`


def is_within(words: Words, bound: int) -> bool:
    """Tell whether no signed word is beyond a bound, either sign.

    Args:
        words: Any shape, uint64.
        bound: Below LIMIT.
    """
    return not np.any(words + np.uint64(bound) > np.uint64(2 * bound))


def decode(words: Words, fraction_bits: int) -> Numbers:
    """Turn opened words back into numbers. Run by the receiver.

    Args:
        words: Any shape, uint64.
        fraction_bits: Bits behind the point.

    Returns:
        The same shape, float64; from 2**53 on rounded to float64.
    """
    return np.ldexp(words.view(np.int64).astype(np.float64), -fraction_bits)


def to_bytes(words: Words) -> bytes:
    """Return words of shape (rows, columns), uint64, as they travel: row by row."""
    return words.astype(WIRE, copy=False).tobytes()


def from_bytes(data: Buffer, shape: Shape) -> Words:
    """Read words that somebody sent.

    Args:
        data: Little-endian words, row by row.
        shape: Rows and columns that there must be.

    Returns:
        Of that shape, uint64, read only: `data` itself where the machine is
        little-endian.

    Raises:
        PeerError: FS-730 for another number of bytes.
    """
    wanted = shape[0] * shape[1] * WORD_BYTES
    found = memoryview(data).nbytes
    if found != wanted:
        raise PeerError(
            "FS-730",
            f"there are {found} bytes, {shape[0]} x {shape[1]} words take {wanted}",
        )
    words = np.frombuffer(data, WIRE).reshape(shape)
    return words.astype(np.uint64, copy=False)
