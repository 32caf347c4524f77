"""Backups of an aggregator's store: rows alone, never a key, a report or a share.

One state of the running store goes into a new SQLite file. The spool is not part of it:
what a round's key could open may not outlive the round.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from fedsecure.errors import OperatorError
from fedsecure.storage import database, revisions, sql_failures
from fedsecure.system.durability import sync
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.storage.disk import disk
from fedsecure_aggregator.storage.jobs.tables import Unrecorded
from fedsecure_aggregator.storage.store import MIGRATIONS
from fedsecure_aggregator.storage.tables import Base

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
        revisions.require_current(reading, database.shown(source), MIGRATIONS)
        with (
            new_file(file) as part,
            opened(database.open_for_writing(database.locate(part))) as new,
        ):
            revisions.upgrade(new, MIGRATIONS)
            with database.writer(new).begin() as writing:
                return copy_rows(reading, writing, Base.metadata)


def keep_aside(url: URL, folder: Path, why: str) -> Path | None:
    """Copy a store of whatever form into a new SQLite file; None if it is empty.

    Raises:
        OperatorError: FS-523 to FS-526.
    """
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        return None
    with (
        failing(f"copy it {why}"),
        opened(database.open_for_reading(url)) as engine,
        engine.connect() as reading,
    ):
        tables = _as_they_are(reading)
        if not tables.tables:
            return None
        file = folder / f"{why}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.db"
        with (
            new_file(file) as part,
            opened(database.open_for_writing(database.locate(part))) as target,
            database.writer(target).begin() as writing,
        ):
            tables.create_all(writing)
            copy_rows(reading, writing, tables)
    return file


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
        code = sql_failures.failure(error)
        raise OperatorError(code, f"{name}: {sql_failures.cause(error)}") from error


def _as_they_are(connection: Connection) -> MetaData:
    """Return a store's tables: columns and keys, in types of any database."""
    found, plain = MetaData(), MetaData()
    # Sealed answers are no part of the record, and end with their service.
    beside = set(Unrecorded.metadata.tables)
    found.reflect(connection, only=lambda name, _: name not in beside)
    for table in found.sorted_tables:
        Table(
            table.name,
            plain,
            *(
                Column(
                    column.name,
                    column.type.as_generic(),
                    primary_key=column.primary_key,
                    nullable=column.nullable,
                    autoincrement=False,
                )
                for column in table.columns
            ),
        )
    return plain
