"""The events of jobs as rows, see module `projection`; and jobs as records."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fedsecure.errors import RoundStateError
from fedsecure.owner.store.models import Job, Model, Round
from fedsecure.owner.store.records import JobProposed, JobRecord, JobResult
from fedsecure.owner.store.run_rows import Subject, find_run
from fedsecure.owner.store.states import JobState, advance
from fedsecure.protocol.jobs.programs import LinearField
from fedsecure.protocol.jobs.statements import JobSpec
from fedsecure.protocol.statements import Event
from fedsecure.protocol.stored_statements import stored

OPEN: Final = (JobState.PROPOSED, JobState.READY)


def job_proposed(session: Session, event: Event, body: JobProposed) -> Subject:
    """Write the job.

    Raises:
        RoundStateError: FS-602 when it is on record, or is no service, or its model
            did not come out of its run.
    """
    signed = stored(body.spec, JobSpec)
    spec, program = signed.statement, signed.statement.program
    if session.get(Job, signed.digest) is not None:
        raise RoundStateError("FS-602", f"job {spec.name} is on record already")
    if not isinstance(program, LinearField):
        raise RoundStateError("FS-602", f"job {spec.name} is no service")
    if body.run is not None:
        _require_model(session, body.run, body.model)
    session.add(
        Job(
            spec_digest=signed.digest,
            entry=event.entry,
            name=spec.name,
            kind=spec.kind.value,
            method=spec.method.value,
            state=JobState.PROPOSED.value,
            run=body.run,
            model_digest=body.model,
            features=program.features,
            outputs=program.outputs,
            clients=list(spec.clients),
            rows=spec.rows,
            proposed_at=event.at,
            deadline=float(spec.deadline),
            spec=signed.token,
            grants={},
            description=body.description and dict(body.description),
        )
    )
    return body.run, signed.digest


def _require_model(session: Session, name: str, digest: str | None) -> None:
    """Check that a run of this store has a global model of that digest."""
    run = find_run(session, name)
    came_out = select(Round.model).where(Round.run == name)
    models = select(Model.digest).where(
        (Model.path == run.initial_model) | Model.path.in_(came_out)
    )
    if digest is None or digest not in set(session.scalars(models)):
        raise RoundStateError("FS-602", f"{name} has no model {(digest or '-')[:12]}")


def job_result(session: Session, event: Event, body: JobResult) -> Subject:
    """Note that a service is ready, closed, or failed before it was ready."""
    row = session.get(Job, body.spec_digest)
    if row is None:
        raise RoundStateError("FS-602", f"job {body.spec_digest[:12]} is not on record")
    row.state = advance(f"job {row.name},", JobState(row.state), body.state).value
    row.reason = body.reason
    if body.state is JobState.READY:
        row.ready_at, row.grants = event.at, dict(body.grants)
        row.tried, row.difference = body.tried, body.difference
    else:
        row.ended_at = event.at
    return row.run, row.spec_digest


def open_job(session: Session, name: str) -> JobRecord | None:
    """Return the newest job of that name that is proposed or ready, if there is one."""
    chosen = (
        select(Job)
        .where(Job.name == name, Job.state.in_([state.value for state in OPEN]))
        .order_by(Job.entry.desc())
        .limit(1)
    )
    row = session.scalars(chosen).first()
    return None if row is None else _record(row)


def _record(row: Job) -> JobRecord:
    return JobRecord(
        spec_digest=row.spec_digest,
        name=row.name,
        state=JobState(row.state),
        deadline=row.deadline,
    )
