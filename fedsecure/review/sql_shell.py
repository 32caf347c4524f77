"""A read-only SQL shell over a round store: one query at a time.

    SQLite       the file is opened read-only, and what is not a SELECT is not prepared
    PostgreSQL   a read-only transaction that ends with the query; one statement only

Guarantee: nothing that is typed here changes a store or any other file.
"""

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from rich.console import RenderableType
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.storage import sql_failures
from fedsecure.terminal.text_tables import Column, table
from fedsecure.terminal.values import plain

READING: Final = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)


class Shape(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows of a query."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def ask(session: Session, query: str) -> Answer:
    """Ask one query.

    Raises:
        OperatorError: FS-647 when the database refuses it, or it is not one query.
    """
    connection = session.connection()
    asking = _ask_sqlite if connection.dialect.name == "sqlite" else _ask_postgresql
    try:
        answer = asking(connection, query.strip().removesuffix(";"))
    except (SQLAlchemyError, sqlite3.Error) as error:
        session.rollback()
        cause = (
            sql_failures.reply(error) if isinstance(error, SQLAlchemyError) else error
        )
        raise OperatorError("FS-647", str(cause).partition("\n")[0]) from error
    session.rollback()
    return answer


def shown(answer: Answer, shape: Shape) -> str | RenderableType:
    """Return an answer for a program (text), or for a terminal."""
    match shape:
        case Shape.JSON:
            rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
            return json.dumps(rows, indent=2, default=str)
        case Shape.CSV:
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(answer.columns)
            writer.writerows(answer.rows)
            return text.getvalue().removesuffix("\n")
    return table(map(_column, answer.columns, range(len(answer.columns))), answer.rows)


def _column(title: str, place: int) -> Column[Sequence[Any]]:
    return Column(str(title), lambda row: plain(row[place]))


def talk(
    session: Session, typed: Callable[[str], str], show: Callable[[Answer], None]
) -> None:
    """Ask what a person types, query by query, until there is no more.

    Args:
        session: A round store that was opened for reading.
        typed: Returns the next line after a prompt; raises EOFError at the end.
        show: Prints an answer.

    Raises:
        OperatorError: FS-647 for the last query, if it could not be asked and nobody
            is there to type another.
    """
    lines: list[str] = []
    while True:
        try:
            lines.append(typed("   ...> " if lines else "rounds> "))
        except EOFError:
            break
        query = "\n".join(lines).strip()
        if query.lower() in {"exit", "quit", ".quit", "\\q"}:
            return
        if query.endswith(";"):
            lines.clear()
            show(ask(session, query))
    if query := "\n".join(lines).strip():
        show(ask(session, query))


def _ask_sqlite(connection: Connection, query: str) -> Answer:
    raw: Any = connection.connection.dbapi_connection
    raw.set_authorizer(_only_reading)
    cursor = raw.execute(query)
    return Answer([one[0] for one in cursor.description or ()], cursor.fetchall())


def _only_reading(action: int, *_about: str | None) -> int:
    return sqlite3.SQLITE_OK if action in READING else sqlite3.SQLITE_DENY


def _ask_postgresql(connection: Connection, query: str) -> Answer:
    connection.exec_driver_sql("SET TRANSACTION READ ONLY")
    raw: Any = connection.connection.dbapi_connection
    with raw.cursor() as cursor:
        try:
            cursor.execute(query, prepare=True)  # a prepared statement is only one
            rows = cursor.fetchall()
        except Exception as error:
            if type(error).__module__.startswith("psycopg"):
                raise sqlite3.Error(str(error)) from error
            raise
        return Answer([one[0] for one in cursor.description or ()], rows)
