"""Who was in which round: data owners by rounds, with the receipts of both servers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from fedsecure.review.records import ParticipationRow, RoundRow

MARKS: Final = {  # of what became of a data owner, but for `in set`
    "asked": "\N{HORIZONTAL ELLIPSIS}",
    "reported": "R",
    "not reported": "\N{EN DASH}",
    "no receipt": "?",
    "lost": "L",
    "offline": "\N{WHITE CIRCLE}",
    "round void": "\N{MULTIPLICATION SIGN}",
}
MOST: Final = 100  # data owners that are shown; a round's own page has all


@dataclass(frozen=True, slots=True)
class Line:
    """One data owner: a cell a round, None where it was not asked."""

    data_owner: str
    cells: Sequence[ParticipationRow | None]


@dataclass(frozen=True, slots=True)
class Grid:
    """Data owners by rounds; `left_out`: how many data owners are not shown."""

    rounds: Sequence[RoundRow]
    lines: Sequence[Line]
    left_out: int

    @property
    def statuses(self) -> frozenset[str]:
        """What became of anybody who is shown."""
        cells = (one for line in self.lines for one in line.cells)
        return frozenset(one.status for one in cells if one is not None)


def grid(rounds: Sequence[RoundRow], people: Sequence[ParticipationRow]) -> Grid:
    """Arrange who took part.

    Args:
        rounds: In the order of the columns.
        people: Everybody who was asked in them.
    """
    by_name: dict[str, dict[str, ParticipationRow]] = {}
    for one in people:
        by_name.setdefault(one.data_owner, {})[one.spec_digest] = one
    names = sorted(by_name)
    digests = [row.spec_digest for row in rounds]
    lines = [
        Line(name, [by_name[name].get(digest) for digest in digests])
        for name in names[:MOST]
    ]
    return Grid(rounds, lines, len(names) - len(lines))
