"""How often one party may ask: a leaky bucket for each (GCRA, ITU-T I.371, annex A).

Counted are requests that a party has signed, so a stranger cannot use up anybody's
share, and a proxy that many parties sit behind is nobody. (Whoever holds a party's
statement can: the other aggregator, or who ends its TLS.) What strangers send is never
counted: it costs them more than it costs this server.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from fedsecure.errors import RoundStateError
from fedsecure.identity import MAX_DATA_OWNERS

WINDOW: Final = 60.0  # seconds
MOST_NAMES: Final = MAX_DATA_OWNERS + 3  # everybody in the largest federation


@dataclass(slots=True)
class Pace:
    """Admits up to `per_minute` requests at once, and as many in each minute.

    Used by the event loop's thread alone. Memory is a number for each party.
    """

    per_minute: int
    clock: Callable[[], float]
    _due: OrderedDict[str, float] = field(default_factory=OrderedDict, repr=False)

    def require(self, name: str) -> None:
        """Count one request of a party.

        Raises:
            RoundStateError: FS-326 when it asked too often; nothing is counted then.
        """
        now = self.clock()
        due = max(self._due.get(name, now), now) + WINDOW / self.per_minute
        ahead = due - now - WINDOW
        # The last digit of a sum of many parts is no reason to refuse.
        if not ahead <= 1e-6:
            raise RoundStateError(
                "FS-326", f"{name}: {self.per_minute} a minute, wait {ahead:.1f} s"
            )
        self._due[name] = due
        self._due.move_to_end(name)
        while len(self._due) > MOST_NAMES:
            self._due.popitem(last=False)
