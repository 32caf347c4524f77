"""When a job has all that it waits for: it is computed, or begins to answer."""

import structlog
from sqlalchemy.orm import Session

from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from fedsecure_aggregator.storage.jobs.tables import JobRow

log = structlog.get_logger()


def complete(context: JobContext, session: Session, row: JobRow) -> None:
    """Move a job on, within a change, if the last thing came that it waited for.

    That is the last input, or the other aggregator's channel key.
    """
    job = context.specs.find(session, row.spec)
    if row.peer_channel is None:
        return
    session.flush()
    if reading.inputs_of(session, row.spec).keys() != job.inputs.keys():
        return
    kind = JobEvent.SERVING if job.spec.is_service else JobEvent.RUNNING
    server = context.server
    server.store.append(session, kind, {"spec": row.spec}, server.clock())
    log.info("job complete", job=row.spec, state=row.state)
