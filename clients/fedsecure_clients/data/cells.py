"""Turn a data owner's table into features and labels, by the study's schema alone."""

from collections.abc import Callable, Iterable
from dataclasses import replace
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
    names: tuple[str, ...] = ()
    rows = 0
    complete = True
    for block in read_blocks(path, schema.names, note):
        if not names:
            names = block.names
            complete = _require_columns(path, names, schema, note)
        rows += len(block.rows)
        require_memory(path, rows, schema.shape)
        for reading in readings:
            if reading.name in names:
                reading.read(block)
    wrong = [reading for reading in readings if reading.first]
    problems = sorted(wrong, key=lambda reading: reading.first)
    every = sorted(chain.from_iterable(reading.places for reading in wrong))
    return Inspection(
        path=path,
        rows=rows,
        problems=tuple(reading.problem() for reading in problems),
        dataset=None if problems or not complete else _assemble(readings, schema),
        missing={
            reading.name: reading.missing for reading in readings if reading.codes
        },
        ignored=tuple(name for name in names if name not in schema.names),
        every=tuple(problem for _, _, problem in every[:MAX_PLACES]),
    )


def _require_columns(
    path: Path, names: tuple[str, ...], schema: TableSchema, note: Note
) -> bool:
    absent = [name for name in schema.names if name not in names]
    if absent:
        others = [name for name in names if name not in schema.names]
        note(OperatorError("FS-102", f"{path} lacks {lacking(absent, others)}"))
    return not absent


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
