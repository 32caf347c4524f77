"""Backups of an aggregator's store: rows alone, never a key, a report or a share.

    backup    one state of the running store, into a new SQLite file
    restore   that file's rows instead of the store's, while the aggregator is stopped

The spool is not part of a backup: what a round's key could open may not outlive the
round. So a restored store opens nothing of the runs that it knows, or that were begun
since (`grants.recover`): it may have forgotten what it opened.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, Table, select
from sqlalchemy.exc import SQLAlchemyError

from aggregator import store
from aggregator.config import AggregatorSettings
from aggregator.spool import disk, open_spool
from aggregator.store import MIGRATIONS
from aggregator.tables import Base
from fedsecure import database
from fedsecure.durability import sync
from fedsecure.errors import OperatorError

ROWS: Final = 500  # copied at once


def backup(settings: AggregatorSettings, file: Path) -> int:
    """Write one state of the store to a new file; the aggregator may run meanwhile.

    Returns:
        The number of rows.

    Raises:
        OperatorError: FS-528 when the file exists or the store is missing, FS-523 to
            FS-526 for disk and database, FS-603, FS-608 for one of another version.
    """
    source = database.locate(settings.store)
    _require_there(settings, file)
    with (
        failing("backup"),
        opened(database.open_for_reading(source)) as old,
        old.connect() as reading,
    ):
        database.require_current(reading, database.shown(source), MIGRATIONS)
        with (
            new_file(file) as part,
            opened(database.open_for_writing(database.locate(part))) as new,
        ):
            database.upgrade(new, MIGRATIONS)
            with database.writer(new).begin() as writing:
                return copy_rows(reading, writing, Base.metadata)


def restore(settings: AggregatorSettings, file: Path) -> int:
    """Put a backup's rows in place of the store's; the aggregator must not run.

    The next start sees that the store was restored, and closes every run.

    Returns:
        The number of rows.

    Raises:
        OperatorError: FS-522 while the aggregator runs, FS-528 when there is no such
            backup, FS-523 to FS-526 for disk and database, FS-603, FS-608.
    """
    if not file.is_file():
        raise OperatorError("FS-528", f"{file} is not a file")
    target = database.locate(settings.store)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        open_spool(settings.data) as spool,
        failing("restore"),
        opened(database.open_for_reading(database.locate(file))) as old,
        store.taken(target) as new,
        old.connect() as reading,
    ):
        database.require_current(reading, str(file), MIGRATIONS)
        spool.forget_ledger_head()  # before the rows: a crash in between closes runs
        database.upgrade(new, MIGRATIONS)
        with database.writer(new).begin() as writing:
            for table in reversed(Base.metadata.sorted_tables):
                writing.execute(table.delete())
            return copy_rows(reading, writing, Base.metadata)


def copy_rows(source: Connection, target: Connection, tables: MetaData) -> int:
    """Copy all rows of some tables, and count them."""
    count = 0
    for table in tables.sorted_tables:
        for rows in _batches(source, table):
            target.execute(table.insert(), rows)
            count += len(rows)
    return count


def _batches(source: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    with source.execution_options(yield_per=ROWS).execute(select(table)) as result:
        for part in result.mappings().partitions():
            yield [dict(row) for row in part]


def _require_there(settings: AggregatorSettings, file: Path) -> None:
    if file.exists():
        raise OperatorError("FS-528", f"{file} exists already")
    if settings.database is None and not Path(settings.store).is_file():
        raise OperatorError("FS-528", f"{settings.store} is not there")


@contextmanager
def new_file(file: Path) -> Iterator[Path]:
    """Give a file to write to that has its name once all of it is on the disk.

    Raises:
        OperatorError: FS-523, FS-524 or FS-526.
    """
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    with disk(str(part)):
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        yield part
        with disk(str(file)):
            sync(part)
            part.rename(file)
            sync(file.absolute().parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def opened(engine: Engine) -> Iterator[Engine]:
    """Close an engine's connections when the block ends."""
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def failing(name: str) -> Iterator[None]:
    """Turn a database's errors into ours, with the name of what was done."""
    try:
        yield
    except SQLAlchemyError as error:
        code = database.failure(error)
        raise OperatorError(code, f"{name}: {database.cause(error)}") from error
