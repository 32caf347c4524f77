"""What the model owner's end of a round is given, and what comes out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fedsecure.core import scheme
from fedsecure.core.params import Params
from fedsecure.core.sealing import sealing_key
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import (
    AggregateShareHeader,
    Opening,
    PrivacyField,
    Purpose,
    Receipt,
    RoundGrant,
    RoundSpec,
    ScalarField,
    StatisticsField,
    Void,
    Weighting,
)


@dataclass(frozen=True, slots=True)
class RoundRequest:
    """What the model owner wants to know in one round. `seconds`: time to report."""

    run: str
    round: int
    purpose: Purpose
    attempt: int
    task: str
    model: str
    dimension: int
    scalars: Sequence[ScalarField]
    clip: float
    weight_cap: int
    weighting: Weighting
    cohort: Sequence[str]
    min_cohort: int
    seconds: float
    statistics: StatisticsField | None = None
    privacy: PrivacyField | None = None
    study: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A round that both aggregators granted. Without its key it cannot be opened."""

    spec: Signed[RoundSpec]
    params: Params
    grants: Mapping[str, Signed[RoundGrant]]
    key: sealing_key.SealingKey | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """What came out of a round."""

    mean: scheme.Mean
    opening: Signed[Opening]
    shares: Mapping[str, Signed[AggregateShareHeader]]


@dataclass(frozen=True, slots=True)
class Voided:
    """What came of voiding a round at both aggregators.

    `opened` names those that cannot confirm it, for they have opened the round; one
    that never granted it is in neither.
    """

    confirmations: Mapping[str, Signed[Void]]
    opened: Sequence[str] = ()


class RoundLog(Protocol):
    """The part of the round store that a round in progress needs."""

    def propose(self, spec: Signed[RoundSpec]) -> None:
        """Record a spec before it is sent."""

    def granted(self, spec_digest: str, grants: Mapping[str, str]) -> None:
        """Record both grants."""

    def opening(self, opening: Signed[Opening]) -> None:
        """Record an opening before it is sent."""


ReceiptPair = Mapping[str, Signed[Receipt]]  # aggregator name -> its receipt
