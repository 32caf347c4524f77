"""Turn a data owner's table into features and labels, by the study's schema alone.

Runs at the data owner. Errors name file, row (as a spreadsheet shows it, the header is
row 1) and column, and say what kind of value stands there, never the value. They are
for the data owner's own screen: no error text leaves the agent.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from clients.tables import Block, read_blocks
from fedsecure.errors import OperatorError
from fedsecure.study.columns import CellError, Codes
from fedsecure.study.schema import FeatureSchema

MIN_ROWS: Final = 2  # one to train on, one held out
SPLIT_DOMAIN: Final = b"fedsecure v1 held-out rows"

Features = NDArray[np.float32]  # shape (rows, width)
Labels = NDArray[np.int32]  # shape (rows,), class numbers in the schema's order
Encoder = Callable[[str], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data owner's rows as a model sees them; its repr holds no row."""

    features: Features = field(repr=False)
    labels: Labels = field(repr=False)
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.labels)

    def take(self, rows: NDArray[np.intp]) -> "Dataset":
        """Return some of the rows."""
        return Dataset(self.features[rows], self.labels[rows], self.class_names)

    @property
    def absent_classes(self) -> tuple[str, ...]:
        """The classes of the study that this table has no row of.

        Training works without them; the AUC over this table alone is undefined.
        """
        present = set(np.unique(self.labels).tolist())
        names = enumerate(self.class_names)
        return tuple(name for number, name in names if number not in present)


@dataclass(frozen=True, slots=True)
class Problem:
    """The cells of one column that do not fit, by the first of them."""

    code: str
    column: str
    row: int
    reason: str
    count: int

    def __str__(self) -> str:
        """Return where and what, and how often in this column."""
        others = f" (and {self.count - 1} more)" if self.count > 1 else ""
        return f"row {self.row}, column {self.column}: {self.reason}{others}"


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a data owner should know about a table before it joins a study.

    `missing` counts the missing cells of every column that may have some; `ignored`
    names the columns that the study does not read. `dataset` is None when there are
    problems.
    """

    path: Path
    rows: int
    missing: dict[str, int]
    ignored: tuple[str, ...]
    problems: tuple[Problem, ...]
    dataset: Dataset | None = field(repr=False)


def load(path: Path, schema: FeatureSchema) -> Dataset:
    """Read a whole table; run by a data owner.

    Raises:
        OperatorError: FS-100 to FS-110, with file, row and column.
    """
    found = inspect(path, schema)
    if found.problems:
        first = min(found.problems, key=lambda problem: problem.row)
        raise OperatorError(first.code, f"{path} {first}")
    if found.dataset is None or len(found.dataset) < MIN_ROWS:
        code = "FS-110" if found.rows else "FS-108"
        raise OperatorError(code, f"{path} has {found.rows} rows below the header")
    return found.dataset


def inspect(path: Path, schema: FeatureSchema) -> Inspection:
    """Read a table and list what does not fit the study; run by a data owner.

    Raises:
        OperatorError: FS-100, FS-101, FS-108, FS-109 not a table; FS-102 a column
            of the study is missing.
    """
    readings = _readings(schema)
    names: tuple[str, ...] = ()
    rows = 0
    for block in read_blocks(path):
        names = names or _require_columns(path, block, schema)
        rows += len(block.rows)
        for reading in readings:
            reading.read(block)
    problems = tuple(reading.problem for reading in readings if reading.problem)
    return Inspection(
        path=path,
        rows=rows,
        missing={
            reading.name: reading.missing for reading in readings if reading.codes
        },
        ignored=tuple(name for name in names if name not in schema.names),
        problems=problems,
        dataset=None if problems else _assemble(readings, schema),
    )


def _require_columns(
    path: Path, block: Block, schema: FeatureSchema
) -> tuple[str, ...]:
    absent = [name for name in schema.names if name not in block.columns]
    if absent:
        raise OperatorError("FS-102", f"{path} lacks {', '.join(absent)}")
    return tuple(block.columns)


def _assemble(readings: "list[_Reading]", schema: FeatureSchema) -> Dataset:
    *columns, label = (reading.array() for reading in readings)
    labels = label[:, 0].astype(np.int32)
    return Dataset(np.hstack(columns), labels, schema.label.class_names)


class _Reading:
    """One column, read block by block; shape (rows, width) in the end."""

    def __init__(self, name: str, encode: Encoder, width: int, codes: Codes) -> None:
        self.name = name
        self.codes = codes
        self.missing = 0
        self.problem: Problem | None = None
        self._encode = encode
        self._width = width
        self._blocks: list[Features] = []

    def read(self, block: Block) -> None:
        cells = block.columns[self.name]
        # A table repeats its values: each is looked at once a block.
        encoded = {cell: self._try(cell) for cell in dict.fromkeys(cells)}
        values = [encoded[cell] for cell in cells]
        self.missing += sum(cell in self.codes for cell in cells)
        self.problem = _first_problem(self.problem, self.name, block.rows, values)
        if self.problem is None:
            array = np.array(values, dtype=np.float32)
            self._blocks.append(array.reshape(-1, self._width))

    def array(self) -> Features:
        return np.concatenate(self._blocks)

    def _try(self, cell: str) -> tuple[float, ...] | CellError:
        try:
            return self._encode(cell)
        except CellError as error:
            return error


def _readings(schema: FeatureSchema) -> list[_Reading]:
    def label(cell: str) -> tuple[float]:
        return (float(schema.label.encode(cell)),)

    columns = [
        _Reading(column.name, column.encode, len(column.features), column.missing)
        for column in schema.columns
    ]
    return [*columns, _Reading(schema.label.column, label, 1, ())]


def _first_problem(
    known: Problem | None, column: str, rows: list[int], values: Iterable[object]
) -> Problem | None:
    pairs = zip(rows, values, strict=True)
    wrong = [(row, value) for row, value in pairs if isinstance(value, CellError)]
    if not wrong:
        return known
    row, error = wrong[0]
    if known is None:
        return Problem(error.code, column, row, error.reason, len(wrong))
    return Problem(
        known.code, column, known.row, known.reason, known.count + len(wrong)
    )


def split(dataset: Dataset, holdout: float, seed: int) -> tuple[Dataset, Dataset]:
    """Return the rows to train on and those held out; run by a data owner.

    Rows are ranked by a hash of seed and content, and of every class the lowest
    `holdout` are held out. So the same rows are held out in every run, whatever their
    order in the file; equal rows are never on both sides; a row that is added moves
    few others.

    Raises:
        OperatorError: FS-110, all rows are equal, so that one side would be empty.
    """
    ranks = _ranks(dataset, seed)
    held_out = np.zeros(len(dataset), dtype=np.bool_)
    for number in np.unique(dataset.labels):
        of_class = np.flatnonzero(dataset.labels == number)
        held_out[of_class] = _lowest(ranks[of_class], holdout)
    if not held_out.any():
        held_out = ranks == ranks.min()
    if held_out.all():
        held_out = ranks != ranks.max()
    if not held_out.any():
        raise OperatorError("FS-110", f"all {len(dataset)} rows are equal")
    training, testing = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    return dataset.take(training), dataset.take(testing)


def _lowest(ranks: NDArray[np.uint64], share: float) -> NDArray[np.bool_]:
    count = round(share * len(ranks))
    if count == 0:
        return np.zeros(len(ranks), dtype=np.bool_)
    highest: NDArray[np.bool_] = ranks <= np.partition(ranks, count - 1)[count - 1]
    return highest


def _ranks(dataset: Dataset, seed: int) -> NDArray[np.uint64]:
    """Hash every row's content with the seed; shape (rows,)."""
    start = hashlib.sha256(SPLIT_DOMAIN + seed.to_bytes(8, "big"))
    labels = dataset.labels.astype("<i4").reshape(-1, 1).view(np.uint8)
    features = np.ascontiguousarray(dataset.features, dtype="<f4").view(np.uint8)
    ranks = np.empty(len(dataset), dtype=np.uint64)
    for row, content in enumerate(np.hstack([features, labels])):
        digest = start.copy()
        digest.update(content.tobytes())
        ranks[row] = int.from_bytes(digest.digest()[:8], "big")
    return ranks
