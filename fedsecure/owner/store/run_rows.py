"""The events of a run as rows; see module `projection`."""

from sqlalchemy.orm import Session

from fedsecure.errors import RoundStateError
from fedsecure.owner.store.models import Model, Round, Run
from fedsecure.owner.store.records import (
    Origin,
    RunFinished,
    RunResumed,
    RunStarted,
    StoredModel,
    Verdict,
)
from fedsecure.owner.store.states import RunState, advance
from fedsecure.protocol.statements import Event

Subject = tuple[str | None, str | None]  # a run; digest of a round's or job's spec


def run_started(session: Session, event: Event, body: RunStarted) -> Subject:
    """Write the run and the model that it starts from."""
    if session.get(Run, body.run) is not None:
        raise RoundStateError("FS-602", f"run {body.run} exists already")
    if body.origin is not None:
        _require_origin(session, body, body.origin)
    session.add(
        Run(
            run=body.run,
            entry=event.entry,
            study=body.study,
            title=body.title,
            strategy=body.strategy,
            weighting=body.weighting.value,
            planned_rounds=body.planned_rounds,
            min_cohort=body.min_cohort,
            clip=body.clip,
            statistics_clip=body.statistics_clip,
            initial_model=keep_model(session, body.initial_model),
            origin=body.origin and body.origin.spec_digest,
            origin_forced=body.origin and body.origin.forced,
            state=RunState.RUNNING.value,
            started_at=event.at,
            settings=dict(body.settings),
        )
    )
    return body.run, None


def _require_origin(session: Session, body: RunStarted, origin: Origin) -> None:
    row = session.get(Round, origin.spec_digest)
    if row is None or row.model is None:
        known = origin.spec_digest[:12]
        raise RoundStateError("FS-602", f"no model came out of round {known}")
    if row.model != body.initial_model.path:
        raise RoundStateError(
            "FS-602", f"{body.initial_model.path} did not come out of round {row.round}"
        )
    accepted = row.verdict == Verdict.ACCEPTED
    if not (accepted or origin.forced):
        raise RoundStateError(
            "FS-646", f"round {row.round} of {row.run} is {row.verdict or 'not judged'}"
        )


def run_resumed(session: Session, _event: Event, body: RunResumed) -> Subject:
    """Set the run going again."""
    run = find_run(session, body.run)
    run.state = advance(f"run {run.run}", RunState(run.state), RunState.RUNNING).value
    run.reason = run.finished_at = None
    return body.run, None


def run_finished(session: Session, event: Event, body: RunFinished) -> Subject:
    """Note how the run ended."""
    run = find_run(session, body.run)
    if body.outcome is RunState.RUNNING:
        raise RoundStateError("FS-602", f"run {run.run} cannot end as running")
    run.state = advance(f"run {run.run}", RunState(run.state), body.outcome).value
    run.reason, run.finished_at = body.reason, event.at
    return body.run, None


def find_run(session: Session, name: str) -> Run:
    """Return a run that was started, or refuse with FS-602."""
    row = session.get(Run, name)
    if row is None:
        raise RoundStateError("FS-602", f"run {name} was never started")
    return row


def keep_model(session: Session, stored_model: StoredModel | None) -> str | None:
    """Write the row of an array, once, and return its path."""
    if stored_model is None:
        return None
    row = session.get(Model, stored_model.path)
    if row is None:
        session.add(
            Model(
                path=stored_model.path,
                sha256=stored_model.sha256,
                bytes=stored_model.bytes,
                kind=stored_model.kind.value,
                digest=stored_model.digest,
            )
        )
        session.flush()
    elif (row.sha256, row.digest) != (stored_model.sha256, stored_model.digest):
        raise RoundStateError(
            "FS-602", f"{stored_model.path} was recorded with another content"
        )
    return stored_model.path
