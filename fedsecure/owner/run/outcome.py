"""How one attempt at a round ended, and how long its stages took."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from fedsecure.owner.rounds.proposal import Opened, Proposal, ReceiptPair
from fedsecure.owner.store.records import Participation
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Void
from fedsecure.study.round_task import GlobalModel

WAIT: Final = "wait"  # the stage before a round is proposed


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt at a round, for the record and the screen.

    `model` is the global model after it, `received` counts receipts by aggregator,
    `opened` is None for a round that was voided for `reason`; it is `burnt` if an
    aggregator had opened it, so that its number is not tried again.
    """

    proposal: Proposal
    model: GlobalModel = field(repr=False)
    opened: Opened | None = None
    receipts: Mapping[str, ReceiptPair] = field(default_factory=dict, repr=False)
    missing: Sequence[Participation] = ()
    received: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    voids: Mapping[str, Signed[Void]] = field(default_factory=dict)
    reason: str = ""
    burnt: bool = False

    @property
    def included(self) -> list[str]:
        """Those with receipts of both aggregators, in ascending order."""
        return sorted(self.receipts)


Record = Callable[[Outcome], None]


class Stopwatch:
    """Seconds spent in each stage of an attempt."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = clock()
        self.laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = self._clock()
        self.laps[stage], self._last = now - self._last, now
