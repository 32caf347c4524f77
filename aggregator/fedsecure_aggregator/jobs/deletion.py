"""What is deleted of jobs by the clock, and what a crash left behind.

granted, collecting   void once the deadline has passed: nobody can add anything
running               void once the grant expired
serving               closed once the grant expired; answers go with it
done                  the output is kept as long as a round's share
closed, void          nothing is kept
"""

from functools import partial
from typing import Final

from sqlalchemy.orm import Session

from fedsecure_aggregator.jobs import voids
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.rounds.deletion import attempted
from fedsecure_aggregator.rules.job_states import OVER, JobState
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.tables import JobRow

LATE: Final = "its deadline passed"
EXPIRED: Final = "its grant expired"


def tidy(context: JobContext) -> None:
    """Delete by the clock, and what a crash left, of all jobs at once.

    Raises:
        Exception: The first that kept something from being deleted; all else is gone.
    """
    failures = [tidied(context, digest) for digest in due(context)]
    for failure in filter(None, failures):
        raise failure


def due(context: JobContext) -> list[str]:
    """Return the jobs of which something may have to be deleted now.

    Of a job that is done its output is kept, mostly for days: it is looked at again
    when that expires.

    Raises:
        OperatorError: FS-524 when the spool is away.
    """
    now, memory = context.server.clock(), context.server.memory
    return [one for one in context.spool.jobs() if not memory.is_settled(one, now)]


def tidied(context: JobContext, digest: str) -> Exception | None:
    """Delete what has expired of one job; return why it could not be, if so.

    Run by the worker's thread alone. Nothing is raised: one job keeps no other.
    """
    return attempted("job", digest, partial(_tidy, context, digest))


def _tidy(context: JobContext, digest: str) -> None:
    row = _found(context, digest)
    if row is not None and _why_over(context, row):
        context.change("expire job", partial(_expire, context, digest))
        row = _found(context, digest)
    if row is None or row.state in {JobState.VOID, JobState.CLOSED}:
        voids.forget(context, digest)
    elif row.state is JobState.DONE:
        context.spool.scrub(digest)
        kept = row.expires + context.server.policy.share_seconds
        if context.server.clock() < kept:
            context.server.memory.settle(digest, kept)
        else:
            voids.forget(context, digest)


def _found(context: JobContext, digest: str) -> JobRow | None:
    """Read how a job stands.

    Raises:
        OperatorError: FS-545: nothing may be deleted for what a database has lost.
    """
    store = context.server.store
    with store.reading("tidy job") as session:
        store.transactions.require_continued(session)
        return session.get(JobRow, digest)


def _expire(context: JobContext, digest: str, session: Session) -> None:
    row = reading.find_job(session, digest)
    reason = _why_over(context, row)
    if reason:
        voids.end(context, session, row, reason)


def _why_over(context: JobContext, row: JobRow) -> str | None:
    """Return why a job is over by the clock, if it is and nobody said so yet."""
    now = context.server.clock()
    if row.state in OVER:
        return None
    if row.state in {JobState.GRANTED, JobState.COLLECTING} and not now < row.deadline:
        return LATE
    return None if now < row.expires else EXPIRED
