"""The signed statements about jobs, as strict data; habits as in `statements`.

    proposer     job-spec, job-start, job-void
    aggregator   job-grant, job-channel, job-output, job-void
    input owner  job-input
    client       job-query

A receipt of an input is a `Receipt` whose `spec` is the job's and whose `report_id` is
the input's; tickets are `Read`.
"""

from itertools import pairwise
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, model_validator

from fedsecure.protocol.encodings import Digest, ReportId, SealingPublicKey
from fedsecure.protocol.identity import Name, Role
from fedsecure.protocol.jobs.parts import (
    MAX_KEY_BITS,
    MIN_KEY_BITS,
    InputKind,
    JobKind,
    Method,
    SealedKey,
    ValueName,
)
from fedsecure.protocol.jobs.programs import LinearField, ProgramField
from fedsecure.protocol.statement_fields import Count, Positive, RunId, Text, Time
from fedsecure.protocol.statement_parts import LedgerHead
from fedsecure.protocol.statements import Statement

MAX_CLIENTS: Final = 10_000


class JobSpec(Statement):
    """What is to be computed, of whom, for whom; its digest names the job.

    A job of kind `shares` has a receiver, who proposes it, and the key that outputs are
    sealed to. A service has clients instead, and `rows`: the most that one client is
    answered in all; the model owner may be one, to try it. `description` is the SHA-256
    of what its file tells clients beside. Inputs are taken, and queries answered,
    before `deadline`.
    """

    typ: ClassVar[str] = "job-spec"
    name: RunId
    job_id: ReportId
    proposer: Name
    kind: Annotated[JobKind, Field(strict=False)]
    method: Annotated[Method, Field(strict=False)]
    program: ProgramField
    receiver: Name | None = None
    sealing_key: SealingPublicKey | None = None
    clients: Annotated[list[Name], Field(max_length=MAX_CLIENTS)]
    rows: Count
    description: Digest | None = None
    deadline: Time

    @property
    def is_service(self) -> bool:
        """Whether it answers queries, instead of opening once."""
        return self.kind is JobKind.LINEAR

    @model_validator(mode="after")
    def _clients_are_a_set(self) -> Self:
        if any(a >= b for a, b in pairwise(self.clients)):
            msg = "clients are not strictly ascending"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _a_job_opens_once_and_a_service_answers(self) -> Self:
        service = isinstance(self.program, LinearField)
        receives = self.receiver is not None and self.sealing_key is not None
        absent = self.receiver is None and self.sealing_key is None
        serves = bool(self.clients) and self.rows > 0
        silent = not self.clients and self.rows == 0
        if service != self.is_service or not (
            (serves and absent) if service else (receives and silent)
        ):
            msg = "kind, program, receiver and clients contradict each other"
            raise ValueError(msg)
        if not service and (self.method, self.receiver) != (
            Method.SHARES,
            self.proposer,
        ):
            msg = "who proposes a job of shares receives its output"
            raise ValueError(msg)
        return self


class JobGrant(Statement):
    """An aggregator's consent to a job, and its sealing key for it."""

    typ: ClassVar[str] = "job-grant"
    spec: Digest
    aggregator: Name
    sealing_key: SealingPublicKey
    expires: Time
    head: LedgerHead


class JobStart(Statement):
    """Both grants, by aggregator: each learns from it that the other one consents."""

    typ: ClassVar[str] = "job-start"
    spec: Digest
    grants: Annotated[dict[Name, str], Field(min_length=2, max_length=2)]


class JobChannel(Statement):
    """A key that one aggregator has sealed to the grant key of the other one."""

    typ: ClassVar[str] = "job-channel"
    spec: Digest
    aggregator: Name
    peer: Name
    key: SealedKey


class JobInput(Statement):
    """What precedes a sealed input.

    `plain`: SHA-256 of the words of an input that is not secret; both aggregators are
    told the same.
    """

    typ: ClassVar[str] = "job-input"
    spec: Digest
    owner: Name
    aggregator: Name
    name: ValueName
    input_id: ReportId
    kind: Annotated[InputKind, Field(strict=False)]
    plain: Digest | None = None
    length: Positive
    digest: Digest

    @model_validator(mode="after")
    def _only_public_words_have_a_digest(self) -> Self:
        if (self.kind is InputKind.PUBLIC) != (self.plain is not None):
            msg = "kind and plain contradict each other"
            raise ValueError(msg)
        if self.kind is InputKind.CIPHERTEXTS:
            msg = "ciphertexts are sent in queries alone"
            raise ValueError(msg)
        return self


class JobQuery(Statement):
    """What precedes the sealed rows of a query; `query` ascends for each client.

    `key_bits`: the length of the key that rows are encrypted under, if they are.
    """

    typ: ClassVar[str] = "job-query"
    spec: Digest
    client: Name
    aggregator: Name
    query: Positive
    query_id: ReportId
    kind: Annotated[InputKind, Field(strict=False)]
    rows: Positive
    key_bits: Annotated[int, Field(ge=MIN_KEY_BITS, le=MAX_KEY_BITS)] | None = None
    sealing_key: SealingPublicKey
    length: Positive
    digest: Digest

    @model_validator(mode="after")
    def _ciphertexts_have_a_key(self) -> Self:
        if (self.kind is InputKind.CIPHERTEXTS) != (self.key_bits is not None):
            msg = "kind and key_bits contradict each other"
            raise ValueError(msg)
        if self.kind is InputKind.PUBLIC:
            msg = "rows of a query are secret"
            raise ValueError(msg)
        return self


class JobOutput(Statement):
    """What precedes a sealed output share; `query` is 0 where nobody asked one.

    `inputs` is the SHA-256 of the list of all that went in (`inputs_digest`).
    """

    typ: ClassVar[str] = "job-output"
    spec: Digest
    aggregator: Name
    client: Name | None = None
    query: Count
    inputs: Digest
    length: Positive
    digest: Digest
    head: LedgerHead


class JobVoid(Statement):
    """A job ends here: said by its proposer, confirmed by an aggregator."""

    typ: ClassVar[str] = "job-void"
    spec: Digest
    author: Name
    reason: Text


_ANYBODY: Final = frozenset({Role.MODEL_OWNER, Role.DATA_OWNER, Role.CLIENT})

SIGNERS: Final[dict[type[Statement], frozenset[Role]]] = {
    JobSpec: _ANYBODY,
    JobGrant: frozenset({Role.AGGREGATOR}),
    JobStart: _ANYBODY,
    JobChannel: frozenset({Role.AGGREGATOR}),
    JobInput: _ANYBODY,
    JobQuery: _ANYBODY,
    JobOutput: frozenset({Role.AGGREGATOR}),
    JobVoid: _ANYBODY | {Role.AGGREGATOR},
}
"""Which role may sign which statement about a job."""

AUTHOR_FIELD: Final[dict[type[Statement], str]] = {
    JobSpec: "proposer",
    JobGrant: "aggregator",
    JobChannel: "aggregator",
    JobInput: "owner",
    JobQuery: "client",
    JobOutput: "aggregator",
    JobVoid: "author",
}
"""The field that names the signer; it must be the key that signed."""
