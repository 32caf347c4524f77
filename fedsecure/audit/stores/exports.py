"""A ledger as a file, for an audit somewhere else: one JSON value a line.

    {"fedsecure": "export", "version": 1, "store": "aggregator store"}
    ["events", {"entry": 1, "hash": ..., "kind": ..., "at": ..., "payload": ...}]
    ["reports", {...}]                            an aggregator's, not yet in its ledger
    {"end": 1234}                                 how many rows there were

Everything that is secret stays behind: a store holds statements that others have seen.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, func, select

from fedsecure.audit.stores.kinds import Kind
from fedsecure.errors import OperatorError

VERSION: Final = 1
BATCH: Final = 256  # rows
MAX_LINE: Final = 2**27  # characters; the largest is an opening of 10,000 members


def is_export(path: Path) -> bool:
    """Tell an export from a database by its first bytes."""
    with path.open("rb") as file:
        return file.read(13) == b'{"fedsecure":'


def count(connection: Connection, kind: Kind) -> int:
    """Return how many rows an export will have."""
    return sum(
        connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in _tables(kind)
    )


def write(
    connection: Connection, kind: Kind, path: Path, step: Callable[[int], None]
) -> int:
    """Write what an audit needs of a store, and return how many rows it was.

    Args:
        connection: One state of the database.
        kind: What it is.
        path: The file to write; it appears whole or not at all.
        step: Hears of every batch how many rows there were.

    Raises:
        OperatorError: FS-648 when it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    rows = 0
    try:
        with part.open("w", encoding="utf-8") as file:
            head = {"fedsecure": "export", "version": VERSION, "store": kind.name}
            file.write(_line(head))
            for name, row in _rows(connection, kind):
                file.write(_line([name, row]))
                rows += 1
                if rows % BATCH == 0:
                    step(BATCH)
            file.write(_line({"end": rows}))
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OperatorError("FS-648", f"{path}: {error.strerror}") from error
    return rows


def load(path: Path, kind: Kind, connection: Connection) -> None:
    """Read an export into empty tables; nothing in it is believed yet.

    Raises:
        OperatorError: FS-635 when it is none, of another kind, or cut off.
    """
    tables = {table.name: table for table in _tables(kind)}
    batches: dict[str, list[dict[str, Any]]] = {name: [] for name in tables}
    for number, (name, row) in enumerate(_read(path, kind), start=1):
        if name not in tables or set(row) != set(tables[name].columns.keys()):
            raise OperatorError("FS-635", f"{path} row {number} is of no table")
        batches[name].append(row)
        if len(batches[name]) == BATCH:
            connection.execute(_insert(tables[name]), batches[name])
            batches[name].clear()
    for name, batch in batches.items():
        if batch:
            connection.execute(_insert(tables[name]), batch)


def _tables(kind: Kind) -> list[Table]:
    events: Table = kind.events.__table__
    return [events, *kind.working]


def _rows(connection: Connection, kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    for table in _tables(kind):
        query = select(table).order_by(*table.primary_key.columns)
        options = query.execution_options(yield_per=BATCH)
        for row in connection.execute(options).mappings():
            yield table.name, dict(row)


def _insert(table: Table) -> Any:
    # A row twice is found as any other wrong row, not here.
    return table.insert().prefix_with("OR REPLACE")


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n"


def _read(path: Path, kind: Kind) -> Iterator[tuple[str, dict[str, Any]]]:
    rows, ended = 0, False
    for number, value in enumerate(_values(path), start=1):
        if number == 1:
            _require_head(path, value, kind)
        elif isinstance(value, list) and not ended:
            name, row = _row(path, number, value)
            rows += 1
            yield name, row
        elif value == {"end": rows} and not ended:
            ended = True
        else:
            raise OperatorError("FS-635", f"{path} line {number} is no row")
    if not ended:
        raise OperatorError("FS-635", f"{path} is cut off after {rows} rows")


def _values(path: Path) -> Iterator[Any]:
    with path.open(encoding="utf-8", errors="replace") as file:
        number = 0
        while line := file.readline(MAX_LINE):
            number += 1
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise OperatorError(
                    "FS-635", f"{path} line {number} is not JSON"
                ) from error


def _require_head(path: Path, value: Any, kind: Kind) -> None:
    expected = {"fedsecure": "export", "version": VERSION, "store": kind.name}
    if value != expected:
        named = value.get("store") if isinstance(value, dict) else None
        raise OperatorError("FS-635", f"{path} is of {named!r}, not of a {kind.name}")


def _row(path: Path, number: int, value: list[Any]) -> tuple[str, dict[str, Any]]:
    match value:
        case [str(name), dict(row)] if not any(
            isinstance(cell, list | dict) for cell in row.values()
        ):
            return name, row
    raise OperatorError("FS-635", f"{path} line {number} is no row")
