"""The rows of the round store's views as data: one field per column, same names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from sqlalchemy import ColumnElement, TableClause, func, select
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.owner.store.models import Event, Round
from fedsecure.owner.store.views import V_EVENT, V_PARTICIPATION, V_ROUND, V_RUN
from fedsecure.review.choosing import Choice, Page
from fedsecure.storage.view_rows import of_its_view, read, read_in, view_of
from fedsecure.storage.views import View
from fedsecure.study.remarks import Figures, over_all

_ROUND: Final = re.compile(r"(?P<number>\d{1,7})(?:\.(?P<attempt>\d{1,7}))?")
_DIGEST: Final = re.compile(r"[0-9a-f]{8,64}")
FINAL: Final = "final"
COUNTS: Final = "statistics"
_NAMED: Final = {FINAL: "evaluate", COUNTS: "statistics"}  # purposes with one round
EVERY: Final = Choice()


@of_its_view
@dataclass(frozen=True, slots=True)
class RunRow:
    """A row of v_run."""

    VIEW: ClassVar[View] = V_RUN
    ORDER: ClassVar[tuple[str, ...]] = ("entry",)
    run: str
    study: str
    title: str
    state: str
    started_at: str
    finished_at: str | None
    planned_rounds: int
    opened_rounds: int
    void_rounds: int
    strategy: str
    weighting: str
    min_cohort: int
    clip: float
    statistics_clip: float | None
    unit: str | None
    epsilon: float | None
    epsilon_outsider: float | None
    study_epsilon: float | None
    epsilon_budget: float | None
    delta: float | None
    model: str
    reason: str | None
    from_run: str | None
    from_round: int | None
    entry: int


@of_its_view
@dataclass(frozen=True, slots=True)
class RoundRow:
    """A row of v_round: one attempt at a round."""

    VIEW: ClassVar[View] = V_ROUND
    ORDER: ClassVar[tuple[str, ...]] = ("entry",)
    run: str
    round: int
    purpose: str
    attempt: int
    state: str
    proposed_at: str
    decided_at: str | None
    cohort: int
    min_cohort: int
    in_set: int | None
    missing: str | None
    rho: float | None
    total_weight: int | None
    clip_rate: float | None
    statistics_clip_rate: float | None
    clamped: int | None
    undefined: int | None
    loss: float | None
    accuracy: float | None
    auc: float | None
    loss_deviation: float | None
    accuracy_deviation: float | None
    auc_deviation: float | None
    seconds: float | None
    bytes_up: int | None
    started_from: str
    made: str | None
    model: str | None
    model_file: str | None
    outcome: str
    verdict: str | None
    verdict_note: str | None
    verdict_by: str | None
    verdict_at: str | None
    set_digest: str | None
    spec_digest: str
    entry: int

    @property
    def label(self) -> str:
        """How people name it: `3`, or `3.1` when another attempt follows; `final`.

        A round of statistics is `statistics`.
        """
        named = {"evaluate": FINAL, "statistics": COUNTS}
        number = named.get(self.purpose, str(self.round))
        alone = self.attempt == 1 and self.state != "void"
        return number if alone else f"{number}.{self.attempt}"

    @property
    def bare(self) -> bool:
        """Whether it carried no metrics, as rounds of training with noise usually."""
        measured = self.loss, self.accuracy, self.auc
        return (
            self.rho is not None
            and self.purpose == "train"
            and not any(one is not None for one in measured)
        )

    @property
    def figures(self) -> Figures | None:
        """What may be strange about it; None: it was not opened."""
        if self.state != "opened":
            return None
        return Figures(
            train=self.purpose == "train",
            in_set=self.in_set or 0,
            clip_rate=self.clip_rate,
            statistics_clip_rate=self.statistics_clip_rate,
            clamped=self.clamped or 0,
            undefined=self.undefined or 0,
            moved=self.made != self.started_from,
        )


@of_its_view
@dataclass(frozen=True, slots=True)
class ParticipationRow:
    """A row of v_participation."""

    VIEW: ClassVar[View] = V_PARTICIPATION
    ORDER: ClassVar[tuple[str, ...]] = ("entry", "data_owner")
    run: str
    round: int
    purpose: str
    attempt: int
    data_owner: str
    status: str
    reason: str | None
    asked_at: str | None
    decided_at: str | None
    receipt_a: str | None
    receipt_b: str | None
    report_id: str | None
    rho: float | None
    spec_digest: str
    entry: int


@of_its_view
@dataclass(frozen=True, slots=True)
class EventRow:
    """A row of v_event."""

    VIEW: ClassVar[View] = V_EVENT
    ORDER: ClassVar[tuple[str, ...]] = ("entry",)
    entry: int
    at: str
    kind: str
    run: str | None
    round: int | None
    purpose: str | None
    attempt: int | None
    spec_digest: str | None
    hash: str


def runs(session: Session) -> Sequence[RunRow]:
    """Return every run, oldest first."""
    return read(session, RunRow)


def find_run(session: Session, name: str | None = None) -> RunRow:
    """Return a run; without a name the latest.

    Raises:
        OperatorError: FS-861 when there is none of that name, FS-863 when there is
            none at all.
    """
    found = runs(session)
    if not found:
        raise OperatorError("FS-863", "its table of runs is empty")
    if name is None:
        return found[-1]
    for row in found:
        if row.run == name:
            return row
    known = ", ".join(row.run for row in found[-5:])
    raise OperatorError("FS-861", f"there is no run {name!r}; the last are {known}")


def rounds(
    session: Session,
    run: str,
    choice: Choice = EVERY,
    page: Page | None = None,
) -> Sequence[RoundRow]:
    """Return attempts at rounds of a run, in order of proposal.

    Args:
        session: An open round store.
        run: The run's id.
        choice: Which of them.
        page: A part of them only.
    """
    view = view_of(RoundRow)
    # First which ones, from indexes alone; then all about them.
    which = select(Round.entry).where(Round.run == run, *choice.conditions())
    if page is not None:
        newest_first = which.order_by(Round.entry.desc())
        found = session.scalars(newest_first.limit(page.size).offset(page.offset))
        meant: ColumnElement[bool] = view.c.entry.in_(found.all())
    elif choice == EVERY:
        meant = view.c.run == run
    else:
        meant = view.c.entry.in_(which)
    query = select(view).where(meant).order_by(view.c.entry)
    return [RoundRow(*row) for row in session.execute(query)]


def strange(rounds: Sequence[RoundRow]) -> Sequence[str]:
    """Return sentences on what is strange about these rounds, and what to do."""
    return list(over_all(row.figures for row in rounds if row.figures is not None))


def count_rounds(session: Session, run: str, choice: Choice = EVERY) -> int:
    """Return how many attempts at rounds of a run there are."""
    chosen = select(func.count()).select_from(Round)
    return session.scalar(chosen.where(Round.run == run, *choice.conditions())) or 0


def attempts(session: Session, row: RoundRow) -> Sequence[RoundRow]:
    """Return every attempt at the same round of a run."""
    return read(session, RoundRow, run=row.run, round=row.round, purpose=row.purpose)


def find_round(session: Session, run: str, which: str) -> RoundRow:
    """Return the attempt at a round that a person means.

    Args:
        session: An open round store.
        run: The run's id.
        which: `3` (the last attempt at a train round), `3.1` (its first), `final`
            (the last evaluation), or at least eight digits of a spec's digest.

    Raises:
        OperatorError: FS-862 when there is no such round.
    """
    view = view_of(RoundRow)
    meant = _meant(view, which)
    if meant is not None:
        chosen = select(view).where(view.c.run == run, *meant)
        newest = chosen.order_by(view.c.entry.desc()).limit(1)
        for row in session.execute(newest):
            return RoundRow(*row)
    raise OperatorError("FS-862", f"there is no round {which!r} in run {run}")


def beside(session: Session, row: RoundRow, step: int) -> RoundRow | None:
    """Return the attempt proposed before (-1) or after (1) another of the same run."""
    later = step > 0
    place = Round.entry > row.entry if later else Round.entry < row.entry
    order = Round.entry.asc() if later else Round.entry.desc()
    query = select(Round.entry).where(Round.run == row.run, place)
    entry = session.scalar(query.order_by(order).limit(1))
    return None if entry is None else read(session, RoundRow, entry=entry)[0]


def participations(session: Session, spec_digest: str) -> Sequence[ParticipationRow]:
    """Return the cohort of one attempt at a round, by name."""
    return read(session, ParticipationRow, spec_digest=spec_digest)


def participations_of(session: Session, run: str) -> Sequence[ParticipationRow]:
    """Return everybody who was asked in a run, round by round."""
    return read(session, ParticipationRow, run=run)


def participations_in(
    session: Session, rounds: Sequence[RoundRow]
) -> Sequence[ParticipationRow]:
    """Return the cohorts of some attempts at rounds, round by round."""
    digests = [row.spec_digest for row in rounds]
    return read_in(session, ParticipationRow, "spec_digest", digests)


def last_entry(session: Session) -> int:
    """Return the length of the ledger, which grows with everything that happens."""
    return session.scalar(select(func.max(Event.entry))) or 0


def events(session: Session, row: RoundRow) -> Sequence[EventRow]:
    """Return the ledger's entries about one attempt at a round."""
    return read(session, EventRow, spec_digest=row.spec_digest)


def _meant(view: TableClause, which: str) -> Sequence[ColumnElement[bool]] | None:
    """Return the conditions of what a person wrote, if it can be a round."""
    found: list[ColumnElement[bool]]
    name, _, attempt = which.partition(".")
    if name in _NAMED:
        found = [view.c.purpose == _NAMED[name]]
        return (
            [*found, view.c.attempt == int(attempt)] if attempt.isdecimal() else found
        )
    match = _ROUND.fullmatch(which)
    if match is not None:
        found = [view.c.purpose == "train", view.c.round == int(match["number"])]
        if match["attempt"] is not None:
            found.append(view.c.attempt == int(match["attempt"]))
        return found
    if _DIGEST.fullmatch(which):
        after = which + "g"  # the letter after the last hexadecimal digit
        return [view.c.spec_digest >= which, view.c.spec_digest < after]
    return None
