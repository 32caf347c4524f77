"""Which counts a schema's statistics have, and which cell a row counts in.

    number     32 bins of equal width over the column's declared range
    category   one cell for each value
    boolean    one cell for true, one for false
    label      one cell for each class
    ...and one cell more for rows whose value is missing, where the schema takes such

Ranges and values are the schema's, public before any row is seen: so the cells tell
nothing themselves. The reader of training reads the rows (`plain`), so that what is no
row for training is none here, and a value out of its range is refused, not moved.

Guarantee: a row counts in exactly one cell of each vector, by one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fedsecure.study.schema.columns import (
    Bounds,
    CategoryColumn,
    Column,
    NumberColumn,
)
from fedsecure.study.schema.features import AnySchema
from fedsecure.study.schema.tabular import TableSchema

BINS: Final = 32
LABEL: Final = "label"  # the scalar with the classes
BOOLEAN: Final = ("true", "false")

Kind: TypeAlias = Literal["number", "category", "boolean", "label"]
Features: TypeAlias = NDArray[np.float32]  # shape (rows, width of the column)
Places: TypeAlias = NDArray[np.intp]  # shape (rows,), each a cell


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one column, or of the label.

    Args:
        scalar: The name of their vector in a round's spec.
        kind: Of the column.
        column: The column's name, for people.
        unit: That of its numbers.
        range: Of numbers; None: it holds names.
        values: Names, in order; of bins there are none.
        missing: Whether the last cell counts rows without a value.
        start: Where its features begin in a row that `plain` reads.
        width: How many features it has there.
    """

    scalar: str
    kind: Kind
    column: str
    unit: str
    range: Bounds | None
    values: tuple[str, ...]
    missing: bool
    start: int
    width: int

    @property
    def known(self) -> int:
        """How many cells there are for rows with a value."""
        return len(self.values) if self.range is None else BINS

    @property
    def size(self) -> int:
        """How many cells there are."""
        return self.known + self.missing

    @property
    def edges(self) -> NDArray[np.float64]:
        """Where bins begin and end: shape (BINS + 1,), float64, column's unit."""
        bounds = self.range or Bounds(low=0.0, high=1.0)
        return np.linspace(bounds.low, bounds.high, BINS + 1)

    def places(self, features: Features) -> Places:
        """Return the cell that each row counts in. Run by a data owner.

        Args:
            features: Shape (rows, width), as `plain` reads them.
        """
        found: NDArray[np.float64] | Places
        if self.range is not None:
            found = np.floor(self._parts(features) * BINS)
        elif self.kind == "category":
            found = features.argmax(axis=1)
        else:
            found = np.float64(1.0) - features[:, 0]  # true comes first
        places = np.clip(found, 0, self.known - 1).astype(np.intp)
        places[self._absent(features)] = self.known
        return places

    def positions(self, features: Features) -> NDArray[np.float64]:
        """Return where in the range each known number lies: float64, 0 to 1.

        Args:
            features: Shape (rows, width), as `plain` reads them.
        """
        known = features[~self._absent(features)]
        return np.clip(self._parts(known), 0.0, 1.0)

    def _parts(self, features: Features) -> NDArray[np.float64]:
        low, width = float(self.edges[0]), float(self.edges[-1] - self.edges[0])
        return (features[:, 0].astype(np.float64) - low) / width

    def _absent(self, features: Features) -> NDArray[np.bool_]:
        """Tell which rows have no value; shape (rows,)."""
        if not self.missing:
            return np.zeros(len(features), np.bool_)
        if self.kind == "category":
            return np.asarray(~features.any(axis=1))
        return np.asarray(features[:, 1] > 0)


def cells_of(schema: AnySchema) -> tuple[Cells, ...]:
    """Return the cells of each column in order, and those of the label last.

    Only a table has columns; of arrays and images the classes are counted.
    """
    columns = tuple(_columns(plain(schema))) if isinstance(schema, TableSchema) else ()
    name = schema.label.column if isinstance(schema, TableSchema) else "class"
    names = schema.class_names
    return (*columns, Cells(LABEL, "label", name, "", None, names, False, 0, 0))


def plain(schema: TableSchema) -> TableSchema:
    """Return the schema with which the reader of training leaves numbers as they are.

    What it takes and refuses is the same; a missing value is marked as such.
    """
    columns = tuple(map(_plain, schema.columns))
    return schema.model_copy(update={"columns": columns})


def _plain(column: Column) -> Column:
    if isinstance(column, CategoryColumn):
        return column
    change: dict[str, object] = {"indicator": bool(column.missing)}
    if isinstance(column, NumberColumn):
        change["scale"] = None
    return column.model_copy(update=change)


def _columns(schema: TableSchema) -> Iterator[Cells]:
    start = 0
    for place, column in enumerate(schema.columns, start=1):
        width = len(column.features)
        number = isinstance(column, NumberColumn)
        yield Cells(
            scalar=f"column-{place}",
            kind=column.type,
            column=column.name,
            unit=column.unit if isinstance(column, NumberColumn) else "",
            range=column.range if isinstance(column, NumberColumn) else None,
            values=() if number else _values(column),
            missing=bool(column.missing),
            start=start,
            width=width,
        )
        start += width


def _values(column: Column) -> tuple[str, ...]:
    return column.values if isinstance(column, CategoryColumn) else BOOLEAN
