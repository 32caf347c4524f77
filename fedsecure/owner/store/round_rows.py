"""The events of a round as rows; see module `projection`."""

from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from fedsecure.errors import RoundStateError
from fedsecure.owner.store import records
from fedsecure.owner.store.models import Metric, Participation, Round
from fedsecure.owner.store.privacy_rows import account_for, note_budget
from fedsecure.owner.store.records import (
    RoundGranted,
    RoundJudged,
    RoundOpening,
    RoundProposed,
    RoundResult,
    RoundVoided,
    Status,
)
from fedsecure.owner.store.run_rows import Subject, find_run, keep_model
from fedsecure.owner.store.states import RoundState, RunState, advance
from fedsecure.protocol.parameters import cost_of
from fedsecure.protocol.signing import Signed, set_digest
from fedsecure.protocol.statements import Event, Opening, Receipt, RoundSpec
from fedsecure.protocol.stored_statements import stored

Cohort = Mapping[str, Participation]  # by the data owner's name


def round_proposed(session: Session, event: Event, body: RoundProposed) -> Subject:
    """Write the round, and a row for each data owner that is asked."""
    signed = stored(body.spec, RoundSpec)
    spec = signed.statement
    _require_attempt(session, spec)
    session.add(_proposed(signed, event))
    session.flush()
    note_budget(find_run(session, spec.run), spec)
    session.add_all(
        Participation(
            spec_digest=signed.digest, data_owner=name, status=Status.ASKED.value
        )
        for name in spec.cohort
    )
    return spec.run, signed.digest


def _proposed(signed: Signed[RoundSpec], event: Event) -> Round:
    spec = signed.statement
    return Round(
        spec_digest=signed.digest,
        entry=event.entry,
        run=spec.run,
        round=spec.round,
        purpose=spec.purpose.value,
        attempt=spec.attempt,
        state=RoundState.PROPOSED.value,
        cohort_size=len(spec.cohort),
        min_cohort=spec.min_cohort,
        model_digest=spec.model,
        study_digest=spec.study,
        rho_pico=cost_of(spec),
        proposed_at=event.at,
        spec=signed.token,
        stage_seconds={},
        scalars={},
        grants={},
        shares=[],
        voids={},
    )


def _require_attempt(session: Session, spec: RoundSpec) -> None:
    run = find_run(session, spec.run)
    where = f"{spec.purpose} round {spec.round} of {spec.run}"
    if run.state != RunState.RUNNING:
        raise RoundStateError("FS-602", f"{where}: the run is {run.state}")
    before = session.scalars(
        select(Round).filter_by(
            run=spec.run, round=spec.round, purpose=spec.purpose.value
        )
    )
    for other in before:
        if other.state != RoundState.VOID:
            raise RoundStateError(
                "FS-602", f"{where}: attempt {other.attempt} is {other.state}"
            )
        if other.attempt >= spec.attempt:
            raise RoundStateError(
                "FS-602", f"{where}: attempt {spec.attempt} after {other.attempt}"
            )


def round_granted(session: Session, event: Event, body: RoundGranted) -> Subject:
    """Note both grants."""
    row = _step(session, body.spec_digest, RoundState.GRANTED)
    row.grants, row.granted_at = dict(body.grants), event.at
    return row.run, row.spec_digest


def round_opening(session: Session, event: Event, body: RoundOpening) -> Subject:
    """Note the set: from now on no other can be opened."""
    signed = stored(body.opening, Opening)
    opening = signed.statement
    row = _step(session, opening.spec, RoundState.OPENING)
    row.opening, row.opening_digest = signed.token, signed.digest
    row.set_size, row.set_digest = len(opening.set), set_digest(opening.set)
    row.opening_at = event.at
    _note_members(_cohort(session, row), opening, row.rho_pico)
    account_for(session, row)
    return row.run, row.spec_digest


def _note_members(cohort: Cohort, opening: Opening, cost: int | None) -> None:
    first, second = (opening.receipts[name] for name in sorted(opening.receipts))
    for member, a, b in zip(opening.set, first, second, strict=True):
        row = _member(cohort, member.reporter)
        row.status, row.report_id = Status.IN_SET.value, member.report_id
        row.receipt_a = stored(a, Receipt).digest
        row.receipt_b = stored(b, Receipt).digest
        row.rho_pico = cost


def round_opened(session: Session, event: Event, body: RoundResult) -> Subject:
    """Write the mean, the model, the metrics, and how the round ended."""
    row = _step(session, body.spec_digest, RoundState.OPENED)
    row.mean = keep_model(session, body.mean)
    row.model = keep_model(session, body.model)
    row.total_weight, row.bytes_up = body.total_weight, body.bytes_up
    row.clipped, row.clamped = body.clipped, body.clamped
    row.statistics_clipped, row.undefined = body.statistics_clipped, body.undefined
    row.scalars = dict(body.scalars)
    row.decided_at, row.shares = event.at, list(body.shares)
    row.stage_seconds = dict(body.seconds)
    for name, value in body.metrics.items():
        deviation = body.deviations.get(name)
        session.add(
            Metric(
                spec_digest=row.spec_digest,
                name=name,
                value=value,
                deviation=deviation,
            )
        )
    _settle(_cohort(session, row), body.participations, Status.NOT_REPORTED)
    return row.run, row.spec_digest


def round_void(session: Session, event: Event, body: RoundVoided) -> Subject:
    """Note why the round was given up; nobody is in a set then."""
    row = _step(session, body.spec_digest, RoundState.VOID)
    row.reason, row.decided_at = body.reason, event.at
    row.voids = dict(body.confirmations)
    cohort = _cohort(session, row)
    for participation in cohort.values():
        participation.status = Status.ASKED.value
        if len(body.confirmations) >= len(row.grants):  # else it is burnt
            participation.rho_pico = None
    _settle(cohort, body.participations, Status.ROUND_VOID)
    account_for(session, row)
    return row.run, row.spec_digest


def round_judged(session: Session, event: Event, body: RoundJudged) -> Subject:
    """Note the model owner's verdict; an earlier one stays in the ledger alone."""
    row = _find(session, body.spec_digest)
    if row.state != RoundState.OPENED:
        raise RoundStateError("FS-645", f"{_named(row)} is {row.state}")
    row.verdict, row.verdict_note = body.verdict.value, body.note
    row.verdict_by, row.verdict_at = body.by, event.at
    return row.run, row.spec_digest


def _settle(
    cohort: Cohort, heard: Iterable[records.Participation], otherwise: Status
) -> None:
    """Give every data owner of the cohort its final status, `otherwise` if unsaid."""
    for one in heard:
        row = _member(cohort, one.name)
        in_set = row.status == Status.IN_SET
        if in_set != (one.status is Status.IN_SET):
            raise RoundStateError(
                "FS-602",
                f"{one.name} is said to be {one.status.value!r}, the opening "
                f"{'has' if in_set else 'does not have'} its report",
            )
        row.status, row.reason = one.status.value, one.reason
    for row in cohort.values():
        if row.status == Status.ASKED:
            row.status = otherwise.value


def _step(session: Session, spec: str, to: RoundState) -> Round:
    row = _find(session, spec)
    row.state = advance(f"{_named(row)},", RoundState(row.state), to).value
    return row


def _find(session: Session, spec: str) -> Round:
    row = session.get(Round, spec)
    if row is None:
        raise RoundStateError("FS-602", f"round {spec[:12]} was never proposed")
    return row


def _named(row: Round) -> str:
    return f"{row.purpose} round {row.round} of {row.run}, attempt {row.attempt}"


def _cohort(session: Session, row: Round) -> Cohort:
    rows = session.scalars(select(Participation).filter_by(spec_digest=row.spec_digest))
    return {participation.data_owner: participation for participation in rows}


def _member(cohort: Cohort, name: str) -> Participation:
    if name not in cohort:
        raise RoundStateError("FS-602", f"{name} is not in the cohort")
    return cohort[name]
