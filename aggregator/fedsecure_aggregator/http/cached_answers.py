"""Answers that anybody may ask for and that cost much to find: found once for all.

Whether a server is ready, and its metrics, take the disk and the database some
milliseconds, and no signature is asked for. So one at a time is found out, and whoever
asks meanwhile, or shortly afterwards, gets the same: however many ask, it takes a small
part of one processor.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from starlette.concurrency import run_in_threadpool

T = TypeVar("T")

AGAIN: Final = 9.0  # times as long as it took, an answer is given again
LONGEST: Final = 1.0  # seconds, at most


@dataclass(slots=True)
class CachedAnswer(Generic[T]):
    """What is found out at most a tenth of the time. Used by one event loop.

    Guarantee: an answer was found at most `LONGEST` seconds before it is given.

    Args:
        find: Finds it out, in a thread; it raises nothing.
        monotonic: Seconds that never go back.
    """

    find: Callable[[], T]
    monotonic: Callable[[], float]
    _found: tuple[T, float] | None = field(default=None, repr=False)
    _one: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)

    async def get(self) -> T:
        """Return what was found just now, or find it out."""
        async with self._one:
            begin = self.monotonic()
            if self._found is not None and begin < self._found[1]:
                return self._found[0]
            found = await run_in_threadpool(self.find)
            now = self.monotonic()
            self._found = found, now + min(LONGEST, AGAIN * (now - begin))
            return found
