"""How many uploads of one party are under way at a time, for one round or job."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fedsecure.errors import RoundStateError

EACH: Final = 2  # of one party, for one thing: one that hangs, one that runs


class UnderWay:
    """Counts uploads. One for each kind; used by the event loop alone."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def slot(self, digest: str, party: str) -> Iterator[None]:
        """Count one upload as long as the block lasts.

        Raises:
            RoundStateError: FS-318 when the party has as many under way as it may.
        """
        slot = (digest, party)
        if not self._counts[slot] < EACH:
            raise RoundStateError("FS-318", f"{party} has {EACH} under way")
        self._counts[slot] += 1
        try:
            yield
        finally:
            self._counts[slot] -= 1
            if not self._counts[slot]:
                del self._counts[slot]
