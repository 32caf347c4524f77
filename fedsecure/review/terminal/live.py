"""A run while it goes on: looked at again and again, from another process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text
from sqlalchemy.orm import Session

from fedsecure.owner.store.states import RunState
from fedsecure.review import records
from fedsecure.review.choosing import Page
from fedsecure.review.reading import open_round_store
from fedsecure.review.records import RoundRow, RunRow
from fedsecure.review.terminal.run_tables import outcome, round_table, run_heading
from fedsecure.terminal.values import plain

SHOWN: Final = Page(size=15)
UNDECIDED: Final = frozenset({"proposed", "granted", "opening"})
DOING: Final = {
    "proposed": "asking both aggregators",
    "granted": "data owners are at work",
    "opening": "the set is fixed; both aggregators add up",
}


@dataclass(frozen=True, slots=True)
class Look:
    """A run as it is now, with its last rounds."""

    run: RunRow
    rounds: tuple[RoundRow, ...]

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.run.state != RunState.RUNNING


def looks(
    place: str | Path | None, run: str | None, wait: Callable[[], None]
) -> Iterator[Look]:
    """Yield a run as it is, until it is over.

    Args:
        place: As for `open_round_store`.
        run: Its name; None: the latest.
        wait: Returns when it is time to look again.

    Raises:
        OperatorError: As `open_round_store`; FS-861 or FS-863 when there is no run.
    """
    while True:
        with open_round_store(place) as session:
            look = _look(session, run)
        run = look.run.run
        yield look
        if look.over:
            return
        wait()


def view(look: Look) -> RenderableType:
    """Return what a terminal shows of a run."""
    done = [row for row in look.rounds if row.state not in UNDECIDED]
    heading = run_heading(look.run)
    return Group(*heading, Text(), round_table(done), Text(), _now(look))


def lines(look: Look, known: set[str]) -> Iterator[str]:
    """Yield a line for each round that was decided since; for logs.

    Args:
        look: The run as it is.
        known: Digests of what was told already; is added to.
    """
    for row in look.rounds:
        if row.state not in UNDECIDED and row.spec_digest not in known:
            known.add(row.spec_digest)
            loss = "-" if row.loss is None else f"{row.loss:.4f}"
            sizes = f"{'-' if row.in_set is None else row.in_set}/{row.cohort}"
            words = outcome(row).plain
            yield f"{row.run} round {row.label}: {sizes}, loss {loss}, {words}"


def _look(session: Session, run: str | None) -> Look:
    found = records.find_run(session, run)
    return Look(found, tuple(records.rounds(session, found.run, page=SHOWN)))


def _now(look: Look) -> Text:
    for row in look.rounds:
        if row.state in UNDECIDED:
            return plain(f"round {row.label}: {DOING[row.state]}", "cyan")
    return plain(f"{look.run.state}", "dim")
