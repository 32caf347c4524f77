"""Ends a training that does not end: at the round's deadline the node is free again.

A ClientApp may hang where no exception reaches it, in a library's own code. So the
agent does not wait for it: it answers `not_reported` from another thread and then
replaces its own process by a fresh one (`execve` ends every thread, wherever it is).
The state folder makes that harmless, as it does a crash.

If not even that is possible, because the hanging code lets no other thread run, the
process ends `LAST_RESORT` seconds later, and whatever supervises it starts it again.
"""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

LAST_RESORT: Final = 60.0  # seconds

log = structlog.get_logger("agent")


def start_again() -> None:
    """Replace this process by a new one of the same command; never returns."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - our own command line


@dataclass(slots=True)
class Watchdog:
    """Watches one training at a time.

    Args:
        clock: Seconds since 1970.
        restart: Called at the deadline after `answer`; does not return.
        answer: Tells the model owner that nothing comes; set for each task.
    """

    clock: Callable[[], float]
    restart: Callable[[], None] = start_again
    answer: Callable[[], None] = field(default=lambda: None)

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """Let the block run until a deadline (seconds since 1970), and not longer."""
        seconds = max(0.0, deadline - self.clock())
        over = threading.Event()
        thread = threading.Thread(target=self._watch, args=(over, seconds), daemon=True)
        thread.start()
        faulthandler.dump_traceback_later(seconds + LAST_RESORT, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            over.set()

    def _watch(self, over: threading.Event, seconds: float) -> None:
        if over.wait(seconds):
            return
        log.error("training did not end", code="FS-384", error="starting anew")
        with suppress(Exception):  # whatever it is, the node has to be free again
            self.answer()
        self.restart()
