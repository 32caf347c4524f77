"""Turn a data owner's table into features and labels, by the study's schema alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np

from fedsecure.errors import OperatorError
from fedsecure.study.schema.columns import CellError, Codes
from fedsecure.study.schema.tabular import TableSchema
from fedsecure_clients.data.examples import (
    MAX_PLACES,
    Dataset,
    Features,
    Inspection,
    Note,
    Problem,
    require_memory,
    stop,
)
from fedsecure_clients.data.near_names import lacking
from fedsecure_clients.data.tables import Block, read_blocks

Encoder = Callable[[str], tuple[float, ...]]


def inspect_table(path: Path, schema: TableSchema, note: Note = stop) -> Inspection:
    """Read a table and list what does not fit the study; run by a data owner.

    Rows are numbered as a spreadsheet shows them, the header is row 1.

    Args:
        path: The file.
        schema: What the study makes of it.
        note: Hears of rows that are none (FS-101) and of missing columns (FS-102).

    Raises:
        OperatorError: FS-100, FS-101, FS-108, FS-109 not a table; FS-102 a column
            of the study is missing; FS-140 too many rows.
    """
    readings = _readings(schema)
    found = _Pass(path, schema.names, schema.shape, note)
    for block in found.blocks():
        for reading in readings:
            if reading.name in found.names:
                reading.read(block)
    fits = found.complete and not any(reading.first for reading in readings)
    dataset = _assemble(readings, schema) if fits else None
    return _inspection(found, readings, dataset)


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Rows of a table without labels, to ask a model about; its repr holds none.

    Args:
        inspection: What does not fit; its `dataset` is None.
        features: Shape (rows, features), float32; None: something does not fit.
        rows: The number of each row, as a spreadsheet shows it.
        kept: Cells of columns that are kept beside, by column.
    """

    inspection: Inspection
    features: Features | None = field(repr=False)
    rows: list[int] = field(repr=False)
    kept: dict[str, list[str]] = field(repr=False)


def inspect_unlabelled(
    path: Path, schema: TableSchema, keep: Sequence[str] = (), note: Note = stop
) -> Unlabelled:
    """Read the columns of a table that a model sees; labels are not read.

    Args:
        path: The file.
        schema: What the study makes of it.
        keep: Other columns, whose cells are kept as they are.
        note: As for `inspect_table`.

    Raises:
        OperatorError: As `inspect_table`; FS-102 also for a column of `keep`.
    """
    readings = _readings(schema)[:-1]
    columns = tuple(reading.name for reading in readings)
    wanted = (*columns, *(name for name in keep if name not in columns))
    found, rows = _Pass(path, wanted, schema.shape, note), list[int]()
    kept: dict[str, list[str]] = {name: [] for name in keep}
    for block in found.blocks():
        rows += block.rows
        for reading in readings:
            if reading.name in found.names:
                reading.read(block)
        for name in kept.keys() & block.columns.keys():
            kept[name] += block.columns[name]
    fits = found.complete and not any(reading.first for reading in readings)
    features = np.hstack([reading.array() for reading in readings]) if fits else None
    return Unlabelled(_inspection(found, readings, None), features, rows, kept)


class _Pass:
    """One pass over a table: its names, how many rows, and whether it has all columns.

    Args:
        path: The file.
        wanted: Columns that there must be.
        shape: Of one row's features.
        note: Hears of what is wrong as a whole.
    """

    def __init__(
        self, path: Path, wanted: Sequence[str], shape: tuple[int, ...], note: Note
    ) -> None:
        self.path, self.wanted = path, wanted
        self.names: tuple[str, ...] = ()
        self.rows, self.complete = 0, True
        self._shape, self._note = shape, note

    def blocks(self) -> Iterator[Block]:
        """Yield the table's blocks; columns that are missing are told at the first."""
        for block in read_blocks(self.path, self.wanted, self._note):
            if not self.names:
                self.names = block.names
                self.complete = self._require_columns()
            self.rows += len(block.rows)
            require_memory(self.path, self.rows, self._shape)
            yield block

    def _require_columns(self) -> bool:
        absent = [name for name in self.wanted if name not in self.names]
        if absent:
            others = [name for name in self.names if name not in self.wanted]
            lacks = f"{self.path} lacks {lacking(absent, others)}"
            self._note(OperatorError("FS-102", lacks))
        return not absent


def _inspection(
    found: _Pass, readings: "list[_Reading]", dataset: Dataset | None
) -> Inspection:
    wrong = [reading for reading in readings if reading.first]
    problems = sorted(wrong, key=lambda reading: reading.first)
    every = sorted(chain.from_iterable(reading.places for reading in wrong))
    return Inspection(
        path=found.path,
        rows=found.rows,
        problems=tuple(reading.problem() for reading in problems),
        dataset=dataset,
        missing={
            reading.name: reading.missing for reading in readings if reading.codes
        },
        ignored=tuple(name for name in found.names if name not in found.wanted),
        every=tuple(problem for _, _, problem in every[:MAX_PLACES]),
    )


def _assemble(readings: "list[_Reading]", schema: TableSchema) -> Dataset:
    *columns, label = (reading.array() for reading in readings)
    labels = label[:, 0].astype(np.int32)
    return Dataset(np.hstack(columns), labels, schema.class_names)


class _Reading:
    """One column, read block by block; shape (rows, width) in the end.

    `first` is the row of the first cell that does not fit, 0 while there is none.
    """

    def __init__(self, name: str, encode: Encoder, width: int, codes: Codes) -> None:
        self.name = name
        self.codes = codes
        self.missing = 0
        self.first = 0
        self.places: list[tuple[int, str, Problem]] = []  # at most MAX_PLACES
        self._error = CellError("", "")
        self._wrong = 0
        self._encode = encode
        self._width = width
        self._blocks: list[Features] = []

    def read(self, block: Block) -> None:
        cells = block.columns[self.name]
        # A table repeats its values: each is looked at once a block.
        encoded = {cell: self._try(cell) for cell in dict.fromkeys(cells)}
        values = [encoded[cell] for cell in cells]
        self.missing += sum(cell in self.codes for cell in cells)
        self._note(block.rows, values)
        if not self.first:
            array = np.array(values, dtype=np.float32)
            self._blocks.append(array.reshape(-1, self._width))

    def array(self) -> Features:
        return np.concatenate(self._blocks)

    def problem(self) -> Problem:
        return replace(self._problem(self.first, self._error), count=self._wrong)

    def _try(self, cell: str) -> tuple[float, ...] | CellError:
        try:
            return self._encode(cell)
        except CellError as error:
            return error

    def _note(self, rows: list[int], values: Iterable[object]) -> None:
        for row, value in zip(rows, values, strict=True):
            if isinstance(value, CellError):
                if not self.first:
                    self.first, self._error = row, value
                if len(self.places) < MAX_PLACES:
                    self.places.append((row, self.name, self._problem(row, value)))
                self._wrong += 1

    def _problem(self, row: int, error: CellError) -> Problem:
        return Problem(error.code, f"row {row}, column {self.name}", error.reason)


def _readings(schema: TableSchema) -> list[_Reading]:
    def label(cell: str) -> tuple[float]:
        return (float(schema.label.encode(cell)),)

    columns = [
        _Reading(column.name, column.encode, len(column.features), column.missing)
        for column in schema.columns
    ]
    return [*columns, _Reading(schema.label.column, label, 1, ())]
