"""What the round store takes and gives back.

The first part are the bodies of its events, by kind; together with the signed
statements in them they hold everything that the tables show:

    run-started  run-resumed  run-finished
    round-proposed  round-granted  round-opening  round-opened  round-void
    round-verdict  job-proposed  job-result  federation-changed

The second part is what readers get. No field is secret.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from fedsecure.owner.store.states import JobState, RoundState, RunState
from fedsecure.protocol.ledger import CHANGED
from fedsecure.protocol.statements import Purpose, Weighting

ScalarMean: TypeAlias = int | float | list[int] | list[float] | None


class ModelKind(StrEnum):
    """What a stored array is."""

    MODEL = "model"  # a global model, flat
    MEAN = "mean"  # the opened mean update of one round


class Status(StrEnum):
    """What became of one data owner of the cohort in one round."""

    ASKED = "asked"  # the round is not decided yet
    IN_SET = "in set"  # its report is in the opened sum
    REPORTED = "reported"  # both aggregators have its report, but the round is void
    NOT_REPORTED = "not reported"  # it answered that it sends nothing
    NO_RECEIPT = "no receipt"  # it did not show the receipts of both aggregators
    LOST = "lost"  # both had its report, and an aggregator does not any more
    OFFLINE = "offline"  # it did not answer before the deadline
    ROUND_VOID = "round void"  # it may have reported; the round was given up


class Verdict(StrEnum):
    """What the model owner thinks of an opened round."""

    ACCEPTED = "accepted"  # its model may be gone on from
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """An array in a file; `path` is relative to the folder of the store's files.

    `digest` is the name of a global model in specs (`study.task.model_digest`); a mean
    has none.
    """

    path: str
    sha256: str  # of the file's bytes, hex
    bytes: int
    kind: ModelKind
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The opened train round whose model a run starts from.

    `forced`: it was not accepted, and the model owner went on from it all the same.
    """

    spec_digest: str
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Participation:
    """One data owner of the cohort in one round; `reason` is for people."""

    name: str
    status: Status
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run begins. `settings`: everything else of the study, as JSON."""

    run: str
    study: str
    title: str
    strategy: str
    weighting: Weighting
    planned_rounds: int
    min_cohort: int
    clip: float  # L2 norm, model units
    settings: Mapping[str, Any]
    initial_model: StoredModel
    origin: Origin | None = None
    statistics_clip: float | None = None  # None: the model has no statistics


@dataclass(frozen=True, slots=True)
class RunResumed:
    """A run goes on after it failed, was stopped, or was killed."""

    run: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run is over: completed, diverged, its budget spent, failed or stopped."""

    run: str
    outcome: RunState
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class RoundProposed:
    """A spec (token) is about to be sent."""

    spec: str


@dataclass(frozen=True, slots=True)
class RoundGranted:
    """Both aggregators granted the round: aggregator -> grant (token)."""

    spec_digest: str
    grants: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RoundOpening:
    """An opening (token) is about to be sent."""

    opening: str


@dataclass(frozen=True, slots=True)
class RoundResult:
    """A round was opened.

    The metrics of a train round are of the model that the round started from; those
    of an evaluate round are of the model as it is. None or NaN: undefined, such as
    the AUC of a single class.

    `deviations` are the standard deviations that noise gives to metrics.

    `scalars` are the shared figures as they were opened, from which the metrics follow:
    a resumed run hands them to the strategy again.

    `clipped` counts members of the set whose update was scaled down,
    `statistics_clipped` those whose statistics were, `clamped` the scalars that were
    brought into their range, and `undefined` the members whose metrics were not finite:
    `scalars` and `metrics` are of the others, or None. `shares` are the headers of both
    aggregate shares (tokens), `seconds` durations by stage, and `bytes_up` what the
    set uploaded to both aggregators together.
    """

    spec_digest: str
    mean: StoredModel | None = None
    model: StoredModel | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    deviations: Mapping[str, float | None] = field(default_factory=dict)
    scalars: Mapping[str, ScalarMean] = field(default_factory=dict)
    total_weight: int = 0
    clipped: int = 0
    statistics_clipped: int = 0
    clamped: int = 0
    undefined: int = 0
    participations: Sequence[Participation] = ()
    shares: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    bytes_up: int = 0


@dataclass(frozen=True, slots=True)
class RoundVoided:
    """A round was given up. `confirmations`: aggregator -> its signed void (token)."""

    spec_digest: str
    reason: str
    participations: Sequence[Participation] = ()
    confirmations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RoundJudged:
    """The model owner accepts or rejects an opened round; the last word counts."""

    spec_digest: str
    verdict: Verdict
    note: str
    by: str  # who typed it


@dataclass(frozen=True, slots=True)
class JobProposed:
    """A job's spec (token) is about to be sent.

    `model` is the digest of the global model that it serves, `run` the run that it came
    out of; both None for a model of a file. `description` is what the service's file
    says beside.
    """

    spec: str
    description: Mapping[str, Any] | None = None
    run: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class JobResult:
    """A service is ready, closed, or failed before it was ready.

    `grants` are both aggregators' (tokens). `tried` rows were sent through both;
    `difference` is the largest of their scores to the model's own.
    """

    spec_digest: str
    state: JobState
    reason: str | None = None
    grants: Mapping[str, str] = field(default_factory=dict)
    tried: int | None = None
    difference: float | None = None


@dataclass(frozen=True, slots=True)
class FederationChanged:
    """The ledger goes on under a new version. `before`: digest of the last one."""

    before: str
    number: int


Body: TypeAlias = (
    RunStarted
    | RunResumed
    | RunFinished
    | RoundProposed
    | RoundGranted
    | RoundOpening
    | RoundResult
    | RoundVoided
    | RoundJudged
    | JobProposed
    | JobResult
    | FederationChanged
)

KINDS: Final[dict[str, type[Body]]] = {
    "run-started": RunStarted,
    "run-resumed": RunResumed,
    "run-finished": RunFinished,
    "round-proposed": RoundProposed,
    "round-granted": RoundGranted,
    "round-opening": RoundOpening,
    "round-opened": RoundResult,
    "round-void": RoundVoided,
    "round-verdict": RoundJudged,
    "job-proposed": JobProposed,
    "job-result": JobResult,
    CHANGED: FederationChanged,
}
"""The kind of event that carries each body."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it stands; times are seconds since 1970."""

    run: str
    study: str
    title: str
    strategy: str
    weighting: Weighting
    planned_rounds: int
    min_cohort: int
    clip: float
    statistics_clip: float | None
    settings: Mapping[str, Any]
    initial_model: StoredModel
    origin: str | None
    state: RunState
    reason: str | None
    started_at: float
    finished_at: float | None


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """A round as it stands, with the tokens that a resuming model owner needs."""

    spec_digest: str
    run: str
    round: int
    purpose: Purpose
    attempt: int
    state: RoundState
    spec: str
    grants: Mapping[str, str]
    opening: str | None
    shares: Sequence[str]
    mean: StoredModel | None
    model: StoredModel | None
    metrics: Mapping[str, float | None]
    scalars: Mapping[str, ScalarMean]
    undefined: int | None
    voids: Mapping[str, str]
    verdict: Verdict | None

    @property
    def burnt(self) -> bool:
        """Whether it is given up although an aggregator may have opened it.

        Its number is not used again, for nobody opens a round twice.
        """
        return (
            self.state is RoundState.VOID
            and self.opening is not None
            and len(self.voids) < len(self.grants)
        )


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as it stands."""

    spec_digest: str
    name: str
    state: JobState
    deadline: float
