"""What every request is answered with: identity, policy, storage, clock, randomness."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.orm import Session

from fedsecure.core.gaussian_release import mechanism_of
from fedsecure.core.params import Params
from fedsecure.core.release import Mechanism
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author
from fedsecure.protocol.statements import LedgerHead
from fedsecure_aggregator.rounds.accumulator import Accumulator
from fedsecure_aggregator.rounds.process_memory import ProcessMemory
from fedsecure_aggregator.rules.limits import STILL_SECONDS, TIDY_SECONDS
from fedsecure_aggregator.rules.policy import Policy
from fedsecure_aggregator.storage.grant_cache import GrantCache
from fedsecure_aggregator.storage.spool import Spool
from fedsecure_aggregator.storage.store import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """One aggregator.

    Args:
        author: Its name and signing key.
        policy: What it refuses.
        store: Its database.
        spool: Its data folder.
        accumulator: Its sums.
        clock: Seconds since 1970; may be set, so no duration is measured by it.
        monotonic: Seconds that never go back, for durations.
        rand: `rand(n)` returns n uniform bytes.
        mechanisms: What is released of the sum of a round with such numbers.
        still_seconds: How long a connection may stand still.
        tidy_seconds: How long what has expired may wait to be deleted.
        grant_cache: What was granted, as far as it was asked for.
        versions: Of the federation, all that this party accepted; default: this one.
        memory: What this process knows beside its stores.
    """

    author: Author
    policy: Policy
    store: Store
    spool: Spool
    accumulator: Accumulator
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    rand: Callable[[int], bytes] = field(repr=False)
    mechanisms: Callable[[Params], Mechanism] = mechanism_of
    still_seconds: int = STILL_SECONDS
    tidy_seconds: int = TIDY_SECONDS
    grant_cache: GrantCache = field(default_factory=GrantCache, repr=False)
    versions: Federations | None = field(default=None, repr=False)
    memory: ProcessMemory = field(default_factory=ProcessMemory, repr=False)

    @property
    def name(self) -> str:
        """This aggregator's name."""
        return self.author.name

    @property
    def federation(self) -> Federation:
        """The federation that it belongs to."""
        return self.author.federation

    @property
    def keys(self) -> Federations:
        """Everybody's keys, in every version of the federation that is known here."""
        return self.versions or Federations([self.federation])

    def change(self, name: str, work: Callable[[Session], T]) -> T:
        """Make one change, then note in the spool how far the ledger is.

        Run by the worker's thread alone. `work` may be called several times.

        Raises:
            OperatorError: FS-523 to FS-525; what was committed stays.
        """

        def noted(session: Session) -> tuple[T, LedgerHead]:
            return work(session), self.store.head(session)

        result, head = self.store.change(name, noted)
        self.spool.notes.note_ledger_head(head)
        return result
