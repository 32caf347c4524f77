"""A job that opens once: computed as soon as all is there, and once for good.

    computed   from the inputs as they lie in the spool; by the computing thread
    sealed     the output is on disk, in its place; no row names it
    committed  the job is done: from now on there is no other output
    scrubbed   key, channel key and inputs are deleted

Until it is committed nothing of it has left, so after a crash it is computed again.
"""

from dataclasses import dataclass

import structlog
from sqlalchemy.orm import Session

from fedsecure.core.mpc import evaluate, ring
from fedsecure.core.mpc.program import Circuit
from fedsecure.core.mpc.ring import Words
from fedsecure.core.mpc.zero_sharing import AnswerContext, refreshed, zero_words
from fedsecure.core.sealing.seal import Sealed
from fedsecure.errors import PeerError
from fedsecure.protocol import framing
from fedsecure.protocol.jobs.digests import WentIn, inputs_digest
from fedsecure.protocol.jobs.statements import JobChannel
from fedsecure.protocol.stored_statements import stored
from fedsecure.system.crash_points import Point, crash_point
from fedsecure_aggregator.jobs import inputs, voids
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.known_jobs import KnownJob
from fedsecure_aggregator.jobs.outputs import About, seal_output
from fedsecure_aggregator.jobs.starts import open_channel
from fedsecure_aggregator.rules.job_states import JobState
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.jobs.spool import input_name, output_name
from fedsecure_aggregator.storage.jobs.tables import InputRow

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Material:
    """What a job is computed from.

    Args:
        job: Its spec and plan.
        rows: Of its inputs, by name.
        channel_keys: Of both aggregators, in the order of the pair.
    """

    job: KnownJob
    rows: dict[str, InputRow]
    channel_keys: tuple[bytes, bytes]

    @property
    def went_in(self) -> list[WentIn]:
        """All of them, as the digest of inputs lists them."""
        return [
            WentIn(row.name, row.owner, row.input_id, row.plain)
            for row in self.rows.values()
        ]


@dataclass(frozen=True, slots=True)
class Computed:
    """An output that is on disk, and that no row names yet; or why there is none."""

    digest: str
    inputs: str = ""
    sealed: Sealed | None = None
    fault: str = ""


def material(context: JobContext, digest: str) -> Material:
    """Read what a job is computed from; run by the computing thread.

    Raises:
        PeerError: FS-732 when the other one's channel key does not open any more.
        RoundStateError: FS-390.
        OperatorError: FS-524, FS-541.
    """
    with context.server.store.reading("find job") as session:
        job = context.specs.find(session, digest)
        rows = reading.inputs_of(session, digest)
        channel = stored(reading.peer_channel(session, digest), JobChannel).statement
    own, peer = (
        context.spool.load_channel(digest),
        open_channel(context, digest, channel),
    )
    keys = (own, peer) if context.is_first else (peer, own)
    return Material(job, rows, keys)


def input_words(context: JobContext, job: KnownJob, row: InputRow) -> Words:
    """Read one stored input as words or as a share of them.

    Raises:
        PeerError: FS-730 when it no longer opens.
        OperatorError: FS-524, FS-541.
    """
    content = context.spool.stored(input_name(job.digest, row.name))
    with content.reading(str(content)) as file:
        offset = framing.offset_after(framing.read_header(file))
    return inputs.words_of(context, job, row, content, offset)


def due(context: JobContext) -> list[str]:
    """Return the jobs whose output is to be computed, oldest first; reads only."""
    with context.server.store.reading("find due jobs") as session:
        return reading.running(session)


def compute(context: JobContext, digest: str) -> Computed:
    """Compute a job's output and seal it; run by the computing thread alone.

    Raises:
        OperatorError: FS-523 to FS-526, FS-541: it is tried again.
    """
    try:
        return _compute(context, material(context, digest))
    except PeerError as error:
        return Computed(digest, fault=f"{error.code} {error.detail}"[:200])


def finish(context: JobContext, computed: Computed) -> None:
    """Fix a job's output, or give the job up; run by the worker's thread alone."""
    digest, sealed = computed.digest, computed.sealed

    def work(session: Session) -> bool:
        row = reading.find_job(session, digest)
        if row.state is not JobState.RUNNING:  # void meanwhile, or done already
            return False
        if sealed is None:
            voids.end(context, session, row, computed.fault)
            return False
        body = {
            "spec": digest,
            "inputs": computed.inputs,
            "digest": sealed.digest.hex(),
            "length": sealed.length,
        }
        server = context.server
        server.store.append(session, JobEvent.DONE, body, server.clock())
        return True

    is_done = context.change("finish job", work)
    crash_point(Point.JOB_DONE)
    if is_done:
        context.spool.scrub(digest)
        log.info("job done", job=digest)
    elif sealed is None:
        voids.forget(context, digest)


def _compute(context: JobContext, found: Material) -> Computed:
    job, program = found.job, found.job.program
    if not isinstance(program, Circuit):
        msg = f"job {job.digest} answers queries instead"
        raise TypeError(msg)
    words = {name: input_words(context, job, row) for name, row in found.rows.items()}
    first = context.is_first
    result = evaluate.circuit(program, job.plan, words, first=first)
    about = AnswerContext(bytes.fromhex(job.digest))
    zeros = zero_words(found.channel_keys, about, result.size)
    fresh = refreshed(result, zeros, first=first)
    receiver, key = str(job.spec.receiver), str(job.spec.sealing_key)
    output = About(receiver, 0, inputs_digest(found.went_in))
    content, sealed = seal_output(context, job, output, key, ring.to_bytes(fresh))
    with context.spool.uploading("output") as upload:
        upload.write(content)
        upload.sync()
    upload.commit(output_name(job.digest))
    crash_point(Point.OUTPUT_ON_DISK)
    return Computed(job.digest, output.inputs, sealed)
