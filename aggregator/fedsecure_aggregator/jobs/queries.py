"""Queries: what one must be before its rows are read, its answer, and that it is one.

    expect    its header is right, and it is new: or it has its answer already
    compute   rows are opened, the model applied, the result made fresh and sealed
    commit    the answer is the only one that this number ever has; then it is sent

Numbers ascend for each client, and each is answered once, for the same rows: what makes
the result fresh is made of the number. A query whose answer was lost is sent again, and
has the stored answer. A crash before the commit forgets the query.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog
from sqlalchemy.orm import Session

from fedsecure.core.layout import Buffer
from fedsecure.core.mask import SEED_BYTES
from fedsecure.core.mpc.sharing import QUERY
from fedsecure.core.sealing import payload_digest, seal, seal_info
from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol.jobs.digests import WentIn, inputs_digest
from fedsecure.protocol.jobs.parts import InputKind, Method
from fedsecure.protocol.jobs.statements import JobQuery
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import LedgerHead
from fedsecure.system.crash_points import Point, crash_point
from fedsecure_aggregator.jobs import services
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.known_jobs import Service
from fedsecure_aggregator.jobs.outputs import About, Answer, output_token, seal_output
from fedsecure_aggregator.rules import compute_policy
from fedsecure_aggregator.rules.job_states import require_job
from fedsecure_aggregator.storage import queries as rows
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.jobs.reading import Progress
from fedsecure_aggregator.storage.jobs.tables import QueryRow

_KINDS: Final[Mapping[Method, frozenset[InputKind]]] = {
    Method.SHARES: frozenset({InputKind.SEED, InputKind.VECTOR}),
    Method.PAILLIER: frozenset({InputKind.CIPHERTEXTS}),
}

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Address:
    """What the path of a query names."""

    digest: str
    client: str
    number: int


@dataclass(frozen=True, slots=True)
class ExpectedQuery:
    """A new query whose header is right; its rows are still to come."""

    service: Service
    header: Signed[JobQuery]

    @property
    def went_in(self) -> str:
        """Digest of the list of all that goes into its answer, hex."""
        said = self.header.statement
        asked = WentIn(QUERY, said.client, said.query_id, None)
        return inputs_digest([*self.service.went_in, asked])


@dataclass(frozen=True, slots=True)
class Computed:
    """A sealed answer that nothing says yet."""

    about: About
    content: bytes = field(repr=False)
    sealed: seal.Sealed


def most_bytes(context: JobContext, service: Service) -> int:
    """Return the longest payload that a query of a service can have."""
    most = min(service.job.spec.rows, context.policy.max_rows)
    plain = services.rows_bytes(service.job, most, None)
    return payload_digest.sealed_length(max(SEED_BYTES, plain))


def expect(
    context: JobContext, service: Service, asked: Address, header: Signed[JobQuery]
) -> ExpectedQuery:
    """Check a query's header before its rows are read; nothing is read.

    Whether its number is a new one is seen by `find_answer`, and by `commit` for good.

    The steps, in order:
        (1) its client signed it, in this federation: whoever calls has verified it;
        (2) it is for this service, this address and this aggregator;
        (3) the service has this client;
        (4) it comes as the method says, and is as long as its rows.

    Raises:
        PeerError: FS-301, FS-310, FS-311.
    """
    said = header.statement
    require_job(asked.digest, said.spec)  # (2)
    for what, inside, here in (
        ("client", said.client, asked.client),
        ("query", said.query, asked.number),
        ("aggregator", said.aggregator, context.name),
    ):
        if inside != here:
            raise PeerError("FS-310", f"{what} is {inside!r} inside, {here!r} here")
    spec = service.job.spec
    if said.client not in spec.clients:  # (3)
        raise PeerError("FS-311", f"{said.client} asks {spec.name}")
    if said.kind not in _KINDS[spec.method]:  # (4)
        raise PeerError("FS-310", f"{spec.name} takes no {said.kind}")
    length = payload_digest.sealed_length(_plaintext_bytes(service, said))
    if said.length != length:
        raise PeerError(
            "FS-310",
            f"a {said.kind} of {said.length} bytes, {said.rows} rows have {length}",
        )
    return ExpectedQuery(service, header)


def is_new(context: JobContext, asked: ExpectedQuery) -> bool | None:
    """Tell from memory alone whether a query has a new number; None: it is not known.

    What forbids to answer it is found here, before its rows are read.

    Raises:
        PeerError: FS-398, FS-443, FS-445.
        RoundStateError: FS-392.
    """
    known = asked.service.counts.progress(asked.header.statement.client)
    if known is None:
        return None
    if not asked.header.statement.query > known.query:
        return False
    _require_allowed(context, asked, known)
    return True


def find_answer(context: JobContext, asked: ExpectedQuery) -> Answer | None:
    """Return the answer of a query that was answered; None if it is new. Reads only.

    Raises:
        PeerError: FS-398, FS-443, FS-445.
        RoundStateError: FS-392, FS-395.
    """
    said = asked.header.statement
    with context.server.store.reading("find query") as session:
        known = reading.progress(session, said.spec, said.client)
        asked.service.counts.note(said.client, known)
        if not said.query > known.query:
            return _answered(context, session, asked)
    _require_allowed(context, asked, known)
    return None


def compute(context: JobContext, asked: ExpectedQuery, payload: Buffer) -> Computed:
    """Answer a query. Run by the computing thread alone.

    Raises:
        PeerError: FS-722 for its key, FS-730 when it does not open, FS-731 for what is
            no ciphertext.
    """
    service, said = asked.service, asked.header.statement
    plain = _open(context, service, said, payload)
    rand = context.server.rand(services.RAND_BYTES)
    first = context.is_first
    result = services.logits(service, said, plain, first=first, rand=rand)
    about = About(said.client, said.query, asked.went_in)
    content, sealed = seal_output(context, service.job, about, said.sealing_key, result)
    crash_point(Point.QUERY_COMPUTED)
    return Computed(about, content, sealed)


def commit(context: JobContext, asked: ExpectedQuery, computed: Computed) -> Answer:
    """Make an answer the one of its number, and return it. Run by the worker's thread.

    It is checked again what may have happened since: a number that was used, rows that
    were answered, a service that was closed.

    Raises:
        PeerError: FS-398, FS-445.
        RoundStateError: FS-392, FS-395.
    """
    said = asked.header.statement

    def work(session: Session) -> tuple[Answer | None, Progress, LedgerHead | None]:
        # Only this thread moves it on, so memory knows as well as the store does.
        known = asked.service.counts.progress(said.client) or Progress()
        if not said.query > known.query:
            return _answered(context, session, asked), known, None
        _require_allowed(context, asked, known)
        now = Progress(said.query, known.rows + said.rows)
        return None, now, _append(context, session, asked, computed, now)

    answer, now, head = context.change("answer query", work)
    asked.service.counts.note(said.client, now)
    crash_point(Point.QUERY_COMMITTED)
    if answer is not None or head is None:
        return answer or _gone(said)
    asked.service.counts.answered += 1
    made = computed.sealed.length, computed.sealed.digest.hex()
    token = output_token(context, said.spec, computed.about, made, head)
    return Answer(token, computed.content)


def _append(
    context: JobContext,
    session: Session,
    asked: ExpectedQuery,
    computed: Computed,
    now: Progress,
) -> LedgerHead:
    said, server = asked.header.statement, context.server
    body = {
        "spec": said.spec,
        "client": said.client,
        "query": said.query,
        "query_id": said.query_id,
        "kind": said.kind.value,
        "rows": said.rows,
        "answered": now.rows,
        "header": asked.header.digest,
        "inputs_digest": computed.about.inputs,
        "answer_digest": computed.sealed.digest.hex(),
        "answer_length": computed.sealed.length,
    }
    head = server.store.append(session, JobEvent.QUERY, body, server.clock())
    reading.add_answer(session, said.spec, said.client, said.query, computed.content)
    return head


def _answered(context: JobContext, session: Session, asked: ExpectedQuery) -> Answer:
    """Return the stored answer of a query that came before.

    Raises:
        RoundStateError: FS-392 once it is deleted, FS-395 when its number was another
            query's, or was passed over.
    """
    said = asked.header.statement
    row = session.get(QueryRow, (said.spec, said.client, said.query))
    if row is None or row.header != asked.header.digest:
        raise RoundStateError("FS-395", f"query {said.query} of {said.client}")
    content = reading.find_answer(session, said.spec, said.client, said.query)
    if content is None:
        return _gone(said)
    about = About(row.client, row.query, row.inputs_digest)
    made, head = (
        (row.answer_length, row.answer_digest),
        rows.head_at(session, row.entry),
    )
    return Answer(output_token(context, said.spec, about, made, head), content)


def _gone(said: JobQuery) -> Answer:
    raise RoundStateError("FS-392", f"the answer of query {said.query} is deleted")


def _require_allowed(
    context: JobContext, asked: ExpectedQuery, known: Progress
) -> None:
    """Check that a query with a new number may be answered.

    Raises:
        PeerError: FS-398, FS-443, FS-445.
        RoundStateError: FS-392 after the deadline.
    """
    said, spec = asked.header.statement, asked.service.job.spec
    late = context.server.clock() - spec.deadline
    if not late < 0:
        raise RoundStateError("FS-392", f"its deadline was {late:.0f} s ago")
    compute_policy.require_rows("a query", said.rows, context.policy)
    services.require_work(asked.service.job, said.rows)
    if not known.rows + said.rows <= spec.rows:
        raise PeerError(
            "FS-398",
            f"{known.rows} were answered, {said.rows} are asked, {spec.rows} allowed",
        )
    compute_policy.require_one_more_query(asked.service.counts.answered, context.policy)


def _plaintext_bytes(service: Service, said: JobQuery) -> int:
    if said.kind is InputKind.SEED:
        return SEED_BYTES
    return services.rows_bytes(service.job, said.rows, said.key_bits)


def _open(
    context: JobContext, service: Service, said: JobQuery, payload: Buffer
) -> bytearray:
    info = seal_info.query_info(
        service.job.digests,
        said.client,
        context.name,
        said.query,
        bytes.fromhex(said.query_id),
        said.kind,
    )
    plain = bytearray(_plaintext_bytes(service, said))
    try:
        seal.open_sealed(service.key, info, payload, said.length, memoryview(plain))
    except PeerError as error:
        raise PeerError("FS-730", f"query {said.query}: {error.detail}") from error
    return plain
