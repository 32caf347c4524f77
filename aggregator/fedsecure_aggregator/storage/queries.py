"""What is asked of the aggregator store, each question by its name.

A question takes the session of a transaction and changes nothing, but for `add_report`.
"""

from dataclasses import dataclass
from typing import Final, cast

from sqlalchemy import Table, and_, bindparam, func, insert, select
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError, PeerError, RoundStateError
from fedsecure.protocol import ledger
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.statements import Event, LedgerHead, RoundSpec
from fedsecure_aggregator.rules.round_states import UNDECIDED, Attempt, RoundState
from fedsecure_aggregator.storage.projection import members_of
from fedsecure_aggregator.storage.tables import (
    ClosedRunRow,
    EventRow,
    LostReportRow,
    OpeningRow,
    RefusalRow,
    ReportRow,
    RoundRow,
)

# Of tables, not of classes: asked for three times for each report, and SQLAlchemy takes
# half as long when there is no object to make.
_ROUNDS: Final = cast("Table", RoundRow.__table__)
_REPORTS: Final = cast("Table", ReportRow.__table__)
_STANDING: Final = (
    select(
        _ROUNDS.c.state, _ROUNDS.c.deadline, _ROUNDS.c.void_reason, _REPORTS.c.header
    )
    .select_from(
        _ROUNDS.outerjoin(
            _REPORTS,
            and_(
                _REPORTS.c.spec == _ROUNDS.c.spec,
                _REPORTS.c.reporter == bindparam("reporter"),
            ),
        )
    )
    .where(_ROUNDS.c.spec == bindparam("spec"))
)


def find_round(session: Session, spec: str) -> RoundRow:
    """Return a round.

    Raises:
        RoundStateError: FS-300 when it was never granted here.
    """
    row = session.get(RoundRow, spec)
    if row is None:
        raise _never_granted(spec)
    return row


def earlier_attempts(session: Session, spec: RoundSpec, owner: str) -> list[Attempt]:
    """Return what was granted for the same owner's run, round and purpose."""
    rows = session.scalars(
        select(RoundRow)
        .where(RoundRow.owner == owner, RoundRow.run == spec.run)
        .where(RoundRow.round == spec.round, RoundRow.purpose == spec.purpose)
        .order_by(RoundRow.attempt)
    )
    return [Attempt(row.spec, row.attempt, row.state) for row in rows]


def undecided_rounds(session: Session) -> list[RoundRow]:
    """Return every round that is neither opened nor void."""
    rows = session.scalars(select(RoundRow).where(RoundRow.state.in_(UNDECIDED)))
    return list(rows)


def count_states(session: Session) -> dict[RoundState, int]:
    """Return how many rounds are in each state."""
    rows = session.execute(
        select(RoundRow.state, func.count().label("number")).group_by(RoundRow.state)
    )
    return {row.state: row.number for row in rows}


def find_report(session: Session, spec: str, reporter: str) -> ReportRow | None:
    """Return a data owner's stored report, if there is one."""
    return session.get(ReportRow, (spec, reporter))


@dataclass(frozen=True, slots=True)
class Standing:
    """How a round stands for one data owner.

    Args:
        state: Of the round.
        deadline: Of the round, seconds since 1970.
        void_reason: If it is void.
        header: Of the data owner's report, if one is stored.
    """

    state: RoundState
    deadline: int
    void_reason: str | None
    header: str | None


def standing(session: Session, spec: str, reporter: str) -> Standing:
    """Return how a round stands for a data owner.

    Raises:
        RoundStateError: FS-300 when it was never granted here.
    """
    row = session.execute(_STANDING, {"spec": spec, "reporter": reporter}).first()
    if row is None:
        raise _never_granted(spec)
    return Standing(*row)


def add_report(session: Session, report: ReportRow) -> None:
    """Put a report's row in."""
    values = {column.name: getattr(report, column.name) for column in _REPORTS.c}
    session.execute(insert(_REPORTS), values)


def reports_of(session: Session, spec: str) -> list[ReportRow]:
    """Return a round's stored reports in the order of their reporters."""
    rows = session.scalars(select(ReportRow).where(ReportRow.spec == spec))
    return sorted(rows, key=lambda row: row.reporter)


def reporters_of(session: Session, spec: str) -> set[str]:
    """Return who has a stored report in a round, without reading the reports."""
    return set(
        session.scalars(select(_REPORTS.c.reporter).where(_REPORTS.c.spec == spec))
    )


def losses_of(session: Session, spec: str) -> dict[str, str]:
    """Return whose stored reports in a round were lost, and why."""
    rows = session.scalars(select(LostReportRow).where(LostReportRow.spec == spec))
    return {row.reporter: row.reason for row in rows}


def find_opening(session: Session, spec: str) -> OpeningRow | None:
    """Return a round's opening, if it was opened."""
    return session.get(OpeningRow, spec)


def sets_opened(session: Session, model: str | None) -> dict[frozenset[str], int]:
    """Return the members of the sets opened for a model, in whatever run.

    Without a model, of all sets that were ever opened. With each set stands the
    largest minimum of the rounds that were opened over it.
    """
    query = select(OpeningRow, RoundRow.min_cohort).join(
        RoundRow, RoundRow.spec == OpeningRow.spec
    )
    if model is not None:
        query = query.where(OpeningRow.model == model)
    sets: dict[frozenset[str], int] = {}
    for row, least in session.execute(query):
        members = frozenset(name for name, _, _ in members_of(row))
        sets[members] = max(least, sets.get(members, 0))
    return sets


def opened_specs(session: Session) -> set[str]:
    """Return the specs of all rounds that were opened."""
    return set(session.scalars(select(OpeningRow.spec)))


def was_restored(session: Session) -> bool:
    """Tell whether this store was put back to an earlier state before."""
    return session.scalar(select(func.count()).select_from(ClosedRunRow)) != 0


def require_own(session: Session, name: str, keys: Federations) -> bool:
    """Check that a ledger's last entry was signed by this party, in its federation.

    Returns:
        Whether there is an entry at all.

    Args:
        session: Of the store.
        name: This party.
        keys: Of every version of the federation that it accepted.

    Raises:
        OperatorError: FS-548 with who signed it, or what is wrong with it.
    """
    last = select(EventRow.payload).order_by(EventRow.entry.desc()).limit(1)
    payload = session.scalar(last)
    if payload is None:
        return False
    try:
        signer = keys.verify(payload, Event).signer
    except PeerError as error:
        raise OperatorError("FS-548", f"{error.code}: {error.detail}") from error
    if signer != name:
        raise OperatorError("FS-548", f"it is {signer}'s, here is {name}")
    return True


def rounds_between(session: Session, owner: str, since: float, now: float) -> int:
    """Return how many rounds an owner was granted in a time (seconds since 1970).

    What is later than now was granted before the clock was set back, and not counted.
    """
    query = select(func.count()).where(
        RoundRow.owner == owner, RoundRow.granted_at > since, RoundRow.granted_at <= now
    )
    return session.scalar(query) or 0


def find_refusal(session: Session, digest: str, code: str) -> RefusalRow | None:
    """Return the refusal of a statement for a reason, if it is recorded."""
    return session.get(RefusalRow, (digest, code))


def refusals_between(session: Session, signer: str, since: float, now: float) -> int:
    """Return how many refusals of a party are recorded in a time."""
    query = select(func.count()).where(
        RefusalRow.signer == signer,
        RefusalRow.refused_at > since,
        RefusalRow.refused_at <= now,
    )
    return session.scalar(query) or 0


def is_closed(session: Session, run: str) -> bool:
    """Tell whether a run is older than a restore of this store."""
    return session.get(ClosedRunRow, run) is not None


def known_runs(session: Session) -> list[str]:
    """Return every run of which a round was granted."""
    return sorted(session.scalars(select(RoundRow.run).distinct()))


def head_at(session: Session, entry: int) -> LedgerHead:
    """Return the ledger's head as it was after `entry` entries."""
    return ledger.head_at(session, EventRow, entry)


def _never_granted(spec: str) -> RoundStateError:
    return RoundStateError("FS-300", f"round {spec[:12]} was never granted here")
