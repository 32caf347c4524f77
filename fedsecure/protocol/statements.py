"""The signed statements of the protocol, as strict data.

    model owner   federation-issue, round-spec, fold, opening, void, read
    aggregator    round-grant, receipt, aggregate-share, inclusion, void
    data owner    report, read
    any store     event (an entry of its own ledger)

Each is the payload of a JWS (module `signing`) in canonical JSON (RFC 8785).
A model refuses unknown keys and wrong types by itself; what a statement must say
in a certain round is checked by those who act on it (`rounds`, `aggregator`).
Times are whole seconds since 1970, UTC.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from fedsecure.protocol.encodings import Digest, ReportId, SealingPublicKey
from fedsecure.protocol.identity import MAX_DATA_OWNERS, Name, Role
from fedsecure.protocol.statement_fields import (
    MAX_DIMENSION,
    MAX_SCALARS,
    Body,
    Count,
    Finite,
    Label,
    Positive,
    PositiveFinite,
    RunId,
    Text,
    Time,
)
from fedsecure.protocol.statement_parts import (
    Kind,
    LedgerHead,
    Member,
    PrivacyField,
    Purpose,
    ScalarField,
    StatisticsField,
    Strict,
    Weighting,
)

__all__ = [
    "AUTHOR_FIELD",
    "SIGNERS",
    "AggregateShareHeader",
    "Event",
    "FederationIssue",
    "Fold",
    "Inclusion",
    "Kind",
    "LedgerHead",
    "Member",
    "Opening",
    "PrivacyField",
    "Purpose",
    "Read",
    "Receipt",
    "ReportHeader",
    "RoundGrant",
    "RoundSpec",
    "ScalarField",
    "Statement",
    "StatisticsField",
    "Strict",
    "Void",
    "Weighting",
]


class Statement(Strict):
    """What every statement says: to which federation it belongs."""

    typ: ClassVar[str]
    federation: Digest


class FederationIssue(Statement):
    """The model owner's word that a version of `federation.toml` is meant so.

    `authorities` is the digest of the CA file that is handed over with it.
    """

    typ: ClassVar[str] = "federation-issue"
    number: Positive
    authorities: Digest | None


class RoundSpec(Statement):
    """What the model owner asks for in one round; its digest names the round.

    `study` is the digest of what data owners agreed to, under which budgets are kept; a
    round without noise has none.
    """

    typ: ClassVar[str] = "round-spec"
    run: RunId
    round: Count
    purpose: Annotated[Purpose, Field(strict=False)]
    attempt: Positive
    task: Digest
    model: Digest
    dimension: Annotated[int, Field(ge=0, le=MAX_DIMENSION)]
    scalars: Annotated[list[ScalarField], Field(max_length=MAX_SCALARS)]
    suite: Label
    fraction_bits: Annotated[int, Field(ge=-60, le=60)]
    clip: PositiveFinite
    statistics: StatisticsField | None = None
    privacy: PrivacyField | None = None
    study: Digest | None = None
    weight_cap: Positive
    weighting: Annotated[Weighting, Field(strict=False)]
    cohort: Annotated[list[Name], Field(min_length=1, max_length=MAX_DATA_OWNERS)]
    min_cohort: Annotated[int, Field(ge=2, le=MAX_DATA_OWNERS)]
    deadline: Time
    sealing_key: SealingPublicKey

    @model_validator(mode="after")
    def _cohort_is_a_set(self) -> Self:
        if any(a >= b for a, b in pairwise(self.cohort)):
            msg = "cohort is not strictly ascending"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _budgets_have_a_study(self) -> Self:
        if (self.privacy is None) != (self.study is None):
            msg = "privacy and study contradict each other"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _only_training_has_an_update(self) -> Self:
        if (self.purpose is Purpose.TRAIN) != (self.dimension > 0):
            msg = f"dimension is {self.dimension} to {self.purpose}"
            raise ValueError(msg)
        return self


class RoundGrant(Statement):
    """An aggregator's consent to a round, and its sealing key for that round.

    `noise` is the SHA-256 of the seed of its noise, which it cannot choose later.
    """

    typ: ClassVar[str] = "round-grant"
    spec: Digest
    aggregator: Name
    sealing_key: SealingPublicKey
    expires: Time
    noise: Digest | None = None
    head: LedgerHead


class ReportHeader(Statement):
    """What precedes a sealed input share.

    `length` counts the bytes of the payload that follows.
    """

    typ: ClassVar[str] = "report"
    spec: Digest
    reporter: Name
    aggregator: Name
    report_id: ReportId
    kind: Annotated[Kind, Field(strict=False)]
    length: Positive
    digest: Digest


class Receipt(Statement):
    """An aggregator's word that a report is stored durably and opens."""

    typ: ClassVar[str] = "receipt"
    spec: Digest
    aggregator: Name
    reporter: Name
    report_id: ReportId
    digest: Digest
    head: LedgerHead


class Fold(Statement):
    """A set to add up before it is opened: whose reports no longer open?

    Nothing is fixed by it, and nothing leaves the aggregator but names.
    """

    typ: ClassVar[str] = "fold"
    spec: Digest
    set: Annotated[list[Member], Field(min_length=1, max_length=MAX_DATA_OWNERS)]

    @model_validator(mode="after")
    def _set_is_a_set(self) -> Self:
        _require_ascending(self.set)
        return self


class Opening(Statement):
    """The set that the model owner wants summed, with everybody's receipts.

    `receipts` holds, for each aggregator, one receipt (compact JWS) per member, in
    the order of `set`.
    """

    typ: ClassVar[str] = "opening"
    spec: Digest
    set: Annotated[list[Member], Field(min_length=1, max_length=MAX_DATA_OWNERS)]
    receipts: dict[Name, list[str]]

    @model_validator(mode="after")
    def _set_is_a_set(self) -> Self:
        _require_ascending(self.set)
        return self


def _require_ascending(members: list[Member]) -> None:
    names = [member.reporter for member in members]
    if any(a >= b for a, b in pairwise(names)):
        msg = "set is not strictly ascending"
        raise ValueError(msg)


class AggregateShareHeader(Statement):
    """What precedes a sealed aggregate share; `digest` is over all of its bytes."""

    typ: ClassVar[str] = "aggregate-share"
    spec: Digest
    aggregator: Name
    opening: Digest
    set: Digest
    count: Positive
    length: Positive
    digest: Digest
    head: LedgerHead


class Inclusion(Statement):
    """An aggregator's word to a data owner, given once the round is decided.

    `charged` is what the opening cost this data owner in privacy, in 1e-12 of rho.
    """

    typ: ClassVar[str] = "inclusion"
    spec: Digest
    aggregator: Name
    reporter: Name
    report: Digest
    included: bool
    charged: Count = 0
    opening: Digest | None
    set: Digest | None
    count: Count
    head: LedgerHead

    @model_validator(mode="after")
    def _nobody_is_in_what_was_not_opened(self) -> Self:
        opened = self.opening is not None
        if (self.set is not None, self.count > 0) != (opened, opened):
            msg = "opening, set and count contradict each other"
            raise ValueError(msg)
        if self.included and not opened:
            msg = "included in what was not opened"
            raise ValueError(msg)
        if self.charged and not self.included:
            msg = "charged for what it is not in"
            raise ValueError(msg)
        return self


class Void(Statement):
    """The round will never be opened; said by the owner, confirmed by a server."""

    typ: ClassVar[str] = "void"
    spec: Digest
    author: Name
    reason: Text


class Read(Statement):
    """A ticket for a read that tells who reported."""

    typ: ClassVar[str] = "read"
    aggregator: Name
    reader: Name
    method: Literal["GET"]
    path: Annotated[str, Field(max_length=300)]
    expires: Time


class Event(Statement):
    """One entry of a party's own ledger."""

    typ: ClassVar[str] = "event"
    author: Name
    entry: Positive
    previous: Digest
    kind: Label
    at: Finite
    body: Body


SIGNERS: Final[dict[type[Statement], frozenset[Role]]] = {
    FederationIssue: frozenset({Role.MODEL_OWNER}),
    RoundSpec: frozenset({Role.MODEL_OWNER}),
    RoundGrant: frozenset({Role.AGGREGATOR}),
    ReportHeader: frozenset({Role.DATA_OWNER}),
    Receipt: frozenset({Role.AGGREGATOR}),
    Fold: frozenset({Role.MODEL_OWNER}),
    Opening: frozenset({Role.MODEL_OWNER}),
    AggregateShareHeader: frozenset({Role.AGGREGATOR}),
    Inclusion: frozenset({Role.AGGREGATOR}),
    Void: frozenset({Role.MODEL_OWNER, Role.AGGREGATOR}),
    Read: frozenset({Role.MODEL_OWNER, Role.DATA_OWNER, Role.CLIENT}),
    Event: frozenset({Role.MODEL_OWNER, Role.AGGREGATOR}),
}
"""Which role may sign which statement; those about jobs are in `jobs`."""

AUTHOR_FIELD: Final[dict[type[Statement], str]] = {
    RoundGrant: "aggregator",
    ReportHeader: "reporter",
    Receipt: "aggregator",
    AggregateShareHeader: "aggregator",
    Inclusion: "aggregator",
    Void: "author",
    Read: "reader",
    Event: "author",
}
"""The field that names the signer; it must be the key that signed."""
