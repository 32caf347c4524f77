"""Reading the round store, for a model owner who acts on it (resume, replay).

Each function runs in the caller's session and returns records that outlive it.
People read the views instead (`fedsecure.review`).
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.owner.store.models import Metric, Model, Round, Run
from fedsecure.owner.store.records import (
    ModelKind,
    RoundRecord,
    RunRecord,
    StoredModel,
    Verdict,
)
from fedsecure.owner.store.states import UNDECIDED, RoundState, RunState
from fedsecure.protocol.statements import Purpose, Weighting


def run(session: Session, name: str) -> RunRecord:
    """Return one run.

    Raises:
        OperatorError: FS-861 when there is none of that name.
    """
    row = session.get(Run, name)
    if row is None:
        raise OperatorError("FS-861", f"no run {name!r} in the round store")
    return _run_record(session, row)


def latest_run(session: Session) -> RunRecord | None:
    """Return the run that was started last, if there is any."""
    row = session.scalars(select(Run).order_by(Run.entry.desc()).limit(1)).first()
    return None if row is None else _run_record(session, row)


def rounds(
    session: Session, name: str, states: Sequence[RoundState] = tuple(RoundState)
) -> list[RoundRecord]:
    """Return the rounds of a run that are in one of `states`, as proposed."""
    chosen = select(Round).where(
        Round.run == name, Round.state.in_([state.value for state in states])
    )
    rows = session.scalars(chosen.order_by(Round.entry))
    return [_round_record(session, row) for row in rows]


def open_rounds(session: Session, name: str) -> list[RoundRecord]:
    """Return the rounds of a run that are neither opened nor void."""
    return rounds(session, name, UNDECIDED)


def means(session: Session, name: str) -> list[StoredModel]:
    """Return the opened means of a run's train rounds, in order of the rounds."""
    chosen = (
        select(Model)
        .join(Round, Round.mean == Model.path)
        .where(Round.run == name, Round.purpose == Purpose.TRAIN.value)
        .order_by(Round.round)
    )
    return [_stored(row) for row in session.scalars(chosen)]


def last_model(session: Session, name: str) -> StoredModel:
    """Return the newest global model of a run: the initial one, if no other.

    Raises:
        OperatorError: FS-861 when there is no such run.
    """
    newest = session.scalars(
        select(Model)
        .join(Round, Round.model == Model.path)
        .where(Round.run == name)
        .order_by(Round.entry.desc())
        .limit(1)
    ).first()
    return run(session, name).initial_model if newest is None else _stored(newest)


def _run_record(session: Session, row: Run) -> RunRecord:
    return RunRecord(
        run=row.run,
        study=row.study,
        title=row.title,
        strategy=row.strategy,
        weighting=Weighting(row.weighting),
        planned_rounds=row.planned_rounds,
        min_cohort=row.min_cohort,
        clip=row.clip,
        statistics_clip=row.statistics_clip,
        settings=row.settings,
        initial_model=_stored(session.get_one(Model, row.initial_model)),
        origin=row.origin,
        state=RunState(row.state),
        reason=row.reason,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _round_record(session: Session, row: Round) -> RoundRecord:
    metrics = session.scalars(select(Metric).filter_by(spec_digest=row.spec_digest))
    return RoundRecord(
        spec_digest=row.spec_digest,
        run=row.run,
        round=row.round,
        purpose=Purpose(row.purpose),
        attempt=row.attempt,
        state=RoundState(row.state),
        spec=row.spec,
        grants=row.grants,
        opening=row.opening,
        shares=row.shares,
        mean=_found(session, row.mean),
        model=_found(session, row.model),
        metrics={metric.name: metric.value for metric in metrics},
        scalars=row.scalars,
        undefined=row.undefined,
        voids=row.voids,
        verdict=Verdict(row.verdict) if row.verdict else None,
    )


def _found(session: Session, path: str | None) -> StoredModel | None:
    return None if path is None else _stored(session.get_one(Model, path))


def _stored(row: Model) -> StoredModel:
    return StoredModel(row.path, row.sha256, row.bytes, ModelKind(row.kind), row.digest)
