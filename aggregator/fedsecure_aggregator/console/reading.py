"""The rows of an aggregator's views that a page shows, one field per column."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fedsecure.console.paging import Part, part_of
from fedsecure.errors import OperatorError
from fedsecure.storage import database, revisions
from fedsecure.storage.view_rows import of_its_view, read, read_in
from fedsecure.storage.views import View
from fedsecure_aggregator.rules.round_states import UNDECIDED, RoundState
from fedsecure_aggregator.storage import tables
from fedsecure_aggregator.storage.queries import count_states
from fedsecure_aggregator.storage.store import MIGRATIONS
from fedsecure_aggregator.storage.views import (
    V_MEMBER,
    V_OPENING,
    V_PRIVACY,
    V_REFUSAL,
    V_REPORT,
    V_ROUND,
)

PER_PAGE: Final = 25  # rounds
REFUSALS: Final = 10  # on the first page
ACCOUNTS: Final = 50  # on the first page, of data owners under studies


@of_its_view
@dataclass(frozen=True, slots=True)
class RoundRow:
    """A row of v_round."""

    VIEW: ClassVar[View] = V_ROUND
    ORDER: ClassVar[tuple[str, ...]] = ("entry",)
    run: str
    round: int
    purpose: str
    attempt: int
    state: str
    owner: str
    cohort: int
    min_cohort: int
    reports: int
    opened: int | None
    dimension: int
    granted_at: str
    deadline: str
    expires: str
    opened_at: str | None
    void_at: str | None
    void_reason: str | None
    started_from: str
    task: str
    spec: str
    entry: int

    @property
    def label(self) -> str:
        """How people name it."""
        number = str(self.round) if self.purpose == "train" else "final"
        return number if self.attempt == 1 else f"{number}.{self.attempt}"


@of_its_view
@dataclass(frozen=True, slots=True)
class ReportRow:
    """A row of v_report."""

    VIEW: ClassVar[View] = V_REPORT
    ORDER: ClassVar[tuple[str, ...]] = ("reporter",)
    reporter: str
    report_id: str
    kind: str
    bytes: int
    digest: str
    stored_at: str
    spec: str


@of_its_view
@dataclass(frozen=True, slots=True)
class OpeningRow:
    """A row of v_opening, without its members."""

    VIEW: ClassVar[View] = V_OPENING
    ORDER: ClassVar[tuple[str, ...]] = ("opened_at",)
    count: int
    set_digest: str
    opening: str
    opened_at: str
    share_digest: str | None
    share_bytes: int | None
    spec: str


@of_its_view
@dataclass(frozen=True, slots=True)
class MemberRow:
    """A row of v_member."""

    VIEW: ClassVar[View] = V_MEMBER
    ORDER: ClassVar[tuple[str, ...]] = ("reporter",)
    reporter: str
    spec: str


@of_its_view
@dataclass(frozen=True, slots=True)
class RefusalRow:
    """A row of v_refusal."""

    VIEW: ClassVar[View] = V_REFUSAL
    ORDER: ClassVar[tuple[str, ...]] = ("entry",)
    refused_at: str
    signer: str
    statement: str
    code: str
    run: str | None
    round: int | None
    attempt: int | None
    digest: str
    spec: str
    entry: int


@of_its_view
@dataclass(frozen=True, slots=True)
class PrivacyRow:
    """A row of v_privacy."""

    VIEW: ClassVar[View] = V_PRIVACY
    ORDER: ClassVar[tuple[str, ...]] = ("study", "reporter")
    reporter: str
    unit: str
    epsilon: float
    outsider: float
    budget: float
    left_over: float
    delta: float
    openings: int
    study: str
    entry: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The first page: rounds, newest first, budgets and refusals, the newest."""

    rounds: Sequence[RoundRow]
    part: Part
    states: dict[RoundState, int]
    refusals: Sequence[RefusalRow]
    refused: int
    entries: int
    accounts: Sequence[PrivacyRow]
    accounted: int


@dataclass(frozen=True, slots=True)
class Detail:
    """One round as this aggregator saw it."""

    round: RoundRow
    reports: Sequence[ReportRow]
    members: frozenset[str]
    opening: OpeningRow | None
    refusals: Sequence[RefusalRow]
    token: str


@contextmanager
def open_aggregator_store(place: str | Path) -> Iterator[Session]:
    """Open a store so that it cannot be changed; the server runs on.

    Raises:
        OperatorError: FS-525 when the database fails or is not there, FS-603, FS-607
            or FS-608 when it is another version's or something else.
    """
    with revisions.reading(database.locate(place), MIGRATIONS, "FS-525") as session:
        yield session


def read_overview(session: Session, page: int) -> Overview:
    """Read the first page, or an older part of it.

    Raises:
        OperatorError: FS-862 when there is no such part.
    """
    states = count_states(session)
    part = part_of(page, sum(states.values()), PER_PAGE)
    # In the order of an index, so that what is left out is passed over quickly.
    newest_first = select(tables.RoundRow.spec).order_by(
        tables.RoundRow.granted_entry.desc()
    )
    chosen = session.scalars(newest_first.limit(PER_PAGE).offset(part.offset))
    rounds = read_in(session, RoundRow, "spec", chosen.all())
    return Overview(
        rounds=list(reversed(rounds)),
        part=part,
        states=states,
        refusals=_refusals(session),
        refused=_count(session, tables.RefusalRow),
        entries=entries(session),
        accounts=_accounts(session),
        accounted=_count(session, tables.PrivacyStudyRow),
    )


def read_round(session: Session, spec: str) -> Detail:
    """Read one round.

    Raises:
        OperatorError: FS-862 when it was never granted here.
    """
    found = read(session, RoundRow, spec=spec)
    if not found:
        raise OperatorError("FS-862", f"round {spec[:12]} was never granted here")
    opening = read(session, OpeningRow, spec=spec)
    members = read(session, MemberRow, spec=spec)
    return Detail(
        round=found[0],
        reports=read(session, ReportRow, spec=spec),
        members=frozenset(one.reporter for one in members),
        opening=opening[0] if opening else None,
        refusals=read(session, RefusalRow, spec=spec),
        token=session.get_one(tables.RoundRow, spec).token,
    )


def entries(session: Session) -> int:
    """Return how long the ledger is."""
    return session.scalar(select(func.max(tables.EventRow.entry))) or 0


def mark(session: Session) -> str:
    """Return what changes with everything that happens; reports have no entries."""
    going = select(tables.RoundRow.spec).where(tables.RoundRow.state.in_(UNDECIDED))
    waiting = select(func.count()).where(tables.ReportRow.spec.in_(going))
    return f"{entries(session)}-{session.scalar(waiting)}"


def _count(session: Session, table: type[tables.Base]) -> int:
    return session.scalar(select(func.count()).select_from(table)) or 0


def _accounts(session: Session) -> Sequence[PrivacyRow]:
    """Return the data owners' accounts under the studies that were charged last."""
    entry = tables.PrivacyStudyRow.entry
    chosen = select(entry).order_by(entry.desc()).limit(ACCOUNTS)
    return read_in(session, PrivacyRow, "entry", sorted(set(session.scalars(chosen))))


def _refusals(session: Session) -> Sequence[RefusalRow]:
    newest = select(tables.RefusalRow.entry).order_by(tables.RefusalRow.entry.desc())
    chosen = session.scalars(newest.limit(REFUSALS)).all()
    return list(reversed(read_in(session, RefusalRow, "entry", chosen)))
