"""What a failing database says, as a code of ours and in words for people."""

import sqlite3
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from fedsecure.system.durability import is_out_of_files

BUSY_SECONDS: Final = 30.0


_DISK_FAILURES: Final = {
    sqlite3.SQLITE_FULL: "FS-523",
    sqlite3.SQLITE_IOERR: "FS-524",
    sqlite3.SQLITE_READONLY: "FS-526",
}
_LACKS: Final = {"42P01", "42703"}  # PostgreSQL: undefined table, undefined column


def cause(error: SQLAlchemyError) -> str:
    """Say what the database said to the program, without statement and values."""
    answer = reply(error)
    if _lacks_a_table(getattr(error, "orig", None)):
        return (
            f"{answer}: its tables are not those of the form that it says it has; a "
            "trial version wrote it, or somebody changed it. Put back a backup of it, "
            "or move it away if nothing in it counts"
        )
    return answer


def reply(error: SQLAlchemyError) -> str:
    """Say what the database said to a person's own query."""
    answer = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    if is_busy(getattr(error, "orig", None)):
        return (
            f"{answer}: another program, such as a backup or a database browser, held "
            f"it for {BUSY_SECONDS:.0f} s; `fuser` and the file's name tell which"
        )
    return answer


def failure(error: SQLAlchemyError) -> str:
    """Return the code of a server's failing database; what lacks has its own."""
    if is_out_of_files():
        return "FS-536"
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", None)
    if code is None:
        return "FS-525"
    return _DISK_FAILURES.get(code & 0xFF, "FS-525")


def is_busy(error: BaseException | None) -> bool:
    """Tell whether an SQLite file is locked by somebody who may let it go."""
    return (
        isinstance(error, sqlite3.OperationalError)
        # The error that is made here when the file was moved has no such code.
        and getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
    )


def _lacks_a_table(error: BaseException | None) -> bool:
    """Tell whether a table, view or column is not there that every store has."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith("no such ") or " has no column named " in str(
            error
        )
    return getattr(error, "sqlstate", None) in _LACKS
