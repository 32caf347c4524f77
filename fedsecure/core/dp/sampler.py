"""Discrete Gaussian noise, drawn from a key stream: the same key, the same noise.

    Pr[N = k] = exp(-k**2 / (2 sigma**2)) / sum over all integers i of the same

Each aggregator adds its own N to every word of the sum before it seals its share; so
the model owner never has a sum without noise, whatever the other aggregator does.

    key    = HKDF-SHA256(seed, no salt, info), 32 bytes, one for each section
    info   = label || 0x00 || spec digest || opening digest
    stream = as in `fedsecure.core.mask`, in chunks of 2**20 bytes

A block is 2**17 draws. Block b of a section takes of its stream

    chunk 3 b        one little-endian word of 64 bits for each draw: the leading half
    chunk 3 b + 1    the same: the trailing half, looked at only where the first ties
    chunk 3 b + 2    one sign for each draw: bit i % 8 (1 is the least) of byte i // 8

With U = leading * 2**64 + trailing, |N| is the number of k in 0..12 sigma - 1 for which

    C(k) <= U,    C(k) = floor(2**128 * Pr[|N| <= k, given |N| <= 12 sigma])

and N is negative where the sign's bit is 1. The table of C is made of integers of 256
bits, by w(k + 1) = w(k) r(k) and r(k + 1) = r(k) exp(-1 / sigma**2): floating point has
no part in any probability.

Guarantee: a draw's distribution is at most 2**-103 (total variation) from the discrete
Gaussian for every sigma in 1..2**18: the tails beyond 12 sigma hold less than 2**-107,
rounding 12 sigma entries down costs less than 2**-107, the recurrence less than
2**-200. So d draws add at most d * 2**-103 * (1 + exp(epsilon)) to a delta.
Assumption: the key stream is that of a random function; the seed is uniform, secret,
and used for one round. How long a draw takes depends on it: whoever could time an
aggregator to nanoseconds is outside of what is promised.

Source: Canonne, Kamath, Steinke, "The discrete Gaussian for differential privacy",
2020 (arXiv 2004.00010), for the distribution; sampled by inversion, not by rejection,
so that every draw takes the same bits at the same place.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.core.buffers import Memory
from fedsecure.core.layout import CHUNK
from fedsecure.core.mask import SPILL, KeyStream
from fedsecure.core.modulus import Words
from fedsecure.errors import PeerError

BLOCK: Final = CHUNK // 8  # draws: their leading halves are one chunk of key stream
MOST_SIGMA: Final = 2**18  # the table has 12 entries of 16 bytes for each of it
MEMORY_BYTES: Final = 2 * CHUNK + SPILL  # of memory that `Sampler.add_to` works in

_TAIL: Final = 12  # sigmas
_PRECISION: Final = 256  # bits of the recurrence
_GUARD: Final = 64  # bits more, while a series is added up
_TABLES: Final = 6  # kept: of updates, their scalars and evaluations, of two studies

Draws: TypeAlias = NDArray[np.int64]  # shape (draws,), steps of the fixed point
_Halves: TypeAlias = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Table:
    """C(k) for k = 0..12 sigma - 1, ascending; see the module.

    Args:
        leading: Shape (12 sigma,), uint64: the upper half of each.
        trailing: Shape (12 sigma,), uint64: the lower half.
    """

    leading: _Halves = field(repr=False)
    trailing: _Halves = field(repr=False)

    def magnitude(self, leading: int, trailing: int) -> int:
        """Return the number of k with C(k) <= U, by all 128 bits of U."""
        half = np.uint64(leading)
        first = int(np.searchsorted(self.leading, half, side="left"))
        last = int(np.searchsorted(self.leading, half, side="right"))
        tied = self.trailing[first:last]
        return first + int(np.searchsorted(tied, np.uint64(trailing), side="right"))


class Sampler:
    """The noise of one section of one opening. Run by each aggregator, for its own.

    Args:
        stream: The section's key stream.
        sigma: Of the noise, in steps of the fixed point, 1..2**18.

    Raises:
        PeerError: FS-200 for another sigma.
    """

    __slots__ = ("_stream", "_table")

    def __init__(self, stream: KeyStream, sigma: int) -> None:
        self._stream = stream
        self._table = table(sigma)

    def add_to(self, words: Words, start: int, memory: Memory) -> None:
        """Add noise to words start, start + 1, ... of the section, in place.

        Args:
            words: Shape (n,), of any modulus; they wrap as its ring does.
            start: Of the section's words the one that `words` begins with; a multiple
                of BLOCK, as the first word of every piece of `layout` is.
            memory: Shape (MEMORY_BYTES,), uint8: overwritten.

        Raises:
            ValueError: `start` lies within a block.
        """
        if start % BLOCK:
            msg = f"noise begins at word {start}, not at a multiple of {BLOCK}"
            raise ValueError(msg)
        draws = memory[:CHUNK].view(np.int64)
        for begin in range(0, words.size, BLOCK):
            part = words[begin : begin + BLOCK]
            drawn = draws[: part.size]
            self.write_block((start + begin) // BLOCK, drawn, memory[CHUNK:])
            np.add(part, drawn.astype(part.dtype), out=part)

    def write_block(self, index: int, out: Draws, memory: Memory) -> None:
        """Write the first draws of block `index`, as many as `out` holds.

        Args:
            index: The block's.
            out: Shape (n,), int64, n at most BLOCK.
            memory: Shape (CHUNK + SPILL,), uint8: overwritten.
        """
        leading = self._halves(3 * index, out.size, memory)
        # In their order, so that the search walks through the table once: a random
        # place in 25 MB costs more than sorting does.
        order = np.argsort(leading)
        places = self._table.leading.searchsorted(leading[order], side="right")
        out[order] = places
        # Equal entries end just before that place. Before the first place lies, by
        # numpy's index -1, the greatest entry: never equal to what is below all.
        ties = np.flatnonzero(self._table.leading[out - 1] == leading)
        if ties.size:
            self._resolve(ties, index, leading, out)
        np.negative(out, out=out, where=self._signs(index, out.size, memory))

    def _resolve(
        self, ties: NDArray[np.intp], index: int, leading: _Halves, out: Draws
    ) -> None:
        """Decide by all 128 bits, where the leading half is that of an entry.

        About one draw in 2**42 comes here, so it need not be fast.
        """
        memory = np.empty(CHUNK + SPILL, np.uint8)
        trailing = self._halves(3 * index + 1, out.size, memory)
        for at in ties:
            out[at] = self._table.magnitude(int(leading[at]), int(trailing[at]))

    def _halves(self, chunk: int, count: int, memory: Memory) -> _Halves:
        size = 8 * count
        self._stream.write_chunk(chunk, memory[: size + SPILL].data)
        return memory[:size].view("<u8")

    def _signs(self, index: int, count: int, memory: Memory) -> NDArray[np.bool_]:
        size = -(-count // 8)
        self._stream.write_chunk(3 * index + 2, memory[: size + SPILL].data)
        bits = np.unpackbits(memory[:size], count=count, bitorder="little")
        return bits.view(np.bool_)


@lru_cache(_TABLES)
def table(sigma: int) -> Table:
    """Return the table for sigma; the last few are kept, each up to 50 MB.

    Raises:
        PeerError: FS-200 for anything but an integer in 1..2**18.
    """
    if not (type(sigma) is int and 1 <= sigma <= MOST_SIGMA):
        raise PeerError("FS-200", f"sigma is {sigma}; use an integer 1 to {MOST_SIGMA}")
    total = sum(_weights(sigma))
    # Multiplied by the inverse: a division for each entry took twice as long.
    shift = total.bit_length() + 128
    inverse, packed, below = (1 << (128 + shift)) // total, bytearray(), 0
    for weight in islice(_weights(sigma), _TAIL * sigma):  # the last C would be 2**128
        below += weight
        packed += (below * inverse >> shift).to_bytes(16, "little")
    halves = np.frombuffer(packed, "<u8").reshape(-1, 2)
    return Table(halves[:, 1].copy(), halves[:, 0].copy())


def _weights(sigma: int) -> Iterator[int]:
    """Yield Pr[|N| = k] for k = 0..12 sigma, in units of Pr[N = 0] / 2**256."""
    square = sigma * sigma
    weight, ratio = 2 << _PRECISION, _exp_of_minus(1, 2 * square)
    step = _exp_of_minus(1, square)
    yield weight // 2
    for _ in range(_TAIL * sigma):
        weight = weight * ratio >> _PRECISION
        yield weight
        ratio = ratio * step >> _PRECISION


def _exp_of_minus(numerator: int, denominator: int) -> int:
    """Return 2**256 exp(-numerator / denominator) rounded down, for 0 < it <= 1."""
    term = total = 1 << (_PRECISION + _GUARD)
    for count in range(1, _PRECISION):  # 1 / count! is below every bit long before
        term = term * numerator // (denominator * count)
        total += -term if count % 2 else term
    return total >> _GUARD
