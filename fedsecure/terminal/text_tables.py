"""Tables that people can read at any width; what is not shown is said.

    it fits              a table
    it nearly fits       a table without the columns of the highest ranks, and a line
                         that names them
    it does not fit      one block a row, a line for each column
    no terminal          a table as wide as it is: nothing is cut in a pipe or a file

How wide the cells are decides, so a long name never breaks a table.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar

from rich import console as consoles
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from fedsecure.terminal.screen import Console

T = TypeVar("T")
ENDLESS: Final = 1_000_000  # characters of a line that goes to a pipe or a file
FOLDED: Final = 24  # characters of a line, at least, where a text is broken into lines
BETWEEN: Final = 2  # characters between two columns
MORE: Final = "a wider terminal or --json shows them"


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """A column of a table.

    Args:
        title: Its heading.
        cell: What a row has in it.
        justify: To which side it is aligned.
        rank: 0 is always shown; where there is too little room, those of the highest
            rank are left out first.
        folds: Its texts may be broken into lines.
    """

    title: str
    cell: Callable[[T], Text]
    justify: Literal["left", "right"] = "left"
    rank: int = 0
    folds: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """A column with its cells, and how wide it is and may be."""

    title: str
    cells: Sequence[Text]
    justify: Literal["left", "right"]
    rank: int
    widest: int
    least: int

    @classmethod
    def of(cls, column: Column[T], rows: Sequence[T]) -> "Filled":
        """Fill a column."""
        cells = [column.cell(row) for row in rows]
        widest = max(map(cell_len, (column.title, *(cell.plain for cell in cells))))
        folded = min(widest, max(FOLDED, cell_len(column.title)))
        least = folded if column.folds else widest
        return cls(column.title, cells, column.justify, column.rank, widest, least)


class Listing:
    """A table, or what can be read instead; it is decided where it is printed.

    Args:
        columns: Filled ones, in their order.
        more: What shows the columns that are left out.
        heads: Whether columns have headings.
    """

    def __init__(
        self, columns: Sequence[Filled], more: str = MORE, heads: bool = True
    ) -> None:
        self.columns = columns
        self.row_count = len(columns[0].cells) if columns else 0
        self._more = more
        self._heads = heads

    def __rich_console__(
        self, console: consoles.Console, options: ConsoleOptions
    ) -> RenderResult:
        """Yield what fits."""
        yield self._fitted(options.max_width)

    def __rich_measure__(
        self, console: consoles.Console, options: ConsoleOptions
    ) -> Measurement:
        """Measure what fits."""
        return Measurement.get(console, options, self._fitted(options.max_width))

    def _fitted(self, room: int) -> RenderableType:
        shown = list(self.columns)
        while _least(shown) > room and any(one.rank for one in shown):
            highest = max(one.rank for one in shown)
            shown.remove([one for one in shown if one.rank == highest][-1])
        if _least(shown) > room:
            return self._blocks()
        left_out = [one.title for one in self.columns if one not in shown]
        if not left_out:
            return self._table(shown, room)
        columns = "1 column" if len(left_out) == 1 else f"{len(left_out)} columns"
        note = f"{columns} left out ({', '.join(left_out)}): {self._more}"
        return Group(self._table(shown, room), Text(note, "dim"))

    def _table(self, shown: Sequence[Filled], room: int) -> Table:
        table = Table(
            box=SIMPLE_HEAD,
            pad_edge=False,
            header_style="bold",
            show_edge=False,
            show_header=self._heads,
            collapse_padding=True,
        )
        for one, width in zip(shown, _widths(shown, room), strict=True):
            table.add_column(
                Text(one.title), justify=one.justify, overflow="fold", width=width
            )
        for cells in zip(*(one.cells for one in shown), strict=True):
            table.add_row(*cells)
        return table

    def _blocks(self) -> RenderableType:
        """Return one block a row: a line for each column."""
        if not self.row_count:
            return Text(f"no rows of: {', '.join(one.title for one in self.columns)}")
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", overflow="fold")
        grid.add_column(overflow="fold")
        for row in range(self.row_count):
            if row:
                grid.add_row()
            for one in self.columns:
                grid.add_row(Text(one.title), one.cells[row])
        return grid


def table(
    columns: Iterable[Column[T]],
    rows: Iterable[T],
    *,
    more: str = MORE,
    heads: bool = True,
) -> Listing:
    """Return rows for a terminal of any width; as `Listing`."""
    lines = list(rows)
    return Listing([Filled.of(column, lines) for column in columns], more, heads)


def screen() -> Console:
    """Return the console for answers: as wide as the terminal, endless in a pipe.

    COLUMNS of the environment says otherwise.
    """
    told = os.environ.get("COLUMNS", "").isdecimal()
    endless = not told and not sys.stdout.isatty()
    return Console(highlight=False, width=ENDLESS if endless else None)


def _least(columns: Sequence[Filled]) -> int:
    return sum(one.least for one in columns) + BETWEEN * (len(columns) - 1)


def _widths(columns: Sequence[Filled], room: int) -> Sequence[int]:
    """Share out the room: texts get what the others leave, the longest gives most."""
    left = room - BETWEEN * (len(columns) - 1)
    widths = [one.widest for one in columns]
    for place in sorted(range(len(columns)), key=lambda at: widths[at], reverse=True):
        over = sum(widths) - left
        if over > 0:
            widths[place] = max(columns[place].least, widths[place] - over)
    return widths
