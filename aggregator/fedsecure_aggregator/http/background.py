"""What a server does now and then, and whether it still does.

A failure is logged, counted and tried again; nothing but the end of the server ends a
task. One that has not succeeded for too long makes the server not ready, for deletion
on time is part of what it promises.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from fedsecure.errors import OperatorError, described

RETRY_SECONDS: Final = 5.0  # after a failure, or sooner if the task is due sooner
MISSES: Final = 4  # times that a task may be due before it is overdue

log = structlog.get_logger()


@dataclass(slots=True)
class Task:
    """One thing that is done now and then.

    Args:
        name: For people, in logs and metrics.
        work: Does it once; what it raises is logged.
        every: Seconds from the end of one time to the beginning of the next.
        monotonic: Seconds that never go back.
    """

    name: str
    work: Callable[[], Awaitable[object]]
    every: float
    monotonic: Callable[[], float]
    failures: int = 0
    _done: float = field(init=False)

    def __post_init__(self) -> None:
        self._done = self.monotonic()  # what is done at a start counts

    @property
    def age(self) -> float:
        """Return how many seconds ago it was done last."""
        return self.monotonic() - self._done

    def require_done(self) -> None:
        """Check that it is still done.

        Raises:
            OperatorError: FS-534 with its name and age.
        """
        if not self.age <= MISSES * self.every:
            raise OperatorError("FS-534", f"{self.name}: {self.age:.0f} s ago")

    async def run(self) -> None:
        """Do it for ever; ends only when it is cancelled."""
        while True:
            done = await self._once()
            await asyncio.sleep(self.every if done else min(RETRY_SECONDS, self.every))

    async def _once(self) -> bool:
        try:
            await self.work()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
            self.failures += 1
            code, detail = described(error)
            log.error(
                "background task failed", task=self.name, code=code, detail=detail
            )
            return False
        self._done = self.monotonic()
        return True


@asynccontextmanager
async def running(tasks: Sequence[Task]) -> AsyncIterator[None]:
    """Do these tasks as long as the block lasts."""
    started = [asyncio.create_task(task.run()) for task in tasks]
    try:
        yield
    finally:
        for one in started:
            one.cancel()
            with suppress(asyncio.CancelledError):
                await one
