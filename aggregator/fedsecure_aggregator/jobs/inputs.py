"""Inputs: what one must be before its first byte is read, what it holds, its receipt.

A receipt says "stored durably, and it opens": so an input is on disk, and was opened
and looked at, before its row is committed, and the row before the receipt is signed.
Whoever asks again gets the same receipt, for as long as the job has it.
"""

import hashlib
from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from fedsecure.core.layout import Buffer
from fedsecure.core.mask import SEED_BYTES
from fedsecure.core.mpc import ring
from fedsecure.core.mpc.ranges import Value
from fedsecure.core.mpc.ring import Words
from fedsecure.core.mpc.sharing import InputContext, ShareKind, share_of
from fedsecure.core.sealing import payload_digest, seal, seal_info
from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol.jobs.parts import InputKind
from fedsecure.protocol.jobs.statements import JobInput
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Receipt
from fedsecure.system.crash_points import Point, crash_point
from fedsecure_aggregator.jobs import completion
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.known_jobs import KnownJob, Wanted
from fedsecure_aggregator.rules.job_states import (
    JobStep,
    advance,
    require_job,
    require_not_over,
)
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.jobs.spool import input_name
from fedsecure_aggregator.storage.jobs.tables import InputRow, JobRow
from fedsecure_aggregator.storage.spool import Sealed, Upload

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ExpectedInput:
    """An input whose header is right; its payload is still to come."""

    job: KnownJob
    header: Signed[JobInput]
    stored: bool  # already: the payload is only compared

    @property
    def wanted(self) -> Wanted:
        """What the program says about it."""
        return self.job.inputs[self.header.statement.name]


def most_bytes(context: JobContext, digest: str) -> int:
    """Return the longest payload that a job's inputs can have; reads only.

    Raises:
        RoundStateError: FS-390.
    """
    with context.server.store.reading("find job") as session:
        job = context.specs.find(session, digest)
    sizes = [
        _plaintext_bytes(kind, one.value)
        for one in job.inputs.values()
        for kind in one.kinds
    ]
    return payload_digest.sealed_length(max(sizes))


def expect(
    context: JobContext, digest: str, name: str, header: Signed[JobInput]
) -> ExpectedInput:
    """Check an input's header before its payload is read; reads only.

    The steps, in order:
        (1) its owner signed it, in this federation: whoever calls has verified it;
        (2) it is for this job, this address and this aggregator;
        (3) the program has such an input, and it is this party's;
        (4) it comes as the program says, and is as long;
        (5) if one is stored already, it is the same one;
        (6) otherwise the job still takes inputs.

    Raises:
        PeerError: FS-301, FS-310, FS-311.
        RoundStateError: FS-390 to FS-392, FS-397.
    """
    said = header.statement
    require_job(digest, said.spec)  # (2)
    for what, inside, here in (
        ("name", said.name, name),
        ("aggregator", said.aggregator, context.name),
    ):
        if inside != here:
            raise PeerError("FS-310", f"{what} is {inside!r} inside, {here!r} here")
    with context.server.store.reading("expect input") as session:
        job = context.specs.find(session, digest)
        _require_wanted(job, said)  # (3), (4)
        return _expect_now(context, session, job, header)


def _require_wanted(job: KnownJob, said: JobInput) -> None:
    wanted = job.inputs.get(said.name)
    if wanted is None:
        raise PeerError("FS-310", f"the program has no input {said.name!r}")
    if said.owner != wanted.owner:
        raise PeerError("FS-311", f"input {said.name!r} is {wanted.owner}'s")
    if said.kind not in wanted.kinds:
        raise PeerError("FS-310", f"input {said.name!r} does not come as {said.kind}")
    length = payload_digest.sealed_length(_plaintext_bytes(said.kind, wanted.value))
    if said.length != length:
        raise PeerError(
            "FS-310",
            f"a {said.kind} of {said.length} bytes, input {said.name!r} has {length}",
        )


def _expect_now(
    context: JobContext, session: Session, job: KnownJob, header: Signed[JobInput]
) -> ExpectedInput:
    """Go through the steps of `expect` that need the store."""
    row = reading.find_job(session, job.digest)
    require_not_over(job.digest, row.state, row.reason)
    known = session.get(InputRow, (job.digest, header.statement.name))
    if known is None:
        _require_open(context, row)  # (6)
    elif known.header != header.digest:  # (5)
        raise RoundStateError("FS-397", f"another input {known.name!r} is stored")
    return ExpectedInput(job, header, known is not None)


def _require_open(context: JobContext, row: JobRow) -> None:
    advance(row.state, JobStep.TAKE)
    late = context.server.clock() - row.deadline
    if not late < 0:
        raise RoundStateError("FS-392", f"its deadline was {late:.0f} s ago")


def open_input(
    context: JobContext, expected: ExpectedInput, content: Sealed, offset: int
) -> bytearray:
    """Open an input and check what can be checked. Run by the computing thread.

    Of a share nothing can be said but its length; a public input is what its header
    says, and within its bound.

    Raises:
        PeerError: FS-224, FS-730.
        OperatorError: FS-524, FS-541 for disk and key.
    """
    said, wanted = expected.header.statement, expected.wanted
    plain = _opened(context, expected.job, said, wanted, content, offset)
    if said.kind is InputKind.PUBLIC:
        if hashlib.sha256(plain).hexdigest() != said.plain:
            raise PeerError("FS-730", f"{said.name!r} has other words than `plain`")
        _require_bound(said.name, wanted.value, plain)
    return plain


def words_of(
    context: JobContext, job: KnownJob, row: InputRow, content: Sealed, offset: int
) -> Words:
    """Return this aggregator's share of a stored input, or the words of a public one.

    Run by the computing thread. Shape (rows, columns) of the input, uint64.

    Raises:
        PeerError: FS-730 when it no longer opens.
        OperatorError: FS-524, FS-541 for disk and key.
    """
    wanted = job.inputs[row.name]
    said = JobInput(
        federation=job.spec.federation,
        spec=job.digest,
        owner=row.owner,
        aggregator=context.name,
        name=row.name,
        input_id=row.input_id,
        kind=InputKind(row.kind),
        plain=row.plain,
        length=row.length,
        digest=row.digest,
    )
    plain = _opened(context, job, said, wanted, content, offset)
    if said.kind is InputKind.PUBLIC:
        return ring.from_bytes(plain, wanted.value.shape)
    about = InputContext(
        bytes.fromhex(job.digest), bytes.fromhex(row.input_id), row.owner, row.name
    )
    kind: ShareKind = "seed" if said.kind is InputKind.SEED else "vector"
    return share_of(kind, plain, wanted.value.shape, about)


def accept(context: JobContext, expected: ExpectedInput, upload: Upload) -> str:
    """Keep an input that is durable and opens, and return its receipt.

    Run by the worker's thread alone. The upload is gone or in its place afterwards.
    The job is complete if it was the last one.

    Raises:
        RoundStateError: As `expect`, for what happened since.
    """
    job, header = expected.job, expected.header
    try:
        with context.server.store.reading("expect input") as session:
            now = _expect_now(context, session, job, header)
        if not now.stored:
            upload.commit(input_name(job.digest, header.statement.name))
            crash_point(Point.INPUT_SPOOLED)
            context.change("put input", lambda s: _put(context, s, job, header))
            crash_point(Point.INPUT_COMMITTED)
    finally:
        upload.discard()
    return receipt(context, job.digest, header.statement.name)


def receipt(context: JobContext, digest: str, name: str) -> str:
    """Sign a stored input's receipt; reads only, the same bytes each time.

    Raises:
        RoundStateError: FS-331 when none is stored.
    """
    with context.server.store.reading("find input") as session:
        row = session.get(InputRow, (digest, name))
        if row is None:
            raise RoundStateError("FS-331", f"input {name!r} of job {digest[:12]}")
        return receipt_of(context, session, row)


def receipt_of(context: JobContext, session: Session, row: InputRow) -> str:
    """Sign the receipt of an input's row; the same bytes each time."""
    statement = Receipt(
        federation=context.server.federation.digest,
        spec=row.spec,
        aggregator=context.name,
        reporter=row.owner,
        report_id=row.input_id,
        digest=row.digest,
        head=queries.head_at(session, row.entry),
    )
    return context.server.author.sign(statement).token


def _put(
    context: JobContext, session: Session, job: KnownJob, header: Signed[JobInput]
) -> None:
    said = header.statement
    body = {
        "spec": job.digest,
        "name": said.name,
        "owner": said.owner,
        "input_id": said.input_id,
        "kind": said.kind.value,
        "plain": said.plain,
        "length": said.length,
        "digest": said.digest,
        "header": header.digest,
        "token": header.token,
    }
    server = context.server
    server.store.append(session, JobEvent.INPUT, body, server.clock())
    completion.complete(context, session, reading.find_job(session, job.digest))
    log.info("input stored", job=job.digest, input=said.name, bytes=said.length)


def _plaintext_bytes(kind: InputKind, value: Value) -> int:
    return SEED_BYTES if kind is InputKind.SEED else value.bytes


def _opened(
    context: JobContext,
    job: KnownJob,
    said: JobInput,
    wanted: Wanted,
    content: Sealed,
    offset: int,
) -> bytearray:
    info = seal_info.input_info(
        job.digests,
        said.owner,
        context.name,
        said.name,
        bytes.fromhex(said.input_id),
        said.kind,
    )
    plain = bytearray(_plaintext_bytes(said.kind, wanted.value))
    key = context.spool.load_key(job.digest)
    with content.reading(f"input {said.name}") as file:
        file.seek(offset)
        try:
            seal.open_sealed(key, info, file, said.length, memoryview(plain))
        except PeerError as error:
            raise PeerError("FS-730", f"{said.name!r}: {error.detail}") from error
    return plain


def _require_bound(name: str, value: Value, plain: Buffer) -> None:
    if not ring.is_within(ring.from_bytes(plain, value.shape), value.bound):
        raise PeerError("FS-224", f"a word of input {name!r} is beyond {value.bound}")
