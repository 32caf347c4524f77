"""An audit that is begun by a click: it runs in a thread, and its result stays.

The page says when it ran and how long the ledger was then. A result is as old as that:
nothing here claims more.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fedsecure.audit.findings import Report
from fedsecure.audit.verify import Progress
from fedsecure.errors import FedsecureError, RoundStateError

STEPS: Final = 50  # at most so many marks of progress


@dataclass(frozen=True, slots=True)
class Going:
    """An audit under way: of what, and how far, 0 to 1."""

    what: str
    part: float


@dataclass(frozen=True, slots=True)
class Result:
    """The last audit.

    Args:
        at: When it began, seconds since 1970.
        seconds: How long it took.
        report: What it found; None when it could not be made.
        error: Why it could not; None with no report: it broke down, for a reason
            that is on the terminal.
    """

    at: float
    seconds: float
    report: Report | None
    error: FedsecureError | None = None


class _LeavingError(Exception):
    """The console ends, and so does its audit."""


class Audits:
    """At most one audit at a time, and the last result.

    Args:
        work: Makes one, as `fedsecure audit verify` does.
        places: Which stores it looks at, for people.
        clock: Seconds since 1970.
        monotonic: Seconds that never go back.
    """

    def __init__(
        self,
        work: Callable[[Progress], Report],
        places: tuple[str, ...],
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.places = places
        self._work, self._clock, self._monotonic = work, clock, monotonic
        self._lock = threading.Lock()
        self._mark, self._leaving = 0, False
        self.going: Going | None = None
        self.last: Result | None = None

    @property
    def mark(self) -> int:
        """A number that changes with everything there is to tell."""
        return self._mark

    def begin(self) -> None:
        """Begin an audit.

        Raises:
            RoundStateError: FS-588 when one is under way.
        """
        with self._lock:
            if self.going is not None:
                raise RoundStateError("FS-588", "it is not finished yet")
            self.going = Going("", 0.0)
            self._mark += 1
        try:
            threading.Thread(target=self._run).start()
        except RuntimeError:  # no thread is left: the next click may have one
            self._end(Result(self._clock(), 0.0, None))
            raise

    def close(self) -> None:
        """End an audit under way at its next step; it cleans up behind itself."""
        self._leaving = True

    def _run(self) -> None:
        began, started = self._clock(), self._monotonic()
        report, error = None, None
        try:
            report = self._work(_Steps(self._tell, self._go_on).progress)
        except FedsecureError as raised:
            error = raised
        except _LeavingError:
            return
        finally:
            seconds = self._monotonic() - started
            self._end(Result(began, seconds, report, error))

    def _end(self, result: Result) -> None:
        with self._lock:
            self.last, self.going = result, None
            self._mark += 1

    def _go_on(self) -> None:
        if self._leaving:
            raise _LeavingError

    def _tell(self, going: Going) -> None:
        with self._lock:
            self.going = going
            self._mark += 1


class _Steps:
    """Turns an audit's steps into a few marks of progress."""

    def __init__(
        self, tell: Callable[[Going], None], go_on: Callable[[], None]
    ) -> None:
        self._tell, self._go_on = tell, go_on
        self._what, self._total, self._done, self._told = "", 0, 0, 0
        self.progress = Progress(self._begin, self._step)

    def _begin(self, what: str, total: int) -> None:
        self._what, self._total, self._done, self._told = what, total, 0, 0
        self._tell(Going(what, 0.0))

    def _step(self, number: int) -> None:
        self._go_on()
        self._done += number
        part = min(1.0, self._done / self._total) if self._total else 0.0
        if int(part * STEPS) > self._told:
            self._told = int(part * STEPS)
            self._tell(Going(self._what, part))
