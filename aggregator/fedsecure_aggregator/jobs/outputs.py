"""Sealed outputs, and the headers that are signed from their rows.

A header is signed anew whenever it is asked for, always to the same bytes; sealed bytes
are stored, for sealing is never the same twice.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from fedsecure.core.layout import CHUNK, Buffer
from fedsecure.core.sealing import seal, seal_info
from fedsecure.core.sealing.sealing_key import CONTENT_KEY_BYTES
from fedsecure.errors import OperatorError, PeerError, RoundStateError
from fedsecure.protocol import framing
from fedsecure.protocol.encodings import from_base64url
from fedsecure.protocol.jobs.statements import JobOutput
from fedsecure.protocol.statements import LedgerHead
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.known_jobs import KnownJob
from fedsecure_aggregator.rules.job_states import JobState, require_not_over
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.disk import is_of_one_file
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.spool import output_name


@dataclass(frozen=True, slots=True)
class About:
    """Which output it is: whose, of which query, made from what.

    Args:
        receiver: Who opens it.
        query: Its number; 0 if nobody asked one.
        inputs: Digest of the list of all that went in, hex.
    """

    receiver: str
    query: int
    inputs: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A signed header, and the sealed bytes that it speaks of."""

    header: str
    content: bytes = field(repr=False)

    @property
    def body(self) -> bytes:
        """Header and payload as one body."""
        return framing.prefix(self.header) + self.content


def seal_output(
    context: JobContext, job: KnownJob, about: About, public_key: str, plain: Buffer
) -> tuple[bytes, seal.Sealed]:
    """Seal an output share to whoever receives it; length and digest come with it.

    Args:
        context: This aggregator.
        job: The job.
        about: Which output it is.
        public_key: The receiver's, base64url.
        plain: Words, or ciphertexts.

    Raises:
        PeerError: FS-722 for a malformed key.
    """
    info = seal_info.output_info(
        job.digests,
        context.name,
        about.receiver,
        about.query,
        bytes.fromhex(about.inputs),
    )
    sealed = bytearray()
    made = seal.seal(
        from_base64url(public_key),
        info,
        context.server.rand(CONTENT_KEY_BYTES),
        _chunks(plain),
        sealed.extend,
    )
    return bytes(sealed), made


def output_token(
    context: JobContext,
    digest: str,
    about: About,
    made: tuple[int, str],
    head: LedgerHead,
) -> str:
    """Sign an output's header.

    Args:
        context: This aggregator.
        digest: Of the job's spec.
        about: Which output it is.
        made: Length and digest of the sealed bytes.
        head: The ledger's, with the entry that says so.
    """
    length, sealed_digest = made
    statement = JobOutput(
        federation=context.server.federation.digest,
        spec=digest,
        aggregator=context.name,
        client=about.receiver if about.query else None,
        query=about.query,
        inputs=about.inputs,
        length=length,
        digest=sealed_digest,
        head=head,
    )
    return context.server.author.sign(statement).token


def output(context: JobContext, digest: str, reader: str) -> Answer:
    """Return the output of a job that opens once; for its receiver. Reads only.

    Raises:
        PeerError: FS-333 for anybody else.
        RoundStateError: FS-390, FS-391 until it is computed, FS-392 once it is gone.
        OperatorError: FS-523 to FS-526 when the disk fails.
    """
    with context.server.store.reading("find output") as session:
        row = reading.find_job(session, digest)
        require_reader(reader, frozenset({row.receiver}))
        require_not_over(digest, row.state, row.reason)
        if row.state is not JobState.DONE:
            raise RoundStateError("FS-391", f"job {digest[:12]} is {row.state}")
        about = About(reader, 0, str(row.inputs_digest))
        made = row.output_length or 0, str(row.output_digest)
        head = queries.head_at(session, row.output_entry or 0)
    content = _stored(context, digest, made[1])
    return Answer(output_token(context, digest, about, made, head), content)


def require_reader(reader: str, allowed: frozenset[str | None]) -> None:
    """Check that whoever signed a ticket may read what it asks for.

    Raises:
        PeerError: FS-333.
    """
    if reader not in allowed:
        raise PeerError("FS-333", f"{reader} has no part in it")


def _chunks(plain: Buffer) -> Iterator[memoryview]:
    view = memoryview(plain).cast("B")
    return (view[start : start + CHUNK] for start in range(0, len(view), CHUNK))


def _stored(context: JobContext, digest: str, expected: str) -> bytes:
    """Read a stored output: what was not signed for is never sent."""
    place = context.spool.stored(output_name(digest))
    try:
        with place.reading(str(place)) as file:
            content = file.read()
    except OperatorError as error:
        if not is_of_one_file(error):
            raise
        content = b""
    if hashlib.sha256(content).hexdigest() != expected:
        raise RoundStateError("FS-392", f"the output of job {digest[:12]} is gone")
    return content
