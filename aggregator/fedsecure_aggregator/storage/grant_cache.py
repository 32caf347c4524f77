"""What was granted for a round: each of its reports asks for it, and it never changes.

The spec of a round with 10,000 data owners has half a megabyte. Read from the store for
every report, it would cost more than the report itself.
"""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Final

from sqlalchemy.orm import Session

from fedsecure.core.params import Params
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.statements import RoundSpec
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.projection import spec_of

MOST: Final = 16  # rounds


@dataclass(frozen=True, slots=True)
class CachedGrant:
    """One round's spec, the numbers that follow from it, and who may report."""

    spec: RoundSpec
    params: Params
    members: frozenset[str]


class GrantCache:
    """The rounds that were asked for last; for all threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, CachedGrant] = OrderedDict()
        self._lock = Lock()

    def known(self, digest: str) -> CachedGrant | None:
        """Return a round if it was asked for lately; the store is not asked."""
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
            return self._kept.get(digest)

    def find(self, session: Session, digest: str) -> CachedGrant:
        """Return a round, read from the store only once.

        Raises:
            RoundStateError: FS-300 when it was never granted here.
        """
        kept = self.known(digest)
        if kept is not None:
            return kept
        spec = spec_of(queries.find_round(session, digest).token)
        found = CachedGrant(spec, params_of(spec), frozenset(spec.cohort))
        with self._lock:
            self._kept[digest] = found
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return found
