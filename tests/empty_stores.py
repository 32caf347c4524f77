"""Empty stores whose migrations are planned once a session, and executed for each.

Alembic and what it looks up took longer than most tests of a store. What is ours around
it (locks, checks, the transaction) runs every time; on an empty database the statements
that Alembic executed the first time are executed again, and Alembic itself is not run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from alembic.config import Config
from sqlalchemy import Connection, event, inspect

from fedsecure.storage import revisions

ALEMBIC: Final = revisions.command.upgrade
LOOKS: Final = ("SELECT", "PRAGMA")

Statements = list[tuple[str, Any]]


@dataclass
class Recorded:
    """What migrations execute on an empty database, by dialect and their folder."""

    on: bool = True
    statements: dict[tuple[str, Path], Statements] = field(default_factory=dict)

    def upgrade(self, config: Config, revision: str) -> None:
        """Stand in for `alembic.command.upgrade`."""
        connection: Connection = config.attributes["connection"]
        folder = Path(str(config.get_main_option("script_location")))
        if not self.on or inspect(connection).get_table_names():
            ALEMBIC(config, revision)
            return
        kind = (connection.dialect.name, folder)
        if kind in self.statements:
            execute(connection, self.statements[kind])
            return
        with recording(connection) as statements:
            ALEMBIC(config, revision)
        self.statements[kind] = statements


def execute(connection: Connection, statements: Statements) -> None:
    """Execute all of them; PostgreSQL gets them in one message."""
    plain = [text for text, values in statements if not values and "%" not in text]
    if connection.dialect.name == "postgresql" and len(plain) == len(statements):
        with connection.connection.cursor() as cursor:
            cursor.execute(";\n".join(plain))
        return
    for statement, values in statements:
        connection.exec_driver_sql(statement, values or None)


@contextmanager
def recording(connection: Connection) -> Iterator[Statements]:
    made: Statements = []

    def note(_one: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if not statement.lstrip().upper().startswith(LOOKS):
            made.append((statement, values))

    event.listen(connection, "before_cursor_execute", note)
    try:
        yield made
    finally:
        event.remove(connection, "before_cursor_execute", note)


RECORDED: Final = Recorded()


@pytest.fixture(scope="session", autouse=True)
def _planned_once() -> Iterator[None]:
    """Let every store of the session be made from the recorded statements."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(revisions.command, "upgrade", RECORDED.upgrade)
        yield


@pytest.fixture
def real_migrations() -> Iterator[None]:
    """Run Alembic itself for every store of a test; for tests of migrations."""
    RECORDED.on = False
    try:
        yield
    finally:
        RECORDED.on = True
