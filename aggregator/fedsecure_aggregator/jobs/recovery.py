"""What a start makes of the jobs that the last run left.

A store that was restored has made them void already (`storage.jobs.projection`).
"""

from contextlib import suppress
from typing import Final

from sqlalchemy.orm import Session

from fedsecure_aggregator.jobs import deletion, voids
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.rules.job_states import JobState
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.projection import spec_of
from fedsecure_aggregator.storage.jobs.tables import JobRow

LOST_KEY: Final = "its key is lost"
OTHER_FEDERATION: Final = "the federation changed"


def recover(context: JobContext) -> None:
    """Make sense of jobs; run once, after rounds were recovered, before listening.

    The steps, in order:
        (1) jobs that cannot go on are void, or closed;
        (2) answers of services that are over are deleted;
        (3) leftovers are deleted.

    What is to be computed is computed again once the server runs.
    """
    context.change("recover jobs", lambda session: _settle(context, session))
    with suppress(Exception):  # it is in the log, and tried again
        deletion.tidy(context)  # (3)


def _settle(context: JobContext, session: Session) -> None:
    for row in reading.going_on(session):  # (1)
        reason = _why_hopeless(context, row)
        if reason:
            voids.end(context, session, row, reason)
    for spec in reading.specs_with_answers(session):  # (2)
        found = session.get(JobRow, spec)
        if found is None or found.state is not JobState.SERVING:
            reading.delete_answers(session, spec)


def _why_hopeless(context: JobContext, row: JobRow) -> str | None:
    if not context.spool.has_key(row.spec):
        return LOST_KEY
    if row.channel is not None and not context.spool.has_channel(row.spec):
        return LOST_KEY
    if spec_of(row.token).federation != context.server.federation.digest:
        return OTHER_FEDERATION
    return None
