"""How a run waits before it tries again: what failed may be over in a while.

A data file that is away, an aggregator that starts anew, a machine that slept: each
passes, but not within the second in which the next attempt would fail like the last
one. So a run waits between two attempts, each time twice as long up to a bound, and
says for whom and how long still. It does not wait on when somebody joins meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LOOK_EVERY: Final = 1.0  # seconds, while a run waits
DOUBLINGS: Final = 64  # more would overflow, and change nothing

Tell = Callable[[str, float], None]
"""Hears what is waited for, and how many seconds that takes at most."""


@dataclass(frozen=True, slots=True)
class Pauses:
    """The pauses between attempts; with these defaults 20 minutes in all.

    Args:
        first: Seconds before the second attempt; doubled before each later one.
        longest: Seconds; no pause is longer.
        attempts: How many attempts there are.
    """

    first: float = 5.0
    longest: float = 300.0
    attempts: int = 10

    def after(self, failed: int) -> float:
        """Return how long to wait once so many attempts in a row have failed."""
        return min(self.first * 2.0 ** min(failed - 1, DOUBLINGS), self.longest)

    @property
    def total(self) -> float:
        """All pauses together, in seconds."""
        return sum(map(self.after, range(1, self.attempts)))


@dataclass(frozen=True, slots=True)
class Pausing:
    """Waits between attempts.

    Args:
        pauses: How long.
        sleep: Waits so many seconds.
        tell: Told again and again for whom, and how long still.
    """

    pauses: Pauses
    sleep: Callable[[float], None]
    tell: Tell

    def wait(self, why: str, failed: int, over: Callable[[], bool]) -> None:
        """Wait after a failed attempt.

        Args:
            why: What failed, and for whom the run waits.
            failed: How many attempts in a row have failed.
            over: Asked now and then whether waiting has become pointless.
        """
        left = self.pauses.after(failed)
        what = f"{why}; attempt {failed + 1} of {self.pauses.attempts}"
        while left > 0 and not over():
            self.tell(what, left)
            self.sleep(min(LOOK_EVERY, left))
            left -= LOOK_EVERY
