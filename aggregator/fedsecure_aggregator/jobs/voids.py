"""A job that is given up, or a service that ends: by its proposer, or by the clock.

Keys, inputs and answers are deleted with the commit that says so; what a crash leaves
behind is deleted by `deletion`.
"""

import structlog
from sqlalchemy.orm import Session

from fedsecure.protocol.jobs.statements import JobVoid
from fedsecure.protocol.signing import Signed
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.grants import require_proposer
from fedsecure_aggregator.rules.job_states import (
    JobState,
    advance,
    ending,
    require_job,
)
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.jobs.tables import JobRow

log = structlog.get_logger()


def void(context: JobContext, digest: str, signed: Signed[JobVoid]) -> str:
    """End a job for its proposer, and confirm it; also if it is void already.

    Run by the worker's thread alone.

    Raises:
        PeerError: FS-301, FS-703 unless its proposer says it.
        RoundStateError: FS-390, FS-392 when its output is there.
    """
    require_job(digest, signed.statement.spec)

    def work(session: Session) -> str:
        row = reading.find_job(session, digest)
        require_proposer(row, signed.signer, "voids")
        if row.state not in {JobState.VOID, JobState.CLOSED}:
            end(context, session, row, signed.statement.reason, signed.token)
        return _void_token(context, row)

    confirmation = context.change("void job", work)
    forget(context, digest)
    return confirmation


def end(
    context: JobContext,
    session: Session,
    row: JobRow,
    reason: str,
    token: str | None = None,
) -> None:
    """Say in the ledger, within a change, that a job goes on no more.

    Raises:
        RoundStateError: FS-392 when it is over.
    """
    following = advance(row.state, ending(row.state))  # before anything is written
    kind = JobEvent.CLOSED if following is JobState.CLOSED else JobEvent.VOID
    body = {"spec": row.spec, "reason": reason, "void": token}
    server = context.server
    server.store.append(session, kind, body, server.clock())
    reading.delete_answers(session, row.spec)
    log.info("job ended", job=row.spec, state=following, by_proposer=token is not None)


def forget(context: JobContext, digest: str) -> None:
    """Delete all that is kept of a job, but for its rows.

    Raises:
        OperatorError: FS-524 when something could not be deleted.
    """
    context.services.forget(digest)
    context.spool.discard(digest)


def _void_token(context: JobContext, row: JobRow) -> str:
    statement = JobVoid(
        federation=context.server.federation.digest,
        spec=row.spec,
        author=context.name,
        reason=str(row.reason),
    )
    return context.server.author.sign(statement).token
