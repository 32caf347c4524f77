"""How long to wait between two looks for a message that may come at any time.

Flower's SuperLink calls nobody: whoever waits has to ask, and each question costs it
about 5 ms. The next message of a run often comes soon after the last one, or not for
minutes. So the first pauses are short, and each one longer than the one before.
"""

from typing import Final

FIRST: Final = 1 / 5  # of the longest pause
GROWTH: Final = 1.3


class Backoff:
    """The pauses of one who waits.

    Args:
        longest: Seconds; no pause is longer.
    """

    __slots__ = ("_longest", "_next")

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self.restart()

    def restart(self) -> None:
        """Begin with a short pause again: something came."""
        self._next = FIRST * self._longest

    def pause(self) -> float:
        """Return how long to wait now, in seconds."""
        now, self._next = self._next, min(self._next * GROWTH, self._longest)
        return now
