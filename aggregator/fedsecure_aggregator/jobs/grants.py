"""A job's beginning at this aggregator: its grant.

As with rounds, the key is on disk before the grant is committed, and the grant before
it is sent; whoever asks again gets the same one.
"""

import structlog
from sqlalchemy.orm import Session

from fedsecure.core.sealing import sealing_key
from fedsecure.errors import PeerError
from fedsecure.protocol.encodings import base64url, from_base64url
from fedsecure.protocol.jobs.parts import Method
from fedsecure.protocol.jobs.programs import plan_of
from fedsecure.protocol.jobs.statements import JobGrant, JobSpec
from fedsecure.protocol.signing import Signed
from fedsecure.system.crash_points import Point, crash_point
from fedsecure_aggregator.jobs import paillier
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.rules import compute_policy
from fedsecure_aggregator.rules.job_states import require_job, require_not_over
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.jobs.tables import JobRow

log = structlog.get_logger()


def grant(context: JobContext, digest: str, spec: Signed[JobSpec]) -> str:
    """Consent to a job and return the signed grant; the same one if asked again.

    Run by the worker's thread alone.

    Raises:
        PeerError: FS-301, FS-220 or FS-223 for its program, FS-4xx by policy, FS-563,
            FS-703, FS-722, FS-741.
        RoundStateError: FS-392, FS-402.
    """
    require_job(digest, spec.digest)

    def work(session: Session) -> str:
        row = session.get(JobRow, digest)
        if row is None:
            _require_grantable(context, session, spec)
            row = _grant(context, session, spec)
        require_not_over(digest, row.state, row.reason)
        return grant_token(context, session, row)

    granted = context.change("grant job", work)
    crash_point(Point.JOB_GRANTED)
    return granted


def find_grant(context: JobContext, digest: str, spec: Signed[JobSpec]) -> str | None:
    """Return the grant that was given for this very spec; reads only.

    Raises:
        PeerError: FS-301.
        RoundStateError: FS-392.
    """
    require_job(digest, spec.digest)
    with context.server.store.reading("find job's grant") as session:
        row = session.get(JobRow, digest)
        if row is None:
            return None
        require_not_over(digest, row.state, row.reason)
        return grant_token(context, session, row)


def grant_token(context: JobContext, session: Session, row: JobRow) -> str:
    """Sign a job's grant; the same bytes each time."""
    statement = JobGrant(
        federation=context.server.federation.digest,
        spec=row.spec,
        aggregator=context.name,
        sealing_key=row.sealing_key,
        expires=row.expires,
        head=queries.head_at(session, row.granted_entry),
    )
    return context.server.author.sign(statement).token


def _require_grantable(
    context: JobContext, session: Session, spec: Signed[JobSpec]
) -> None:
    said, policy = spec.statement, context.policy
    # (1) This aggregator computes for others.
    compute_policy.require_enabled(policy)
    # (2) Everybody who is named is on the roster, in a role that may take part.
    compute_policy.require_parties(said, context.server.federation)
    # (3) No value can wrap, by this party's own computation.
    rows = min(said.rows, policy.max_rows) if said.is_service else 1
    plan = plan_of(said.program, rows)
    # (4) This aggregator's own policy agrees.
    now = context.server.clock()
    compute_policy.require_acceptable(said, plan, policy, now)
    # (5) The receiver's key is one that an output can be sealed to.
    if said.sealing_key is not None:
        key = context.server.rand(sealing_key.CONTENT_KEY_BYTES)
        sealing_key.seal_key(from_base64url(said.sealing_key), b"", key)
    # (6) What it computes with is installed.
    if said.method is Method.PAILLIER:
        paillier.require_installed()
    # (7) There is room.
    compute_policy.require_one_more_job(len(reading.going_on(session)), policy)


def _grant(context: JobContext, session: Session, spec: Signed[JobSpec]) -> JobRow:
    said, server = spec.statement, context.server
    crash_point(Point.JOB_GRANTING)
    key = sealing_key.SealingKey.from_seed(server.rand(sealing_key.SEED_BYTES))
    context.spool.save_key(spec.digest, key)
    body = {
        "spec": spec.digest,
        "expires": said.deadline + server.policy.grant_seconds,
        "sealing_key": base64url(key.public_bytes),
        "token": spec.token,
    }
    server.store.append(session, JobEvent.GRANTED, body, server.clock())
    log.info("job granted", job=spec.digest, kind=said.kind, method=said.method)
    return reading.find_job(session, spec.digest)


def require_proposer(row: JobRow, signer: str, what: str) -> None:
    """Check that whoever says something about a job is its proposer.

    Raises:
        PeerError: FS-703.
    """
    if signer != row.proposer:
        raise PeerError("FS-703", f"{signer} {what} a job of {row.proposer}")
