"""What one process knows beside its stores, as long as it lives.

None of it is needed: without it the database is asked, or the log says a thing twice.
But a database that went back in time does not take it along.
"""

from collections import OrderedDict
from threading import Lock
from typing import Final

MOST_REFUSALS: Final = 2**12  # 0.2 kB each


class ProcessMemory:
    """Of one aggregator's process; what is about refusals, for all threads."""

    def __init__(self) -> None:
        self._receipts: dict[str, dict[str, int]] = {}
        self._faults: set[tuple[str, str]] = set()
        self._refusals: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._settled: dict[str, float] = {}  # of rounds and of jobs
        self._lock = Lock()

    def receipt_given(self, spec: str, reporter: str, entries: int) -> None:
        """Keep how long the ledger was at a receipt that was given."""
        self._receipts.setdefault(spec, {})[reporter] = entries

    def receipt_entry(self, spec: str, reporter: str) -> int | None:
        """Return how long the ledger was at a receipt, if this process gave it."""
        return self._receipts.get(spec, {}).get(reporter)

    def is_first_fault(self, spec: str, reporter: str) -> bool:
        """Tell, once, that the log has not named a report's file as faulty yet."""
        is_first = (spec, reporter) not in self._faults
        self._faults.add((spec, reporter))
        return is_first

    def forget_round(self, spec: str) -> None:
        """Drop what is known of a round that is over."""
        self._receipts.pop(spec, None)
        self._settled.pop(spec, None)

    def settle(self, spec: str, until: float) -> None:
        """Keep that nothing of a round or job is to be deleted before a time."""
        self._settled[spec] = until

    def is_settled(self, spec: str, now: float) -> bool:
        """Tell whether nothing of a round or job is to be deleted yet."""
        return now < self._settled.get(spec, now)

    def refusal_recorded(self, digest: str, code: str) -> None:
        """Keep that the ledger holds a refusal, where it stays."""
        with self._lock:
            self._refusals[digest, code] = None
            while len(self._refusals) > MOST_REFUSALS:
                self._refusals.popitem(last=False)

    def is_recorded(self, digest: str, code: str) -> bool:
        """Tell whether a refusal is known to be in the ledger."""
        with self._lock:
            return (digest, code) in self._refusals
