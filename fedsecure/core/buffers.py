"""Working memory: few large pieces, because the first touch of a page is what costs.

From 4 MiB on numpy asks Linux for huge pages (2 MiB instead of 4 KiB), and one fault
replaces 512: touching 6 MiB anew was measured at 0.09 ms in one piece and at 4 ms in
five. So the buffers of one job are cut from one piece, and a piece worth a few hundred
faults is made 4 MiB large; memory that is never touched is never taken.
"""

from itertools import accumulate
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Memory: TypeAlias = NDArray[np.uint8]  # shape (bytes,)

_HUGE: Final = 2**22  # bytes: numpy's limit
_WORTH_IT: Final = 2**19  # bytes
_LINE: Final = 64  # bytes: each buffer begins on a cache line of its own


def carve(*sizes: int) -> tuple[Memory, ...]:
    """Return uninitialised buffers of so many bytes each, cut from one piece."""
    starts = [0, *accumulate(-(-size // _LINE) * _LINE for size in sizes)]
    total = starts.pop()
    memory = np.empty(max(total, _HUGE) if total >= _WORTH_IT else total, np.uint8)
    return tuple(
        memory[start : start + size] for start, size in zip(starts, sizes, strict=True)
    )
