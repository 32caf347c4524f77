"""A job's start: both aggregators granted it, and each makes a key for the other.

    start     both grants, from the proposer; this one's channel key is its answer
    channel   the other one's channel key, which the proposer carries

The keys make both parts of an output fresh (`fedsecure.core.mpc.zero_sharing`). Each is
sealed to the other's grant key and signed by its maker, so whoever carries it can hold
it back, and neither read nor change it.
"""

import structlog
from sqlalchemy.orm import Session

from fedsecure.core.mpc.zero_sharing import CHANNEL_KEY_BYTES
from fedsecure.core.sealing import seal_info, sealing_key
from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol.encodings import base64url, from_base64url
from fedsecure.protocol.jobs.statements import JobChannel, JobGrant, JobStart
from fedsecure.protocol.signing import Signed, digest_of, verify
from fedsecure.system.crash_points import Point, crash_point
from fedsecure_aggregator.jobs import completion
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.grants import grant_token, require_proposer
from fedsecure_aggregator.rules.job_states import (
    JobState,
    JobStep,
    advance,
    require_job,
    require_not_over,
)
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.jobs.tables import JobRow

log = structlog.get_logger()


def start(context: JobContext, digest: str, signed: Signed[JobStart]) -> str:
    """Start a job and return this aggregator's job-channel; the same if asked again.

    Run by the worker's thread alone. The steps, in order:
        (1) it is for this job, and its proposer says it;
        (2) there is one grant of each aggregator, for this job, and ours is the one
            that was given;
        (3) it is the start that is stored, or none is.

    Raises:
        PeerError: FS-301, FS-310, FS-703; FS-7xx for a grant.
        RoundStateError: FS-390, FS-392, FS-397.
    """
    require_job(digest, signed.statement.spec)
    with context.server.store.reading("find job") as session:
        row = reading.find_job(session, digest)
        require_proposer(row, signed.signer, "starts")  # (1)
        grants = _grants(context, session, row, signed)  # (2)
    require_not_over(digest, row.state, row.reason)
    if row.state is not JobState.GRANTED:  # (3)
        _require_same("start", row.start, signed.digest)
        return channel_token(context, row)
    return _start(context, row, signed, grants[context.peer])


def channel(context: JobContext, digest: str, signed: Signed[JobChannel]) -> str:
    """Take the other aggregator's channel key; return this one's job-channel.

    Run by the worker's thread alone. The steps, in order:
        (1) it is for this job, from the other aggregator, to this one;
        (2) the job was started; it is the key that is stored, or none is;
        (3) it opens.

    Raises:
        PeerError: FS-301, FS-310, FS-732.
        RoundStateError: FS-390 to FS-392, FS-397.
    """
    require_job(digest, signed.statement.spec)
    said = signed.statement
    for what, inside, here in (  # (1)
        ("aggregator", said.aggregator, context.peer),
        ("peer", said.peer, context.name),
    ):
        if inside != here:
            raise PeerError("FS-310", f"{what} is {inside!r} inside, {here!r} here")

    def work(session: Session) -> JobRow:
        row = reading.find_job(session, digest)
        require_not_over(digest, row.state, row.reason)  # (2)
        if row.peer_channel is not None:
            known = digest_of(row.peer_channel)
            _require_same("channel key", known, signed.digest)
            return row
        advance(row.state, JobStep.TAKE)
        open_channel(context, digest, said)  # (3)
        body = {"spec": digest, "token": signed.token}
        now = context.server.clock()
        context.server.store.append(session, JobEvent.CHANNEL, body, now)
        completion.complete(context, session, row)
        return row

    row = context.change("store channel", work)
    crash_point(Point.CHANNEL_STORED)
    return channel_token(context, row)


def open_channel(context: JobContext, digest: str, said: JobChannel) -> bytes:
    """Return the key in the other aggregator's job-channel.

    Raises:
        PeerError: FS-732 when it does not open.
    """
    digests = bytes.fromhex(said.federation), bytes.fromhex(digest)
    info = seal_info.channel_info(digests, said.aggregator, context.name)
    key = context.spool.load_key(digest)
    try:
        return key.open_key(from_base64url(said.key), info.encoded)
    except PeerError as error:
        raise PeerError("FS-732", f"of {said.aggregator}: {error.detail}") from error


def channel_token(context: JobContext, row: JobRow) -> str:
    """Sign this aggregator's job-channel; the same bytes each time.

    Raises:
        RoundStateError: FS-391 before the job was started.
    """
    if row.channel is None:
        raise RoundStateError("FS-391", f"job {row.spec[:12]} was not started")
    statement = JobChannel(
        federation=context.server.federation.digest,
        spec=row.spec,
        aggregator=context.name,
        peer=context.peer,
        key=row.channel,
    )
    return context.server.author.sign(statement).token


def _grants(
    context: JobContext, session: Session, row: JobRow, signed: Signed[JobStart]
) -> dict[str, JobGrant]:
    """Check the grants in a start, and return what they say, by aggregator."""
    federation, tokens = context.server.federation, signed.statement.grants
    names = {party.name for party in federation.pair}
    if set(tokens) != names:
        raise PeerError("FS-310", f"grants of {sorted(tokens)}, not {sorted(names)}")
    found = {}
    for name, token in tokens.items():
        grant = verify(token, JobGrant, federation)
        if grant.signer != name:
            raise PeerError("FS-310", f"the grant of {name} is {grant.signer}'s")
        require_job(row.spec, grant.statement.spec)
        found[name] = grant.statement
    if tokens[context.name] != grant_token(context, session, row):
        raise PeerError("FS-310", f"the grant of {context.name} is not the one given")
    return found


def _require_same(what: str, known: str | None, digest: str) -> None:
    if known != digest:
        raise RoundStateError("FS-397", f"another {what} is stored")


def _start(
    context: JobContext, row: JobRow, signed: Signed[JobStart], peer: JobGrant
) -> str:
    server, digest = context.server, row.spec
    key = server.rand(CHANNEL_KEY_BYTES)
    context.spool.save_channel(digest, key)
    digests = bytes.fromhex(server.federation.digest), bytes.fromhex(digest)
    info = seal_info.channel_info(digests, context.name, context.peer)
    sealed = sealing_key.seal_key(from_base64url(peer.sealing_key), info.encoded, key)
    body = {
        "spec": digest,
        "start": signed.digest,
        "channel": base64url(sealed),
        "token": signed.token,
    }

    def work(session: Session) -> JobRow:
        found = reading.find_job(session, digest)
        if found.start != signed.digest:  # else the answer to the commit was lost
            now = server.clock()
            server.store.append(session, JobEvent.STARTED, body, now)
        return found

    started = context.change("start job", work)
    crash_point(Point.JOB_STARTED)
    log.info("job started", job=digest)
    return channel_token(context, started)
