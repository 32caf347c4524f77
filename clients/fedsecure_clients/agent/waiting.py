"""One line when a server is away and one when it is back, however often it is asked."""

import threading
from dataclasses import dataclass, field

import structlog

from fedsecure.errors import PROBLEMS

log = structlog.get_logger("agent")


@dataclass(slots=True)
class Waiting:
    """What the log was told about one server.

    Args:
        server: Its name, for people.
        in_trainings: It is there in trainings alone: that it is away is no fault.
    """

    server: str
    in_trainings: bool = False
    _told: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def away(self, code: str, why: str) -> None:
        """Say why nothing goes on, unless that was said already."""
        with self._lock:
            if self._told != code:
                self._told = code
                if self.in_trainings and PROBLEMS[code].passes:
                    log.info(f"waiting for {self.server}", until="a training", why=why)
                else:
                    log.warning(f"waiting for {self.server}", code=code, error=why)

    def back(self) -> None:
        """Say that it goes on, if it was said that it did not."""
        with self._lock:
            if self._told is not None:
                self._told = None
                log.info(f"{self.server} is back")
