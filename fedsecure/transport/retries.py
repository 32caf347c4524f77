"""When a server that does not answer, or cannot just now, is asked again.

Pauses grow at random up to a bound. A server that says how long to wait (`Retry-After`,
RFC 9110, section 10.2.3) is asked no sooner, as long as whoever asks has patience: its
word holds up nobody for longer than its silence would.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import tenacity
from tenacity import RetryCallState

from fedsecure.errors import PeerError

TRIES: Final = 3  # at least: a machine that slept has used up all time with one
LONGEST_WAIT: Final = 60.0  # seconds that a server may ask for
SHORTEST_PAUSE: Final = 0.1  # seconds, on average before the second try

_SECONDS: Final = re.compile("[0-9]{1,9}")


class UnreachableError(PeerError):
    """An aggregator does not answer, or says that it cannot just now."""

    retry_after: float = 0.0  # seconds that it asked to wait, `LONGEST_WAIT` at most


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on trying an aggregator that does not answer (seconds).

    `on_retry` hears why, before each new attempt.
    """

    seconds: float = 60.0
    longest_pause: float = 5.0
    sleep: Callable[[float], None] = tenacity.nap.sleep
    on_retry: Callable[[str], None] | None = None

    def retrying(self) -> tenacity.Retrying:
        """Return what repeats a call that raises `UnreachableError`."""
        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(UnreachableError),
            wait=self._pause,
            stop=self._stop(),
            sleep=self.sleep,
            before_sleep=self._tell,
            reraise=True,
        )

    def _stop(self) -> tenacity.stop.stop_base:
        """Return when to stop trying; without any patience after one try."""
        over = tenacity.stop_after_delay(self.seconds)
        tries = TRIES if self.seconds > 0 else 1
        return over & tenacity.stop_after_attempt(tries)

    def _pause(self, state: RetryCallState) -> float:
        own = tenacity.wait_random_exponential(SHORTEST_PAUSE, self.longest_pause)
        left = self.seconds - (state.seconds_since_start or 0.0)
        return max(own(state), min(_asked_to_wait(state), left))

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if self.on_retry is not None and isinstance(error, PeerError):
            self.on_retry(f"{error.detail}; trying again")


def seconds_to_wait(retry_after: str | None) -> float:
    """Return what a `Retry-After` asks for, within bounds; a date asks for nothing."""
    if retry_after is None or not _SECONDS.fullmatch(retry_after):
        return 0.0
    return min(float(retry_after), LONGEST_WAIT)


def _asked_to_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.retry_after if isinstance(error, UnreachableError) else 0.0
