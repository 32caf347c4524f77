"""Where an audit reads a store: in a database or in an export.

Both are rows of the same tables. A database is read in one state, with all its tables;
an export has the ledger, and reports of an aggregator that are not in it yet.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import SQLAlchemyError

from fedsecure.audit.stores import exports
from fedsecure.audit.stores.kinds import Kind
from fedsecure.errors import OperatorError
from fedsecure.storage import database, revisions, sql_failures


@dataclass(frozen=True, slots=True)
class Source:
    """A store to be read. `whole`: with all of its tables, and the folder beside it.

    `perhaps_old`: a copy of a database in use would look like this without its log.
    """

    place: str
    connection: Connection
    whole: bool
    folder: Path | None
    perhaps_old: bool = False


@contextmanager
def open_source(place: str, kind: Kind, scratch: Path) -> Iterator[Source]:
    """Open a database or an export for reading.

    Args:
        place: A file (SQLite, or an export), or a URL.
        kind: What it should be.
        scratch: A file to be made, for the rows of an export.

    Raises:
        OperatorError: FS-603, FS-604 or FS-607 when it is no database of this kind,
            FS-635 when it is no such export, FS-658 when it is the empty beginning of
            one in use, FS-860 when there is none.
    """
    path = None if "://" in place else Path(place)
    if path is not None and not path.is_file():
        raise OperatorError("FS-860", f"{place} is not a file")
    if path is not None and exports.is_export(path):
        with _imported(path, kind, scratch) as connection:
            yield Source(place, connection, whole=False, folder=None)
        return
    bare = path is not None and _lacks_log(path)
    if bare and _is_empty(place):
        raise OperatorError("FS-658", f"{place} has no tables, and there is no -wal")
    with snapshot(place, kind) as connection:
        yield Source(
            place, connection, True, path and path.absolute().parent, perhaps_old=bare
        )


@contextmanager
def snapshot(place: str, kind: Kind) -> Iterator[Connection]:
    """Read one state of a database; whoever writes to it is not held up.

    Raises:
        OperatorError: FS-603, FS-604, FS-607.
    """
    location = database.locate(place)
    where = database.shown(location)
    engine = database.open_for_reading(location)
    if location.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _read_any_text)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN")
            revisions.require_current(connection, where, kind.migrations)
            yield connection
    except SQLAlchemyError as error:
        raise OperatorError(
            "FS-604", f"{where}: {sql_failures.cause(error)}"
        ) from error
    finally:
        engine.dispose()


def fast_engine(path: Path) -> Engine:
    """Return an engine for a database that nobody needs after a crash."""
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _forget_after_a_crash)
    return engine


@contextmanager
def _imported(path: Path, kind: Kind, scratch: Path) -> Iterator[Connection]:
    engine = fast_engine(scratch)
    try:
        with engine.begin() as connection:
            kind.metadata.create_all(connection)
            exports.load(path, kind, connection)
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _lacks_log(path: Path) -> bool:
    """Tell whether a file's newest part may be missing.

    SQLite says in bytes 18 and 19 of a file that it has a log (2). One that nobody uses
    has no such file either; so this alone proves nothing.
    """
    with path.open("rb") as file:
        logged = file.read(20)[18:20] == b"\x02\x02"
    return logged and not path.with_name(f"{path.name}-wal").exists()


def _is_empty(place: str) -> bool:
    engine = database.open_for_reading(database.locate(place))
    try:
        with engine.connect() as connection:
            return not inspect(connection).get_table_names()
    except SQLAlchemyError:
        return False  # it is said when it is read
    finally:
        engine.dispose()


def _read_any_text(connection: sqlite3.Connection, _record: Any) -> None:
    # A changed byte may leave text that is no UTF-8: then it differs, that is all.
    connection.text_factory = lambda text: text.decode("utf-8", errors="replace")


def _forget_after_a_crash(connection: sqlite3.Connection, _record: Any) -> None:
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -65536"):
        connection.execute(f"PRAGMA {pragma}").close()


BATCH: Final = 128  # entries
