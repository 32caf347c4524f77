"""The aggregator store: one transaction per change, each with a name.

SQLite in the data folder by default (WAL, every commit on disk before it returns),
PostgreSQL by URL. Only the worker's thread writes, so entries of the ledger never race;
any thread reads. No other process may: whoever opens the store holds it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from sqlalchemy import URL, Engine, Table, and_, bindparam, func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError, PeerError, RoundStateError
from fedsecure.protocol import ledger
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.ledger import Ledger
from fedsecure.protocol.signing import Author
from fedsecure.protocol.statements import Event, LedgerHead, RoundSpec
from fedsecure.storage import database, locks
from fedsecure.storage.locks import Hold
from fedsecure.storage.transactions import Patience, Transactions
from fedsecure_aggregator.rules.round_states import UNDECIDED, Attempt, RoundState
from fedsecure_aggregator.storage import migrations
from fedsecure_aggregator.storage.projection import Happened, members_of, project
from fedsecure_aggregator.storage.spool import disk
from fedsecure_aggregator.storage.tables import (
    ClosedRunRow,
    EventRow,
    LostReportRow,
    OpeningRow,
    RefusalRow,
    ReportRow,
    RoundRow,
)

MIGRATIONS: Final = Path(migrations.__file__).parent

T = TypeVar("T")

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


@dataclass(frozen=True, slots=True)
class Store:
    """The database of one aggregator. Made by `open_store`."""

    engine: Engine = field(repr=False)
    ledger: Ledger
    transactions: Transactions = field(repr=False)
    held: Hold = field(repr=False)

    def change(self, name: str, work: Callable[[Session], T]) -> T:
        """Commit all of some work or nothing of it; it may be called several times.

        Raises:
            OperatorError: FS-523 to FS-525 naming the transaction when the database
                fails for longer than a restart takes; FS-545 when it went back in
                time, FS-547 when another process has taken it.
        """
        return self.transactions.run(name, work)

    def reading(self, name: str) -> AbstractContextManager[Session]:
        """Read one state of the store; waits for no writer.

        Raises:
            OperatorError: FS-525 naming what was read when the database fails.
        """
        return self.transactions.reading(name)

    def append(
        self, session: Session, kind: Happened, body: Mapping[str, Any], at: float
    ) -> LedgerHead:
        """Add one entry to the ledger, and what follows from it to the tables."""
        return self.ledger.append(session, kind, body, at)

    def enter_version(self, session: Session, at: float) -> None:
        """Say in the ledger that it goes on under this version, if it was another.

        Raises:
            OperatorError: FS-656 when that one is newer.
        """
        self.ledger.enter(session, at)

    def head(self, session: Session) -> LedgerHead:
        """Return the ledger's length and last hash, without reading its last entry."""
        return self.transactions.head(session)

    def require_sound(self, session: Session) -> None:
        """Check that what is committed lasts, and what was committed is there.

        Raises:
            OperatorError: FS-544, FS-545 or FS-547.
        """
        connection = session.connection()
        database.require_durable(connection)
        self.held.require(connection)
        self.transactions.require_continued(session)

    def close(self) -> None:
        """Close all connections, and let others have the store."""
        self.engine.dispose()
        self.held.close()


def open_store(
    place: str | Path, author: Author, patience: Patience | None = None
) -> Store:
    """Take a store, make the tables of a new one, and return it; run at start.

    Args:
        place: URL, or path of an SQLite file.
        author: Signs the ledger.
        patience: How long a transaction is tried again.

    Raises:
        OperatorError: FS-523 to FS-526 when disk or database fail, FS-544 when it
            loses commits, FS-547 when another process has it, FS-603 or FS-608 when it
            is of another version, FS-607 when it is something else.
    """
    with ExitStack() as stack:
        engine, held = _take(database.locate(place), stack)
        with _named("start"):
            database.prepare(engine, MIGRATIONS, "fedsecure aggregator migrate")
        stack.pop_all()
    transactions = Transactions(
        engine,
        EventRow,
        _failed,
        patience or Patience(),
        hold=held.require,
        others_write=False,
    )
    return Store(engine, Ledger(author, EventRow, project), transactions, held)


@contextmanager
def taken(url: URL) -> Iterator[Engine]:
    """Have a store for this process alone, to replace what is in it.

    Raises:
        OperatorError: FS-523 to FS-526, FS-547, FS-607.
    """
    with ExitStack() as stack:
        engine, _ = _take(url, stack)
        yield engine


def _take(url: URL, stack: ExitStack) -> tuple[Engine, Hold]:
    with disk(database.shown(url)), _named("take the store"):
        held = locks.hold(url, "FS-547")
    stack.callback(held.close)
    engine = database.open_for_writing(url)
    stack.callback(engine.dispose)
    return engine, held


@contextmanager
def _named(name: str) -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise _failed(name, error) from error


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


def _failed(name: str, error: SQLAlchemyError) -> OperatorError:
    return OperatorError(database.failure(error), f"{name}: {database.cause(error)}")
