"""What is asked of the tables of jobs, each question by its name.

A question takes the session of a transaction and changes nothing, but for `add_answer`
and `delete_answers`.
"""

from typing import Final, NamedTuple, cast

from sqlalchemy import Table, bindparam, delete, func, insert, select
from sqlalchemy.orm import Session

from fedsecure.errors import RoundStateError
from fedsecure_aggregator.rules.job_states import GOING_ON, JobState
from fedsecure_aggregator.storage.jobs.tables import (
    AnswerRow,
    InputRow,
    JobRow,
    QueryRow,
)

# Of tables, not of classes: SQLAlchemy takes half as long when it makes no object.
_QUERIES: Final = cast("Table", QueryRow.__table__)
_ANSWERS: Final = cast("Table", AnswerRow.__table__)
_PROGRESS: Final = (
    select(_QUERIES.c.query, _QUERIES.c.answered)
    .where(_QUERIES.c.spec == bindparam("spec"))
    .where(_QUERIES.c.client == bindparam("client"))
    .order_by(_QUERIES.c.query.desc())
    .limit(1)
)


class Progress(NamedTuple):
    """How far a client is at a service: its last number, and rows answered in all."""

    query: int = 0
    rows: int = 0


def find_job(session: Session, spec: str) -> JobRow:
    """Return a job.

    Raises:
        RoundStateError: FS-390 when it was never granted here.
    """
    row = session.get(JobRow, spec)
    if row is None:
        raise RoundStateError("FS-390", f"job {spec[:12]} was never granted here")
    return row


def going_on(session: Session) -> list[JobRow]:
    """Return every job that is not over."""
    return list(session.scalars(select(JobRow).where(JobRow.state.in_(GOING_ON))))


def running(session: Session) -> list[str]:
    """Return the specs of all jobs whose output is to be computed, oldest first."""
    query = select(JobRow.spec).where(JobRow.state == JobState.RUNNING)
    return list(session.scalars(query.order_by(JobRow.granted_entry)))


def count_states(session: Session) -> dict[JobState, int]:
    """Return how many jobs are in each state."""
    rows = session.execute(
        select(JobRow.state, func.count().label("number")).group_by(JobRow.state)
    )
    return {row.state: row.number for row in rows}


def inputs_of(session: Session, spec: str) -> dict[str, InputRow]:
    """Return a job's stored inputs, by name."""
    rows = session.scalars(select(InputRow).where(InputRow.spec == spec))
    return {row.name: row for row in sorted(rows, key=lambda row: row.name)}


def peer_channel(session: Session, spec: str) -> str:
    """Return the other aggregator's signed job-channel."""
    query = select(JobRow.peer_channel).where(JobRow.spec == spec)
    return session.scalar(query) or ""


def find_query(
    session: Session, spec: str, client: str, number: int
) -> QueryRow | None:
    """Return a query that was answered, if it was."""
    return session.get(QueryRow, (spec, client, number))


def count_queries(session: Session, spec: str) -> int:
    """Return how many queries of a service were answered."""
    query = select(func.count()).select_from(_QUERIES).where(_QUERIES.c.spec == spec)
    return session.scalar(query) or 0


def progress(session: Session, spec: str, client: str) -> Progress:
    """Return how far a client is at a service."""
    row = session.execute(_PROGRESS, {"spec": spec, "client": client}).first()
    return Progress(*row) if row is not None else Progress()


def add_answer(
    session: Session, spec: str, client: str, number: int, content: bytes
) -> None:
    """Keep a sealed answer, so that it can be asked for again."""
    values = {"spec": spec, "client": client, "query": number, "content": content}
    session.connection().execute(insert(_ANSWERS), values)


def find_answer(session: Session, spec: str, client: str, number: int) -> bytes | None:
    """Return a sealed answer; None once its service is over."""
    row = session.get(AnswerRow, (spec, client, number))
    return None if row is None else bytes(row.content)


def delete_answers(session: Session, spec: str) -> None:
    """Delete all sealed answers of a service."""
    session.execute(delete(_ANSWERS).where(_ANSWERS.c.spec == spec))


def specs_with_answers(session: Session) -> set[str]:
    """Return the services of which answers are kept."""
    return set(session.scalars(select(_ANSWERS.c.spec).distinct()))
