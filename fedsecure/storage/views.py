r"""Stable, documented views of a store, for people who read SQL.

Names, order and meaning of their columns are an interface. Rows have no order (`entry`
gives it), so that a database can use its indexes for whatever is asked. The same text
serves SQLite and PostgreSQL but for the phrases in `PHRASES` and what a column says for
each. On SQLite the comments stand in the schema (`.schema v_round`), on PostgreSQL they
are comments of the views and their columns (`\d+ v_round`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from sqlalchemy import Connection


class Form(Enum):
    """How a column's expression is shown."""

    PLAIN = auto()  # as it is
    INSTANT = auto()  # seconds since 1970 as ISO 8601, UTC
    TENTHS = auto()  # a double, one digit after the point
    FRACTION = auto()  # a double, four digits after the point
    METRIC = auto()  # a double, six digits after the point
    SHORT = auto()  # the first twelve digits of a digest


PHRASES: Final[Mapping[str, Mapping[Form, str]]] = {
    "sqlite": {
        Form.PLAIN: "{0}",
        Form.INSTANT: "strftime('%Y-%m-%dT%H:%M:%SZ', {0}, 'unixepoch')",
        Form.TENTHS: "round({0}, 1)",
        Form.FRACTION: "round({0}, 4)",
        Form.METRIC: "round({0}, 6)",
        Form.SHORT: "substr({0}, 1, 12)",
    },
    "postgresql": {
        Form.PLAIN: "{0}",
        Form.INSTANT: "to_char(to_timestamp({0}) AT TIME ZONE 'UTC', "
        '\'YYYY-MM-DD"T"HH24:MI:SS"Z"\')',
        Form.TENTHS: "CAST(round(CAST({0} AS numeric), 1) AS double precision)",
        Form.FRACTION: "CAST(round(CAST({0} AS numeric), 4) AS double precision)",
        Form.METRIC: "CAST(round(CAST({0} AS numeric), 6) AS double precision)",
        Form.SHORT: "substr({0}, 1, 12)",
    },
}

Sql = str | Mapping[str, str]
"""An expression, or one for each dialect."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view."""

    name: str
    sql: Sql
    comment: str
    form: Form = Form.PLAIN


@dataclass(frozen=True, slots=True)
class View:
    """A view: what it shows, column by column, and where from."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    source: Sql


def definition(view: View, dialect: str) -> str:
    """Return the CREATE VIEW of one view, commented, for `sqlite` or `postgresql`."""
    lines = [
        f"  {PHRASES[dialect][c.form].format(_in(c.sql, dialect))} AS {c.name} "
        f"/* {c.comment} */"
        for c in view.columns
    ]
    columns = ",\n".join(lines)
    return (
        f"CREATE VIEW {view.name} AS /* {view.comment} */\nSELECT\n{columns}\n"
        f"{_in(view.source, dialect)}"
    )


def create_views(connection: Connection, views: Sequence[View]) -> None:
    """Create every view; run when the tables are those of this version."""
    dialect = connection.dialect.name
    for view in views:
        connection.exec_driver_sql(definition(view, dialect))
        if dialect == "postgresql":
            for statement in _comments(view):
                connection.exec_driver_sql(statement)


def drop_views(connection: Connection, views: Sequence[View]) -> None:
    """Drop every view that there is; run before the tables change."""
    for view in views:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {view.name}")


def _in(sql: Sql, dialect: str) -> str:
    return sql if isinstance(sql, str) else sql[dialect]


def _comments(view: View) -> list[str]:
    where = [(f"VIEW {view.name}", view.comment)]
    where += [(f"COLUMN {view.name}.{c.name}", c.comment) for c in view.columns]
    return [
        "COMMENT ON {} IS '{}'".format(what, text.replace("'", "''"))
        for what, text in where
    ]
