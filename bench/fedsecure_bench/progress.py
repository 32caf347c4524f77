"""What a bench says while it works, and its table."""

from collections.abc import Sequence
from itertools import groupby
from types import TracebackType
from typing import Final, Self

from rich.box import SIMPLE
from rich.progress import BarColumn, Progress as Bar, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from fedsecure.terminal.screen import Console
from fedsecure_bench.results import Result

DIGITS: Final = 3  # significant ones


class Progress:
    """Shows how far a bench is; prints what is left out, and why.

    Args:
        console: Where to.
        title: Of the bench.
    """

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._progress = Bar(
            TextColumn("[cyan]{task.description}"),
            BarColumn(),
            TextColumn("{task.completed} done"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(title, total=None)

    def __enter__(self) -> Self:
        """Start."""
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._progress.stop()

    def stage(self, what: str) -> None:
        """Say what goes on now."""
        self._progress.update(self._task, description=what)

    def step(self) -> None:
        """Count one measurement."""
        self._progress.advance(self._task)

    def skipped(self, what: str) -> None:
        """Say what is left out, and what to type to have it."""
        self._console.print(f"left out: {what}", style="yellow", markup=False)


def table(title: str, results: Sequence[Result]) -> Table:
    """Return results as a table for people; a part for each size and width."""
    shown = Table(title=title, title_justify="left", box=SIMPLE)
    shown.add_column("step", overflow="fold")
    shown.add_column("median", justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for name in ("spread", "ratio"):
        shown.add_column(name, justify="right", no_wrap=True)
    for common, lines in groupby(results, lambda one: (one.d, one.threads, one.bench)):
        shown.add_section()
        shown.add_row(Text(headline(*common), style="bold"))
        for line in lines:
            shown.add_row(*_cells(line))
    return shown


def _cells(line: Result) -> Sequence[Text | str]:
    step = Text(line.step)
    if line.ratio_to is not None:
        step.append(f"\n  by {line.ratio_to}", style="dim")
    spread = f"{line.spread:.0%}" if line.spread else ""
    ratio = "" if line.ratio is None else f"\n{number(line.ratio)} x"
    return step, number(line.median), line.unit, spread, ratio


def headline(size: int, width: int, bench: str = "") -> str:
    """Return what lines of one bench, size and width have in common."""
    if bench == "compute":
        return f"{size:,} features, {width} row" + "s" * (width > 1)
    return f"{size:,} parameters, {width} at once"


def number(value: float) -> str:
    """Return a number with three digits that count."""
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (DIGITS - 1):
        return f"{value:,.0f}"
    return f"{value:#.{DIGITS}g}"
