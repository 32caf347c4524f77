"""Working memory: few large pieces, because the first touch of a page is what costs.

From 4 MiB on numpy asks Linux for huge pages (2 MiB instead of 4 KiB), and one fault
replaces 512: touching 6 MiB anew was measured at 0.09 ms in one piece and at 4 ms in
five. So the buffers of one job are cut from one piece, and a piece worth a few hundred
faults is made 6 MiB large; memory that is never touched is never taken.

Where other programs use the memory, too, even a huge page took half a millisecond. So a
few pieces are kept, and one that nobody holds a buffer of any more is used again.
"""

import sys
from itertools import accumulate
from threading import Lock
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Memory: TypeAlias = NDArray[np.uint8]  # shape (bytes,)

_WORTH_IT: Final = 2**19  # bytes
_LINE: Final = 64  # bytes: each buffer begins on a cache line of its own
_KEPT_BYTES: Final = 6 * 2**20  # of each kept piece: what one data owner's work takes
_KEPT: Final = 4  # pieces

_pieces: Final[list[Memory]] = []
_pieces_lock: Final = Lock()


def carve(*sizes: int) -> tuple[Memory, ...]:
    """Return uninitialised buffers of so many bytes each, cut from one piece.

    Each has shape (bytes,) and dtype uint8. They may hold what an earlier job of this
    process left there.
    """
    starts = [0, *accumulate(-(-size // _LINE) * _LINE for size in sizes)]
    total = starts.pop()
    memory = _piece(total) if total >= _WORTH_IT else np.empty(total, np.uint8)
    return tuple(
        memory[start : start + size] for start, size in zip(starts, sizes, strict=True)
    )


def _piece(total: int) -> Memory:
    """Return a kept piece of which no buffer is left, or a new one.

    Every buffer, and every view of one, holds a reference to its piece.
    """
    if total > _KEPT_BYTES:
        return np.empty(total, np.uint8)
    with _pieces_lock:
        for place in range(len(_pieces)):
            if _references(_pieces, place) == _IDLE:
                return _pieces[place]
        # Of one size, so that each can serve whatever comes next.
        memory = np.empty(_KEPT_BYTES, np.uint8)
        if len(_pieces) < _KEPT:
            _pieces.append(memory)
        return memory


def forget() -> None:
    """Keep no pieces; those of which a buffer is left go with it."""
    with _pieces_lock:
        _pieces.clear()


def _references(pieces: list[Memory], place: int) -> int:
    return sys.getrefcount(pieces[place])


_IDLE: Final = _references([np.empty(0, np.uint8)], 0)  # the list's, and the question's
