"""Everything that a page about runs and rounds shows, from one state of the store."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.text import Text
from sqlalchemy.orm import Session

from fedsecure.console.paging import Part, part_of
from fedsecure.owner.store.models import Round
from fedsecure.owner.store.states import RunState
from fedsecure.review import participation as grids, records, sides as both, stages
from fedsecure.review.choosing import Choice, Judged, Page
from fedsecure.review.details import RoundDetail, read_detail
from fedsecure.review.participation import Grid
from fedsecure.review.records import RoundRow, RunRow
from fedsecure.review.sides import Sides
from fedsecure.review.stages import Spent
from fedsecure.review.terminal.live import DOING, UNDECIDED
from fedsecure.review.terminal.round_page import asked, came, metrics, metrics_title

PER_PAGE = 25  # rounds
RUNS_PER_PAGE = 50
Facts = Sequence[tuple[str, Text]]


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run: its newest rounds, or older ones. `rounds`: the newest first."""

    run: RunRow
    rounds: Sequence[RoundRow]
    part: Part
    judged: Judged | None
    now: RoundRow | None  # undecided, and so under way
    grid: Grid
    spent: Spent
    servers: Sequence[str]
    entries: int

    @property
    def strange(self) -> Sequence[str]:
        """What is strange about the rounds that are shown, and what to do."""
        return records.strange(self.rounds)

    @property
    def doing(self) -> str:
        """What goes on, in words."""
        if self.now is not None:
            train = self.now.purpose == "train"
            what = f"Round {self.now.label}" if train else "The final evaluation"
            return f"{what}: {DOING[self.now.state]}"
        if self.run.state == RunState.RUNNING:
            return "Between two rounds"
        return "It is over" if self.run.state == RunState.COMPLETED else "It has ended"


@dataclass(frozen=True, slots=True)
class RoundPage:
    """One attempt at a round, with its neighbours."""

    detail: RoundDetail
    sides: Sides
    asked: Facts
    came: Facts
    metrics: Facts
    metrics_title: str
    spec: str
    before: RoundRow | None
    after: RoundRow | None


def read_run(
    session: Session, name: str, page: int, judged: Judged | None = None
) -> RunPage:
    """Read what the page of a run shows.

    Raises:
        OperatorError: FS-861 when there is no such run, FS-862 no such page of it.
    """
    run = records.find_run(session, name)
    choice = Choice(judged)
    number = records.count_rounds(session, run.run, choice)
    part = part_of(page, number, PER_PAGE)
    chosen = records.rounds(session, run.run, choice, Page(page, PER_PAGE))
    newest_first = list(reversed(chosen))
    last = newest_first
    if part.offset or judged is not None:
        last = list(records.rounds(session, run.run, page=Page(size=1)))
    people = records.participations_in(session, newest_first)
    return RunPage(
        run=run,
        rounds=newest_first,
        part=part,
        judged=judged,
        now=last[0] if last and last[0].state in UNDECIDED else None,
        grid=grids.grid(newest_first, people),
        spent=stages.spent(session, newest_first),
        servers=_servers(session, newest_first),
        entries=records.last_entry(session),
    )


def read_round(session: Session, run: str, which: str) -> RoundPage:
    """Read what the page of a round shows.

    Raises:
        OperatorError: FS-861, FS-862 when there is none.
        PeerError: FS-701 when a stored statement was changed.
    """
    detail = read_detail(session, records.find_run(session, run), which)
    return RoundPage(
        detail=detail,
        sides=both.read_sides(session, detail.round.spec_digest),
        asked=_facts(asked(detail)),
        came=_facts(came(detail)),
        metrics=_facts(metrics(detail)),
        metrics_title=metrics_title(detail),
        spec=detail.spec.model_dump_json(indent=2),
        before=records.beside(session, detail.round, -1),
        after=records.beside(session, detail.round, 1),
    )


def _facts(facts: Iterable[tuple[str, Text]]) -> Facts:
    return list(facts)


def _servers(session: Session, newest_first: Sequence[RoundRow]) -> Sequence[str]:
    for row in newest_first:
        grants = session.get_one(Round, row.spec_digest).grants
        if grants:
            return sorted(grants)
    return ()
