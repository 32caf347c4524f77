"""Threads that do one thing after the other: two changes never race."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
A = TypeVar("A")
T = TypeVar("T")


class Worker:
    """One thread; the server's `worker` is the one that changes anything."""

    def __init__(self, name: str = "worker") -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def run(self, change: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do one change after all that were asked for before it."""
        future = self._thread.submit(change, *args, **kwargs)
        return await asyncio.wrap_future(future)

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        """Do one thing after all that were asked for before it; wait for nothing."""
        return self._thread.submit(work)

    async def after(self, made: "Future[A]", change: Callable[[A], T]) -> T:
        """Do one change with what another thread makes, once it is made.

        Raises:
            Exception: What making it raised; then nothing is changed.
        """
        done: Future[T] = Future()

        def follow(ready: "Future[A]") -> None:
            error = ready.exception()
            if error is not None:
                done.set_exception(error)
                return
            try:
                changed = self._thread.submit(change, ready.result())
            except RuntimeError as stopped:  # the server ends
                done.set_exception(stopped)
                return
            changed.add_done_callback(lambda one: _hand_on(one, done))

        made.add_done_callback(follow)
        return await asyncio.wrap_future(done)

    def stop(self) -> None:
        """Finish what was begun; nothing new is taken."""
        self._thread.shutdown(wait=True)


def _hand_on(ready: "Future[T]", to: "Future[T]") -> None:
    if not to.set_running_or_notify_cancel():
        return  # nobody waits any more
    error = ready.exception()
    if error is not None:
        to.set_exception(error)
    else:
        to.set_result(ready.result())
