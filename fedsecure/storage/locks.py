"""One process at a time: a folder or a database that is held by whoever works with it.

    alone(path, code)   a lock file; the system frees it when the process ends
    hold(url, code)     a database: the file beside it, or a lock of the server

A PostgreSQL server keeps the lock as long as the connection lives that took it. It has
one of its own, for the pool's connections come and go. If it breaks, another process
may take the lock; so whoever writes asks `Hold.require` first, which costs no message
as long as nothing arrived on that connection.
"""

import fcntl
import hashlib
import os
import select
import socket
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO, Any, Final, Protocol

import structlog
import tenacity
from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import SQLAlchemyError

from fedsecure.errors import OperatorError
from fedsecure.storage import database

WAIT_SECONDS: Final = 10.0  # for the server to notice that the last process died
LOCK_CLASS: Final = 0x66656473  # of all advisory locks of fedsecure
_PID: Final = "holder of the store's lock"  # in the notes of a pooled connection
_TAKE: Final = text("SELECT pg_try_advisory_lock(:kind, :number)")
_HOLDERS: Final = (
    "FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 "
    "AND l.classid = :kind AND l.objid = :number AND l.database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)
_WHO: Final = text(f"SELECT a.application_name, a.backend_start {_HOLDERS}")
_IS_HELD: Final = text(f"SELECT count(*) {_HOLDERS} AND l.pid = :pid")
# A server drops a client that is gone after 25 s, not after two hours, and one that
# only waits not at all. Unknown settings of older servers are passed over.
_STAY: Final = text(
    "SELECT set_config(name, CASE name WHEN 'tcp_keepalives_idle' THEN '10' "
    "WHEN 'tcp_keepalives_interval' THEN '5' WHEN 'tcp_keepalives_count' THEN '3' "
    "ELSE '0' END, false) FROM pg_settings WHERE name IN ('tcp_keepalives_idle', "
    "'tcp_keepalives_interval', 'tcp_keepalives_count', 'idle_session_timeout')"
)

log = structlog.get_logger()


class Hold(Protocol):
    """A database that this process has for itself."""

    def require(self, connection: Connection) -> None:
        """Check, in a transaction that is to write, that it is still held.

        Raises:
            OperatorError: Another process has it now.
            SQLAlchemyError: The server does not answer; the work may be repeated.
        """

    def close(self) -> None:
        """Let others have it."""


def alone(path: Path, code: str, shown: Path | None = None) -> IO[str]:
    """Take a lock file; it is held until the returned file is closed.

    Args:
        path: Made if absent; it stays.
        code: Of the error when another process has it.
        shown: What that process works with, for people; default: the file.

    Raises:
        OperatorError: `code`, with the process that has it.
        OSError: The file cannot be opened.
    """
    file = path.open("a+", encoding="utf-8")
    if not lock(file):
        with file:
            file.seek(0)
            who = file.read(100).strip()
        raise OperatorError(code, f"{shown or path}: {who}".rstrip(": "))
    with suppress(OSError):  # a full disk: it is held all the same
        file.truncate(0)
        file.write(_me())
        file.flush()
    return file


def lock(file: IO[Any]) -> bool:
    """Take an open file's lock, and tell whether it was free."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def hold(url: URL, code: str, seconds: float = WAIT_SECONDS) -> Hold:
    """Take a store for this process; call `close` in the end.

    Args:
        url: Of the store.
        code: Of the error when another process has it.
        seconds: How long a server is given to notice that the last holder died.

    Raises:
        OperatorError: `code`, with the process that has it; FS-607 without a driver.
        OSError: The file beside an SQLite store cannot be opened.
        SQLAlchemyError: The server does not answer.
    """
    if url.get_backend_name() == "postgresql":
        return _ServerHold(url, code, seconds)
    place = Path(url.database or "").resolve()
    return _FileHold(alone(place.with_name(f"{place.name}.lock"), code, place))


class _FileHold:
    """The lock file beside an SQLite store."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def require(self, connection: Connection) -> None:
        """Nothing can take it away."""

    def close(self) -> None:
        self._file.close()


class _ServerHold:
    """An advisory lock of a PostgreSQL server, on a connection of its own."""

    def __init__(self, url: URL, code: str, seconds: float) -> None:
        self._where, self._code = database.shown(url), code
        self._engine = database.open_for_holding(url, _me())
        self._guard = Lock()
        self._connection: Connection | None = None
        self._key: dict[str, int] = {}
        self._pid: int | None = None
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(OperatorError),
            wait=tenacity.wait_fixed(0.2),
            stop=tenacity.stop_after_delay(seconds),
            reraise=True,
        )
        try:
            retrying(self._take)
        except BaseException:
            self._engine.dispose()
            raise

    def require(self, connection: Connection) -> None:
        with self._guard:
            if not self._is_alive():
                self._take_again()
            notes = connection.connection.info
            if notes.get(_PID) == self._pid:
                return
            if not self._is_held_at(connection):  # a new one, to another server
                self._take_again()
            notes[_PID] = self._pid

    def close(self) -> None:
        self._drop()
        self._engine.dispose()

    def _take(self) -> None:
        connection = self._engine.connect()
        try:
            connection.execute(_STAY)
            self._key = _key(connection)
            if not connection.execute(_TAKE, self._key).scalar():
                row = connection.execute(_WHO, self._key).first()
                who = (
                    f": {row.application_name} since {row.backend_start}" if row else ""
                )
                raise OperatorError(self._code, f"{self._where}{who}")
            self._pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _take_again(self) -> None:
        self._drop()
        self._take()
        log.warning("the lock of the store was lost and taken anew", store=self._where)

    def _drop(self) -> None:
        dropped, self._connection = self._connection, None
        if dropped is not None:
            with suppress(SQLAlchemyError):
                dropped.close()

    def _is_alive(self) -> bool:
        if self._connection is None or self._connection.invalidated:
            return False
        raw: Any = self._connection.connection.dbapi_connection
        poll = select.poll()
        try:
            poll.register(raw.fileno(), select.POLLIN)
        except Exception as error:  # noqa: BLE001 - the driver's own: it is closed
            log.debug("closed", reason=str(error))
            return False
        if not poll.poll(0):
            return True
        try:  # the server said something: a change of its settings, or good-bye
            self._connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def _is_held_at(self, connection: Connection) -> bool:
        values = {**self._key, "pid": self._pid}
        return bool(connection.execute(_IS_HELD, values).scalar())


def _key(connection: Connection) -> dict[str, int]:
    """Return the key of the lock: one store lies in each schema of a database."""
    schema = connection.execute(text("SELECT current_schema()")).scalar()
    number = int.from_bytes(hashlib.sha256(str(schema).encode()).digest()[:3])
    return {"kind": LOCK_CLASS, "number": number}


def _me() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
