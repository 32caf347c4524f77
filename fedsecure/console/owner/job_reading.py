"""The services that the model owner proposed, from one state of its store."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fedsecure.console.paging import Part, part_of
from fedsecure.errors import OperatorError
from fedsecure.owner.store.job_models import Job
from fedsecure.owner.store.job_views import V_JOB
from fedsecure.storage.view_rows import of_its_view, read, read_in
from fedsecure.storage.views import View

PER_PAGE: Final = 25


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
    run: str | None
    model: str | None
    clients: str
    rows: int
    features: int
    outputs: int
    tried: int | None
    difference: float | None
    proposed_at: str
    ready_at: str | None
    ended_at: str | None
    deadline: str
    reason: str | None
    spec_digest: str
    entry: int

    @property
    def asking(self) -> list[str]:
        """Names of who may ask, the model owner too."""
        return [str(name) for name in json.loads(self.clients)]


@dataclass(frozen=True, slots=True)
class JobsPage:
    """Services, newest first."""

    jobs: Sequence[ShownJob]
    part: Part


@dataclass(frozen=True, slots=True)
class JobPage:
    """One service, with the signed spec and what its file tells clients."""

    job: ShownJob
    token: str
    description: dict[str, Any] | None


def read_jobs(session: Session, page: int) -> JobsPage:
    """Read the list of services, or an older part of it.

    Raises:
        OperatorError: FS-862 when there is no such part.
    """
    number = session.scalar(select(func.count()).select_from(Job)) or 0
    part = part_of(page, number, PER_PAGE)
    newest_first = select(Job.spec_digest).order_by(Job.entry.desc())
    chosen = session.scalars(newest_first.limit(PER_PAGE).offset(part.offset))
    jobs = read_in(session, ShownJob, "spec_digest", chosen.all())
    return JobsPage(list(reversed(jobs)), part)


def read_job(session: Session, spec: str) -> JobPage:
    """Read one service.

    Raises:
        OperatorError: FS-862 when it is not on record.
    """
    found = read(session, ShownJob, spec_digest=spec)
    if not found:
        raise OperatorError("FS-862", f"job {spec[:12]} is not on record here")
    row = session.get_one(Job, spec)
    return JobPage(found[0], row.spec, row.description)
