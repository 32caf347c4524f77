"""What each kind of ledger entry about jobs does to the tables.

    job-granted   a row in `jobs`
    job-started   both aggregators granted it; this one made its channel key
    job-channel   the other one's channel key is there, and opens
    job-input     a row in `inputs`
    job-running   the last of these came; the output is computed
    job-done      the output is sealed and on disk
    job-serving   the last of these came; queries are answered
    job-query     a row in `queries`: one answer
    job-closed    the service answers no more
    job-void      the job will never have an output

A store that is restored makes every job void that is not over: what was answered since
the backup is not known, and query numbers would come twice.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, cast

from sqlalchemy import Table, bindparam, insert, select
from sqlalchemy.orm import Session

from fedsecure.protocol.jobs.statements import JobSpec
from fedsecure.protocol.statements import Event
from fedsecure.protocol.stored_statements import stored
from fedsecure_aggregator.rules.job_states import (
    GOING_ON,
    JobState,
    JobStep,
    advance,
    ending,
)
from fedsecure_aggregator.storage.jobs.tables import InputRow, JobRow, QueryRow

RESTORED: Final = "the store was restored"

_QUERIES: Final = cast("Table", QueryRow.__table__)
_JOBS: Final = cast("Table", JobRow.__table__)
_STATE: Final = select(_JOBS.c.state).where(_JOBS.c.spec == bindparam("spec"))


class JobEvent(StrEnum):
    """Kinds of ledger entries about jobs."""

    GRANTED = "job-granted"
    STARTED = "job-started"
    CHANNEL = "job-channel"
    INPUT = "job-input"
    RUNNING = "job-running"
    DONE = "job-done"
    SERVING = "job-serving"
    QUERY = "job-query"
    CLOSED = "job-closed"
    VOID = "job-void"


def project(session: Session, event: Event) -> None:
    """Apply one ledger entry about a job to the tables."""
    _PROJECTIONS[JobEvent(event.kind)](session, event)


def void_all(session: Session, event: Event) -> None:
    """Make every job void, or closed, that goes on: the store was restored."""
    rows = session.scalars(select(JobRow).where(JobRow.state.in_(GOING_ON)))
    for row in rows.all():
        _end(row, event.at, RESTORED)


@lru_cache(maxsize=64)
def spec_of(token: str) -> JobSpec:
    """Read a spec that was verified when it was granted, from this own store."""
    return stored(token, JobSpec).statement


def _granted(session: Session, event: Event) -> None:
    spec, body = spec_of(event.body["token"]), event.body
    session.add(
        JobRow(
            spec=body["spec"],
            name=spec.name,
            proposer=spec.proposer,
            kind=spec.kind,
            method=spec.method,
            receiver=spec.receiver,
            clients=len(spec.clients),
            rows=spec.rows,
            deadline=spec.deadline,
            expires=body["expires"],
            state=JobState.GRANTED,
            sealing_key=body["sealing_key"],
            granted_entry=event.entry,
            granted_at=event.at,
            token=body["token"],
        )
    )


def _started(session: Session, event: Event) -> None:
    row = _advance(session, event, JobStep.START)
    row.start, row.channel = event.body["start"], event.body["channel"]


def _channel(session: Session, event: Event) -> None:
    row = _advance(session, event, JobStep.TAKE)
    row.peer_channel = event.body["token"]


def _input(session: Session, event: Event) -> None:
    _advance(session, event, JobStep.TAKE)
    body = {name: value for name, value in event.body.items() if name != "token"}
    session.add(InputRow(**body, entry=event.entry, stored_at=event.at))


def _done(session: Session, event: Event) -> None:
    row, body = _advance(session, event, JobStep.FINISH), event.body
    row.inputs_digest = body["inputs"]
    row.output_digest, row.output_length = body["digest"], body["length"]
    row.output_entry, row.ended_at = event.entry, event.at


def _query(session: Session, event: Event) -> None:
    # Of tables, not of classes: one for each query, and the job stays as it is.
    session.flush()
    connection, spec = session.connection(), event.body["spec"]
    state = connection.execute(_STATE, {"spec": spec}).scalar_one()
    advance(state, JobStep.ANSWER)
    values = {**event.body, "entry": event.entry, "answered_at": event.at}
    connection.execute(insert(_QUERIES), values)


def _ended(session: Session, event: Event) -> None:
    row = session.get_one(JobRow, event.body["spec"])
    _end(row, event.at, event.body["reason"])


def _end(row: JobRow, at: float, reason: str) -> None:
    row.state = advance(row.state, ending(row.state))
    row.ended_at, row.reason = at, reason


def _advance(session: Session, event: Event, step: JobStep) -> JobRow:
    row = session.get_one(JobRow, event.body["spec"])
    following = advance(row.state, step)
    if following is not row.state:
        row.state = following
    return row


def _running(session: Session, event: Event) -> None:
    _advance(session, event, JobStep.RUN)


def _serving(session: Session, event: Event) -> None:
    _advance(session, event, JobStep.SERVE)


_PROJECTIONS: Final[Mapping[JobEvent, Callable[[Session, Event], Any]]] = {
    JobEvent.GRANTED: _granted,
    JobEvent.STARTED: _started,
    JobEvent.CHANNEL: _channel,
    JobEvent.INPUT: _input,
    JobEvent.RUNNING: _running,
    JobEvent.DONE: _done,
    JobEvent.SERVING: _serving,
    JobEvent.QUERY: _query,
    JobEvent.CLOSED: _ended,
    JobEvent.VOID: _ended,
}
