"""Read a data owner's table as text, in blocks of rows.

Whatever the format, a cell arrives as text and a missing cell as "", so that only the
study's schema decides what it means. Rows are numbered as a spreadsheet shows them:
the header is row 1. Values are never repeated in an error.
"""

import csv
import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fedsecure.errors import OperatorError, one_line
from fedsecure_clients.data.examples import Note

Reader = Callable[[Path, Container[str], Note], "Iterator[Block]"]

BLOCK_ROWS: Final = 16_384
MAX_CELL: Final = 4096  # characters
SEPARATORS: Final = {";": ";", "\t": "tabs", "|": "|"}
_QUOTED: Final = re.compile(r'"[^"]*"')


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows in the order of the file.

    `names` is the header. `columns` holds one list of cells for each column that was
    asked for and is there; `rows` the number of each row.
    """

    names: tuple[str, ...]
    rows: list[int]
    columns: dict[str, list[str]]


def read_blocks(path: Path, wanted: Container[str], note: Note) -> Iterator[Block]:
    """Yield the rows of a table; the first block may have none but has the header.

    Args:
        path: The file.
        wanted: The columns to keep; cells of others are dropped unseen.
        note: Hears of a row that is none (FS-101), which is then left out.

    Raises:
        OperatorError: FS-100 no such file or not readable, FS-101 not a table, FS-109
            a format that is not supported.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(sorted(READERS))
        raise OperatorError("FS-109", f"{path} ends in none of {known}")
    try:
        yield from reader(path, wanted, note)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OperatorError("FS-100", f"{path}: {reason}") from error


def _read_csv(path: Path, wanted: Container[str], note: Note) -> Iterator[Block]:
    # The byte-order mark that spreadsheets write is not part of the first name.
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            _require_commas(path, file.readline())
            file.seek(0)
            lines = csv.reader(file, strict=True)
            yield from _csv_blocks(path, lines, wanted, note)
        except (csv.Error, UnicodeDecodeError) as error:
            kind = "not UTF-8" if isinstance(error, UnicodeDecodeError) else error
            raise OperatorError("FS-101", f"{path}: {kind}") from error


def _require_commas(path: Path, first: str) -> None:
    """Check by its first line that a file is separated by commas."""
    if first.lower().startswith("sep="):
        why = "begins with Excel's line `sep=`: delete that line"
        raise OperatorError("FS-101", f"{path} {why}")
    plain = _QUOTED.sub("", first)
    for separator, called in SEPARATORS.items():
        if plain.count(separator) > plain.count(","):
            why = f"is separated by {called} and not by ,"
            raise OperatorError("FS-101", f"{path} {why}")


def _csv_blocks(
    path: Path, lines: Iterator[list[str]], wanted: Container[str], note: Note
) -> Iterator[Block]:
    header = _header(path, next(lines, []))
    kept = [place for place, name in enumerate(header) if name in wanted]
    rows: list[int] = []
    records: list[list[str]] = []
    yield _block(header, kept, rows, records)
    for row, record in enumerate(lines, start=2):
        if not record:  # a blank line has no cells
            continue
        if len(record) != len(header):
            counts = f"{len(record)} cells, the header {len(header)} columns"
            note(OperatorError("FS-101", f"{path} row {row} has {counts}"))
            continue
        rows.append(row)
        records.append(record)
        if len(rows) == BLOCK_ROWS:
            yield _block(header, kept, rows, records)
            rows, records = [], []
    yield _block(header, kept, rows, records)


def _block(
    header: list[str], kept: list[int], rows: list[int], records: list[list[str]]
) -> Block:
    columns = {
        header[place]: [record[place].strip() for record in records] for place in kept
    }
    return Block(tuple(header), rows, columns)


def _header(path: Path, record: list[str]) -> list[str]:
    names = [name.strip() for name in record]
    if not any(names):
        raise OperatorError("FS-108", f"{path} has no header in row 1")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        why = f"names columns twice: {', '.join(map(one_line, twice))}"
        raise OperatorError("FS-101", f"{path} {why}")
    return names


def _read_parquet(path: Path, wanted: Container[str], _note: Note) -> Iterator[Block]:
    import pyarrow as pa  # noqa: PLC0415, slow: loaded when needed
    import pyarrow.parquet as pq  # noqa: PLC0415, slow: loaded when needed

    with path.open("rb") as file:
        try:
            table = pq.ParquetFile(file)
            names = tuple(table.schema_arrow.names)
            kept = [name for name in names if name in wanted]
            yield Block(names, [], {name: [] for name in kept})
            first = 2
            for batch in table.iter_batches(batch_size=BLOCK_ROWS, columns=kept):
                yield _parquet_block(names, batch, first)
                first += batch.num_rows
        except pa.ArrowException as error:
            reason = type(error).__name__
            raise OperatorError("FS-101", f"{path} is not Parquet: {reason}") from error


def _parquet_block(names: tuple[str, ...], batch: Any, first: int) -> Block:
    columns = {
        name: [_as_text(cell) for cell in batch.column(name).to_pylist()]
        for name in batch.schema.names
    }
    return Block(names, list(range(first, first + batch.num_rows)), columns)


def _as_text(cell: object) -> str:
    """Return a typed cell as CSV would hold it; null and NaN are missing."""
    if cell is None or cell != cell:  # noqa: PLR0124, only NaN differs from itself
        return ""
    return str(cell).strip()


READERS: Final[dict[str, Reader]] = {
    ".csv": _read_csv,
    ".parquet": _read_parquet,
}
