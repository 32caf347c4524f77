"""The live table of a training: one row a round, and a line that says what goes on."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rich.padding import Padding
from rich.text import Text

from fedsecure.owner.recorder import RoundReport
from fedsecure.protocol.statements import Purpose
from fedsecure.review.privacy import UNITS
from fedsecure.study.privacy import Privacy
from fedsecure.study.remarks import Figures, Kind, over_all, remarks
from fedsecure.terminal.screen import Console
from fedsecure.terminal.text_tables import screen
from fedsecure.terminal.values import measured

# Title and width of each column; rows are printed as they come, so that a training of
# any length scrolls like a log. Where there is too little room, the last are left out.
COLUMNS: Final = (
    ("round", 7),
    ("sites", 7),
    ("A", 4),
    ("B", 4),
    ("clipped", 9),
    ("loss", 8),
    ("AUC", 8),
    ("accuracy", 10),
    ("seconds", 9),
    ("kB up", 9),
)
NOISY: Final = (  # with noise: no clip rate is known, and metrics have a deviation
    *COLUMNS[:4],
    ("epsilon", 10),
    ("loss", 14),
    ("AUC", 14),
    ("accuracy", 14),
    *COLUMNS[-2:],
)


class RoundTable:
    """Prints a training's progress; on a terminal with a spinner for the stage."""

    def __init__(
        self,
        title: str,
        console: Console | None = None,
        again: str = "",
        budget: Privacy | None = None,
        command: str = "train",
    ) -> None:
        self._console = console or screen()
        self._title = title
        self._again = f"{command} {again}"  # what to type before --resume
        self._status = self._console.status("starting", spinner_style="cyan")
        self._printed_header = False
        self._budget = budget  # None: rounds have no noise
        self._all = NOISY if budget else COLUMNS
        self._columns: Sequence[tuple[str, int]] = self._all
        self._stage = ""
        self._opened: list[Figures] = []
        self._noted: set[Kind] = set()

    def __enter__(self) -> Self:
        """Start."""
        self._console.print(Text(self._title, style="bold"))
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the spinner."""
        self._status.stop()

    def study(self, digest: str) -> None:
        """Say by which digest data owners know the study."""
        self._console.print(f"study {digest}", soft_wrap=True)
        if self._budget is not None:
            self._console.print(_promise(self._budget), soft_wrap=True)

    def stage(self, what: str) -> None:
        """Say what is going on now."""
        if self._console.is_terminal:
            self._status.update(Text(what))
        elif what != self._stage:
            self._console.print(Text(what), soft_wrap=True)
        self._stage = what

    def waiting(self, what: str, seconds: float) -> None:
        """Say for whom the run waits: once, or with how long still on a terminal."""
        if self._console.is_terminal:
            self._status.update(Text(f"{what} in {seconds:.0f} s"))
        elif what != self._stage:
            self._console.print(Text(f"{what} in {seconds:.0f} s"), soft_wrap=True)
        self._stage = what

    def interrupted(self, run: str) -> None:
        """Say how a run that did not get to its end can go on."""
        self._status.stop()
        self._console.print(
            f"not finished; to go on: fedsecure {self._again}--resume {run}",
            soft_wrap=True,
            style="yellow",
        )

    def diverged(self, run: str, sound: int | None, model: Path) -> None:
        """Say which model of a run that diverged can be gone on from."""
        self._status.stop()
        self._sum_up()
        if sound is None:
            text = "diverged; no model of this run could be measured"
        elif sound == 0:
            text = f"diverged; only the model that the run began with is sound: {model}"
        else:
            text = (
                f"diverged; the last sound model is that of round {sound}: {model}\n"
                f"to start from it: fedsecure {self._again}--from-round "
                f"{run}:{sound} --force"
            )
        self._console.print(text, soft_wrap=True, style="red")

    def done(self, model: Path) -> None:
        """Say where the result lies."""
        self._sum_up()
        self._console.print(f"model in {model}", soft_wrap=True)

    def counted(self, report: RoundReport) -> None:
        """Say how an attempt at a round of statistics ended."""
        told = f"{report.included} of {report.cohort} data owners counted"
        if report.reason is not None:
            told = f"void: {report.reason}"
        if report.missing:
            told += f"; missing: {', '.join(report.missing)}"
        self._console.print(Text(told), soft_wrap=True)

    def row(self, report: RoundReport) -> None:
        """Print one attempt at a round."""
        if not self._printed_header:
            self._print_header()
            self._printed_header = True
        self._print_line(*_line(report, noisy=self._budget is not None))
        if report.figures is not None:
            self._note(report.figures)
        self._status.update(f"round {report.round + 1}")

    def _print_header(self) -> None:
        room = self._console.width
        while sum(width for _, width in self._columns) > room and self._columns:
            self._columns = self._columns[:-1]
        titles = "".join(title.rjust(width) for title, width in self._columns)
        self._console.print(Text(titles, style="bold cyan"))
        left_out = [title for title, _ in self._all[len(self._columns) :]]
        if left_out:
            names = ", ".join(left_out)
            note = f"left out ({names}): `fedsecure rounds list --json` has them"
            self._console.print(Text(note, "dim"))

    def _note(self, figures: Figures) -> None:
        """Say what is strange about a round; of each kind, what to do only once."""
        self._opened.append(figures)
        for kind, remark in remarks(figures):
            if kind not in self._noted:
                self._noted.add(kind)
                text = Text(f"note: {remark}; {kind.advice}.", style="yellow")
                self._console.print(text, soft_wrap=True)

    def _sum_up(self) -> None:
        for sentence in over_all(self._opened):
            self._console.print(Text(sentence, style="yellow"), soft_wrap=True)

    def _print_line(self, cells: Sequence[str], note: str) -> None:
        widths = [width for _, width in self._columns]
        pairs = zip(cells, widths, strict=False)
        line = "".join(cell.rjust(width) for cell, width in pairs)
        beside = len(line) + 2 + len(note) <= self._console.width
        if beside:
            self._console.print(Text(line).append(note and f"  {note}", "yellow"))
            return
        self._console.print(Text(line))
        under = Padding(Text(note, "yellow"), (0, 0, 0, COLUMNS[0][1] + 2))
        self._console.print(under)


def _promise(budget: Privacy) -> str:
    """Say what the noise of the study's rounds is for."""
    metrics = "" if budget.every_round else "; metrics are in the evaluation alone"
    return (
        f"noise protects {UNITS[budget.unit.value]}: at most epsilon "
        f"{budget.epsilon:g} at delta {budget.delta:g} over all runs of the study"
        f"{metrics}"
    )


def _line(report: RoundReport, *, noisy: bool) -> tuple[Sequence[str], str]:
    """Return the cells of a line, and what has to be said about the round."""
    number = str(report.round)
    if report.purpose is Purpose.EVALUATE:
        number = "final"
    elif report.attempt > 1:
        number += f".{report.attempt}"
    sites = f"{report.included}/{report.cohort}"
    received = [str(report.receipts[name]) for name in sorted(report.receipts)]
    if report.reason is not None:
        return [number, sites, *received], f"void: {report.reason}"
    figures = report.figures
    share = None if figures is None else figures.clip_rate
    clipped = "" if share is None else f"{share:.0%}"
    cells = [
        number,
        sites,
        *received,
        f"{report.epsilon or 0.0:.2f}" if noisy else clipped,
        _metric(report, "loss", 4),
        _metric(report, "auc", 3),
        _metric(report, "accuracy", 3),
        f"{report.seconds:.2f}",
        f"{report.bytes_up / 1000:.1f}",
    ]
    missing = ", ".join(report.missing)
    return cells, f"missing: {missing}" if missing else ""


def _metric(report: RoundReport, name: str, digits: int) -> str:
    """Return a metric; n/a where it is not defined, a dash where none was asked for."""
    if not report.metrics:
        return "-"
    value = report.metrics.get(name)
    if value is None:
        return "n/a"
    return measured(value, digits, report.deviations.get(name)).plain
