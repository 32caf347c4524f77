"""Who does what of a job: one thread computes, another one commits.

Neither waits for the other longer than its own work takes, and the event loop for none.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
from starlette.concurrency import run_in_threadpool

from fedsecure.errors import described
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.jobs import deletion, running
from fedsecure_aggregator.jobs.context import JobContext

A = TypeVar("A")
B = TypeVar("B")

log = structlog.get_logger()


@dataclass(slots=True)
class Lanes:
    """The threads of one server's jobs, and the outputs that are being computed.

    Args:
        context: This aggregator, as it computes.
        worker: The thread that changes anything.
        compute: The thread that computes.
    """

    context: JobContext
    worker: Worker
    compute: Worker = field(default_factory=lambda: Worker("compute"))
    _under_way: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    async def computed(self, make: Callable[[], A], keep: Callable[[A], B]) -> B:
        """Compute something, then commit it; the loop waits once for both."""
        made = self.compute.submit(make)
        return await self.worker.after(made, keep)

    async def run_due(self) -> None:
        """Begin to compute every output that is due; run now and then, and at start."""
        for digest in await run_in_threadpool(running.due, self.context):
            if digest not in self._under_way:
                task = asyncio.create_task(self._run(digest))
                self._under_way[digest] = task

    async def tidy(self) -> None:
        """Delete what has expired, and compute what is due; done now and then.

        Raises:
            Exception: The first that kept something from being deleted.
        """
        context = self.context
        jobs = await run_in_threadpool(deletion.due, context)
        # One at a time: nobody waits for the worker until all are tidied.
        failures = [
            await self.worker.run(deletion.tidied, context, one) for one in jobs
        ]
        await self.run_due()
        for failure in filter(None, failures):
            raise failure

    async def _run(self, digest: str) -> None:
        context = self.context
        try:
            await self.computed(
                lambda: running.compute(context, digest),
                lambda made: running.finish(context, made),
            )
        except Exception as error:  # noqa: BLE001 - it is due still, and tried again
            code, detail = described(error)
            log.error("output not computed", job=digest, code=code, detail=detail)
        finally:
            del self._under_way[digest]

    def stop(self) -> None:
        """Finish what was begun; nothing new is taken."""
        self.compute.stop()
