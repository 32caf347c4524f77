"""Whether there is something new to see: asked once a second, for all browsers.

A page that renews itself holds a stream open and is told a mark, which changes with
everything that happens in the store; it then asks for itself again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from fastapi.sse import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from fedsecure.errors import FedsecureError, RoundStateError

SECONDS: Final = 1.0
MOST: Final = 64  # streams at a time
UNKNOWN: Final = "?"


class Watch:
    """Looks at a store for everybody who waits for it to change.

    Args:
        look: Returns a mark of the store as it is now; may raise our errors.
        clock: Seconds, never going back.
    """

    def __init__(
        self, look: Callable[[], str], clock: Callable[[], float], most: int = MOST
    ) -> None:
        self._look, self._clock = look, clock
        self._mark, self._looked = UNKNOWN, -SECONDS
        self._one_at_a_time = asyncio.Lock()
        self._free, self._closed = most, False

    def close(self) -> None:
        """End every stream."""
        self._closed = True

    async def stream(
        self, allowed: Callable[[], bool]
    ) -> AsyncIterator[ServerSentEvent]:
        """Yield a mark, and again each time it changes.

        Args:
            allowed: Whether this browser may still look; if not, the stream ends.
        """
        last = None
        self._free -= 1
        try:
            while allowed() and not self._closed:
                mark = await self._now()
                if mark != last:
                    last = mark
                    yield ServerSentEvent(raw_data=mark, event="mark")
                await asyncio.sleep(SECONDS)
        finally:
            self._free += 1

    def require_room(self) -> None:
        """Check that one more may watch.

        Raises:
            RoundStateError: FS-591.
        """
        if self._free <= 0:
            raise RoundStateError("FS-591", f"{MOST} pages are renewing themselves")

    async def _now(self) -> str:
        async with self._one_at_a_time:
            if self._clock() - self._looked >= SECONDS:
                try:
                    self._mark = await run_in_threadpool(self._look)
                except FedsecureError:  # the page itself says what is wrong
                    self._mark = UNKNOWN
                self._looked = self._clock()
            return self._mark
