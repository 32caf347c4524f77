"""What a run is asked to do, and how each attempt at a round ended."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from flwr.app import ArrayRecord

from fedsecure.owner.rounds.proposal import Opened, Proposal, ReceiptPair
from fedsecure.owner.run.pauses import Pauses
from fedsecure.owner.store.records import Participation
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import ScalarField, StatisticsField, Void, Weighting
from fedsecure.study.task import ConfigValue

WAIT: Final = "wait"  # the stage before a round is proposed


@dataclass(frozen=True, slots=True)
class Plan:
    """What stays the same over a run.

    Args:
        run: Its name.
        rounds: How many train rounds.
        config: What every ClientApp sees, beside the strategy's own settings.
        scalars: The metrics that are shared.
        round_seconds: How long a cohort may take to report.
        join_seconds: How long to wait for the whole roster before going on with
            at least min_cohort.
        pauses: How often a round with too few reports is tried, and how long the run
            waits in between.
        statistics: Which coordinates of an update are clipped on their own.
        stop_when_diverged: Whether to end the run at a model that is not sound.
    """

    run: str
    rounds: int
    config: Mapping[str, ConfigValue]
    scalars: Sequence[ScalarField]
    clip: float
    weight_cap: int
    weighting: Weighting
    min_cohort: int
    round_seconds: float
    join_seconds: float
    pauses: Pauses = field(default_factory=Pauses)
    statistics: StatisticsField | None = None
    stop_when_diverged: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt at a round, for the record and the screen.

    `arrays` is the global model after it, `received` counts receipts by aggregator,
    `opened` is None for a round that was voided for `reason`; it is `burnt` if an
    aggregator had opened it, so that its number is not tried again.
    """

    proposal: Proposal
    arrays: ArrayRecord = field(repr=False)
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


Recorder = Callable[[Outcome], None]
