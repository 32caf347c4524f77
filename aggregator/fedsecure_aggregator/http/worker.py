"""The one thread that changes anything: two changes never race."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """The one thread that changes anything: grants, folds, openings, voids."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="worker")

    async def run(self, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do one change after all that were asked for before it."""
        future = self._thread.submit(change, *args, **kwargs)
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Finish what was begun; nothing new is taken."""
        self._thread.shutdown(wait=True)
