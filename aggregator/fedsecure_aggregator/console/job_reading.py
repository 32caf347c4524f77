"""The rows of jobs that a page shows: what was computed, of whom; never a number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fedsecure.console.paging import Part, part_of
from fedsecure.errors import OperatorError
from fedsecure.storage.view_rows import of_its_view, read, read_in
from fedsecure.storage.views import View
from fedsecure_aggregator.rules.job_states import JobState
from fedsecure_aggregator.storage.jobs.tables import InputRow, JobRow, QueryRow
from fedsecure_aggregator.storage.jobs.views import V_JOB, V_QUERY

PER_PAGE: Final = 25  # jobs
QUERIES: Final = 25  # of a service, the newest


@of_its_view
@dataclass(frozen=True, slots=True)
class ShownJob:
    """A row of v_job."""

    VIEW: ClassVar[View] = V_JOB
    ORDER: ClassVar[tuple[str, ...]] = ("entry",)
    job: str
    kind: str
    method: str
    state: str
    proposer: str
    receiver: str | None
    clients: int
    rows: int
    inputs: int
    queries: int
    answered: int
    granted_at: str
    deadline: str
    expires: str
    ended_at: str | None
    reason: str | None
    output_bytes: int | None
    spec: str
    entry: int

    @property
    def is_service(self) -> bool:
        """Whether it answers queries, instead of opening once."""
        return self.receiver is None


@of_its_view
@dataclass(frozen=True, slots=True)
class ShownQuery:
    """A row of v_query."""

    VIEW: ClassVar[View] = V_QUERY
    ORDER: ClassVar[tuple[str, ...]] = ("entry",)
    client: str
    query: int
    rows: int
    answered: int
    kind: str
    answered_at: str
    spec: str
    entry: int


@dataclass(frozen=True, slots=True)
class Asked:
    """How far one client of a service is; `last_at`: seconds since 1970."""

    client: str
    queries: int
    rows: int
    most: int
    last_at: float


@dataclass(frozen=True, slots=True)
class JobsPage:
    """Jobs, newest first."""

    jobs: Sequence[ShownJob]
    part: Part
    states: dict[str, int]
    answered: int


@dataclass(frozen=True, slots=True)
class JobPage:
    """One job as this aggregator saw it."""

    job: ShownJob
    inputs: Sequence[InputRow]
    clients: Sequence[Asked]
    queries: Sequence[ShownQuery]
    token: str


def read_jobs(session: Session, page: int) -> JobsPage:
    """Read the list of jobs, or an older part of it.

    Raises:
        OperatorError: FS-862 when there is no such part.
    """
    counted = select(JobRow.state, func.count()).group_by(JobRow.state)
    states = {JobState(state).value: n for state, n in session.execute(counted)}
    part = part_of(page, sum(states.values()), PER_PAGE)
    newest_first = select(JobRow.spec).order_by(JobRow.granted_entry.desc())
    chosen = session.scalars(newest_first.limit(PER_PAGE).offset(part.offset))
    jobs = read_in(session, ShownJob, "spec", chosen.all())
    answered = session.scalar(select(func.sum(QueryRow.rows)))
    return JobsPage(list(reversed(jobs)), part, states, int(answered or 0))


def read_job(session: Session, spec: str) -> JobPage:
    """Read one job.

    Raises:
        OperatorError: FS-862 when it was never granted here.
    """
    found = read(session, ShownJob, spec=spec)
    if not found:
        raise OperatorError("FS-862", f"job {spec[:12]} was never granted here")
    inputs = select(InputRow).where(InputRow.spec == spec).order_by(InputRow.entry)
    newest = select(QueryRow.entry).where(QueryRow.spec == spec)
    chosen = session.scalars(newest.order_by(QueryRow.entry.desc()).limit(QUERIES))
    queries = read_in(session, ShownQuery, "entry", chosen.all())
    return JobPage(
        job=found[0],
        inputs=session.scalars(inputs).all(),
        clients=_clients(session, found[0]),
        queries=list(reversed(queries)),
        token=session.get_one(JobRow, spec).token,
    )


def _clients(session: Session, job: ShownJob) -> Sequence[Asked]:
    asked = (
        select(
            QueryRow.client,
            func.count(),
            func.sum(QueryRow.rows),
            func.max(QueryRow.answered_at),
        )
        .where(QueryRow.spec == job.spec)
        .group_by(QueryRow.client)
        .order_by(QueryRow.client)
    )
    return [
        Asked(client, queries, int(rows), job.rows, last)
        for client, queries, rows, last in session.execute(asked)
    ]
