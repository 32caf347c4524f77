"""Engines for every store: SQLite (WAL) by default, PostgreSQL by URL.

A write transaction on SQLite takes the write lock at its begin (BEGIN IMMEDIATE), so
that what it read first still holds when it writes. Readers never wait for it. Every
commit is on the disk when it returns (synchronous FULL): what was recorded before a
message was sent is there after a crash.

On PostgreSQL a write transaction is SERIALIZABLE and a reading one sees one snapshot.
`transactions` repeats what the server gave up. A commit there is on the disk too when
it returns, whatever the server's default is: every session asks for that, and a server
that flushes nothing (`fsync = off`) is refused.
"""

import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import tenacity
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateColumn
from sqlalchemy.sql.compiler import DDLCompiler

from fedsecure.errors import OperatorError
from fedsecure.storage.sql_failures import BUSY_SECONDS, is_busy
from fedsecure.system.toml_file import is_utf8

CONNECT_ARGUMENTS: Final = {  # of libpq: seconds, but for the last one
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
}
# `remote_write` and `remote_apply` are an operator's own choice: they wait for more.
_ASK_FOR_COMMITS: Final = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') IN ('off', 'local')"
)
_FLUSHES: Final = (
    "fsync",
    "full_page_writes",
)  # without one, a power cut loses commits


def locate(place: str | Path) -> URL:
    """Return the URL of a store that is named by a URL or by a file.

    Raises:
        OperatorError: FS-607 when it is neither SQLite nor PostgreSQL, or a path that
            is not UTF-8.
    """
    if not is_utf8(place):
        remedy = f"rename the folder: {place} holds a name that is not UTF-8"
        raise OperatorError("FS-607", remedy)
    if "://" not in str(place):
        return URL.create("sqlite", database=str(place))
    try:
        url = make_url(str(place))
    except ArgumentError as error:
        raise OperatorError("FS-607", "the database's URL cannot be read") from error
    if url.get_backend_name() not in {"sqlite", "postgresql"}:
        raise OperatorError("FS-607", f"{shown(url)} is of an unknown kind")
    return url


def shown(url: URL) -> str:
    """Return a file's path, or the URL without its password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "a database in memory"
    return url.set(query={}).render_as_string(hide_password=True)


def open_for_writing(url: URL) -> Engine:
    """Return an engine whose transactions are marked with `writer(engine)`.

    Raises:
        OperatorError: FS-607 when the driver is not installed.
    """
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = _create(url, isolation_level="SERIALIZABLE", pool_pre_ping=True)
    event.listen(engine, "connect", _prepare_postgresql)
    return engine


def writer(engine: Engine) -> Engine:
    """Return the same engine for transactions that write."""
    return engine.execution_options(fedsecure_writes=True)


def reader(engine: Engine) -> Engine:
    """Return the same engine for transactions that read one state of the store."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(
        isolation_level="REPEATABLE READ", postgresql_readonly=True
    )


def open_for_reading(url: URL) -> Engine:
    """Return an engine that can only read, and leaves no file behind.

    Raises:
        OperatorError: FS-607 when the driver is not installed.
    """
    if url.get_backend_name() == "sqlite":
        connect = partial(_connect_read_only, Path(url.database or ""))
        return create_engine("sqlite://", creator=connect, poolclass=NullPool)
    return _create(
        url,
        isolation_level="REPEATABLE READ",
        execution_options={"postgresql_readonly": True},
    )


def open_for_holding(url: URL, name: str) -> Engine:
    """Return an engine for one connection that lasts, and is not pooled.

    Args:
        url: Of a PostgreSQL server.
        name: Of who holds it, for others to see there.

    Raises:
        OperatorError: FS-607 when the driver is not installed.
    """
    asked = url.update_query_dict({"application_name": f"fedsecure {name}"[:63]})
    return _create(asked, isolation_level="AUTOCOMMIT", poolclass=NullPool)


def require_durable(connection: Connection) -> None:
    """Check that a commit is on the disk once it returned.

    Raises:
        OperatorError: FS-544 when the PostgreSQL server does not flush.
    """
    if connection.dialect.name == "postgresql":
        raw: Any = connection.connection.dbapi_connection
        _require_flushes(raw)


def _create(url: URL, **options: Any) -> Engine:
    try:
        return create_engine(url, connect_args=CONNECT_ARGUMENTS, **options)
    except (ModuleNotFoundError, NoSuchModuleError) as error:
        raise OperatorError("FS-607", f"{shown(url)}: {error}") from error


def _prepare_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    record.info["file"] = _file_of(connection)
    connection.isolation_level = None  # transactions begin in _begin_sqlite
    _use_wal(connection)
    for pragma in ("synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _prepare_postgresql(connection: Any, _record: Any) -> None:
    try:
        _require_flushes(connection)
    except BaseException:
        connection.close()
        raise
    with connection.cursor() as cursor:
        cursor.execute(_ASK_FOR_COMMITS)
    connection.commit()  # or the setting would end with the transaction


def _require_flushes(connection: Any) -> None:
    """Check a connection of the driver, as `require_durable`."""
    for name in _FLUSHES:
        with connection.cursor() as cursor:
            cursor.execute(f"SHOW {name}")
            (value,) = cursor.fetchone()
        if value != "on":
            raise OperatorError("FS-544", f"{name} is {value}")


@tenacity.retry(
    retry=tenacity.retry_if_exception(is_busy),
    wait=tenacity.wait_random(0.0, 0.05),
    stop=tenacity.stop_after_delay(BUSY_SECONDS),
    reraise=True,
)
def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite itself does not wait for the lock that the first change of mode needs.
    connection.execute("PRAGMA journal_mode = WAL").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("fedsecure_writes", False)
    if writes:
        require_in_place(connection)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def require_in_place(connection: Connection) -> None:
    """Check that an SQLite file is still the one that was opened for writing.

    SQLite would go on with a file that was deleted or put aside.

    Raises:
        OperationalError: It is not.
    """
    if connection.dialect.name != "sqlite":
        return
    raw = connection.connection
    held = cast("sqlite3.Connection", raw.dbapi_connection)
    if raw.info.get("file") != _file_of(held):
        lost = sqlite3.OperationalError("its file was moved or deleted")
        raise OperationalError("BEGIN", None, lost)


def _file_of(connection: sqlite3.Connection) -> tuple[int, int] | None:
    """Return device and number of the file; None in memory or when it is gone."""
    (_, _, name) = connection.execute("PRAGMA database_list").fetchone()
    try:
        found = os.stat(name)  # noqa: PTH116 - as SQLite names it
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _connect_read_only(path: Path) -> sqlite3.Connection:
    # A store in use has a file "-wal" beside it. Without it nobody has it open, and
    # `immutable` keeps SQLite from creating that file just to read (it would stay).
    in_use = path.with_name(path.name + "-wal").exists()
    mode = "mode=ro" if in_use else "mode=ro&immutable=1"
    uri = f"file:{quote(str(path.absolute()))}?{mode}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)


@compiles(CreateColumn, "sqlite")
def _column_with_comment(
    element: CreateColumn, compiler: DDLCompiler, **options: Any
) -> str:
    # SQLite knows no COMMENT, but keeps the text of CREATE TABLE.
    text: str = compiler.visit_create_column(  # type: ignore[no-untyped-call]
        element, **options
    )
    comment = element.element.comment
    return f"{text} /* {comment} */" if text and comment else text
