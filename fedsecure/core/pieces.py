"""The aggregator's two stages piece by piece: no share ever lies in memory whole.

`scheme.prepare` makes an output share and `scheme.aggregate` adds it. So do these, but
each piece of a share is added while it is in the processor's cache, and memory is the
sum and a few records, whatever the dimension.

A share whose last record does not open must leave no trace in the sum although its
first ones were added: they opened once and open again, and are taken back.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeAlias

import numpy as np

from fedsecure.core.buffers import Memory
from fedsecure.core.mask import SPILL, Buffer, Mask, ReportContext
from fedsecure.core.modulus import SCALARS
from fedsecure.core.params import CHUNK, Params
from fedsecure.core.scheme import require_seed, scalars_mask
from fedsecure.core.shares import AggregateShare
from fedsecure.errors import OperatorError, PeerError

EXPANSION_BYTES: Final = CHUNK + SPILL  # of memory that `expand` works in

Pieces: TypeAlias = Iterable[Buffer]  # an output share's bytes, cut at whole words


def expand(
    params: Params, context: ReportContext, seed: Buffer, memory: Memory
) -> Iterator[Buffer]:
    """Turn a seed into an output share, piece by piece. Run by an aggregator.

    Args:
        params: The round's numbers.
        context: What the report's masks are bound to.
        seed: What the payload held.
        memory: EXPANSION_BYTES, used again for every piece.

    Raises:
        PeerError: FS-723 when the seed has the wrong length.
    """
    require_seed(seed)
    mask = Mask.expand(seed, context)
    for index, start in enumerate(range(0, params.tensor_bytes, CHUNK)):
        size = min(CHUNK, params.tensor_bytes - start)
        mask.tensor.write_chunk(index, memory[: size + SPILL].data)
        yield memory[:size].data
    yield scalars_mask(params, mask).tobytes()


def aggregate(accumulator: AggregateShare, share: Callable[[], Pieces]) -> None:
    """Add one output share in place: all of it, or nothing. Run by an aggregator.

    Args:
        accumulator: The sum.
        share: Begins to give the share's pieces; called again for taking back those
            that were added, if a later one is refused.

    Raises:
        PeerError: What the pieces raised; the sum is as it was before.
        OperatorError: FS-524 when what was added cannot be taken back; it is not.
    """
    added, scalars = 0, bytearray()
    try:
        for piece in share():
            scalars += _apply(np.add, accumulator, added, piece)
            added += 1
    except PeerError:
        _take_back(accumulator, share, added)
        raise
    accumulator.scalars += np.frombuffer(scalars, SCALARS.dtype)
    accumulator.count += 1


def _take_back(
    accumulator: AggregateShare, share: Callable[[], Pieces], added: int
) -> None:
    if not added:
        return
    try:
        for index, piece in enumerate(islice(share(), added)):
            _apply(np.subtract, accumulator, index, piece)
    except PeerError as error:
        raise OperatorError("FS-524", f"read otherwise: {error.detail}") from error


def _apply(
    operation: np.ufunc, accumulator: AggregateShare, index: int, piece: Buffer
) -> bytes:
    """Apply piece `index` to the tensor; return what of it belongs to the scalars."""
    words = accumulator.tensor
    start = index * CHUNK // words.itemsize
    part = words[start : start + CHUNK // words.itemsize]
    part = part[: len(piece) // words.itemsize]
    operation(part, np.frombuffer(piece, words.dtype, part.size), out=part)
    return bytes(memoryview(piece)[part.nbytes :])
