"""The form of a store: its revision of an Alembic history, made, checked and migrated.

Every store says which revision it has; a program works with its own alone. One of an
older form is migrated by a person, one of a newer form or of another kind is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.storage.database import open_for_reading, open_for_writing, shown, writer
from fedsecure.storage.sql_failures import cause

KINDS: Final = {
    "round_store": "a model owner's round store",
    "aggregator": "an aggregator's store",
    "agent_state": "a data owner's agent state",
}
"""Whose store it is, by how its revisions begin."""
SCHEMA_LOCK: Final = 0x66656473  # of PostgreSQL, while tables are made


class OlderFormError(OperatorError):
    """An older version wrote a store, so it has to be migrated: FS-608."""


@contextmanager
def reading(url: URL, migrations: Path, failed: str) -> Iterator[Session]:
    """Read a store of this version's form; whoever writes to it is not held up.

    Args:
        url: Of the store.
        migrations: The folder of its Alembic scripts.
        failed: The code when the database fails, also within the block.

    Raises:
        OperatorError: `failed`; FS-603, FS-607 or FS-608 when it is another version's
            or something else.
    """
    where = shown(url)
    engine = open_for_reading(url)
    try:
        with Session(engine) as session:
            require_current(session.connection(), where, migrations)
            yield session
    except SQLAlchemyError as error:
        raise OperatorError(failed, f"{where}: {cause(error)}") from error
    finally:
        engine.dispose()


def upgrade(engine: Engine, migrations: Path) -> None:
    """Bring a database to this version's schema; an empty one gets all of it.

    Args:
        engine: Of the store.
        migrations: The folder of the store's Alembic scripts.

    Raises:
        OperatorError: FS-603 when another version wrote it, FS-607 when it is
            something else.
    """
    with engine.connect() as connection:
        if _is_current(connection, migrations):
            return
    with writer(engine).begin() as connection:
        # Another process may have been quicker.
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})")
        if not _is_current(connection, migrations):
            _require_ours(connection, shown(engine.url), migrations)
            config = _config(migrations)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def prepare(engine: Engine, migrations: Path, command: str) -> None:
    """Make the tables of an empty database; refuse one of another form.

    Args:
        engine: Of the store.
        migrations: The folder of the store's Alembic scripts.
        command: What migrates a store of an older form; people make a backup before.

    Raises:
        OperatorError: FS-603 when a newer version wrote it, FS-607 when it is
            something else, FS-608 when it has an older form.
    """
    with engine.connect() as connection:
        if _is_current(connection, migrations):
            return
        where, found = shown(engine.url), _revision(connection)
        _require_ours(connection, where, migrations)
    if found is not None:
        raise OlderFormError("FS-608", f"{where} has form {found!r}; type: {command}")
    upgrade(engine, migrations)


def migrate(url: URL, migrations: Path, failed: str) -> str:
    """Bring a database to this version's form, and say so; run by a person.

    Raises:
        OperatorError: FS-603 or FS-607 as `prepare`; `failed` when the database does.
    """
    engine = open_for_writing(url)
    try:
        with engine.connect() as connection:
            before = _revision(connection)
        upgrade(engine, migrations)
        with engine.connect() as connection:
            after = _revision(connection)
    except SQLAlchemyError as error:
        raise OperatorError(failed, f"{shown(url)}: {cause(error)}") from error
    finally:
        engine.dispose()
    if before == after:
        return f"{shown(url)} has form {after} already"
    return f"{shown(url)}: {before or 'empty'} -> {after}"


def require_current(connection: Connection, where: str, migrations: Path) -> None:
    """Check that this version can read a store.

    Raises:
        OperatorError: FS-603 when a newer version wrote it, FS-607 when it is
            something else, FS-608 when it has an older form.
    """
    if not _is_current(connection, migrations):
        _require_ours(connection, where, migrations)
        raise OlderFormError("FS-608", f"{where} has form {_revision(connection)!r}")


@cache
def _scripts(migrations: Path) -> ScriptDirectory:
    return ScriptDirectory.from_config(_config(migrations))


def _config(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _is_current(connection: Connection, migrations: Path) -> bool:
    return _revision(connection) == _scripts(migrations).get_current_head()


def _require_ours(connection: Connection, where: str, migrations: Path) -> None:
    found = _revision(connection)
    known = {script.revision for script in _scripts(migrations).walk_revisions()}
    if found is not None and found not in known:
        theirs, ours = _kind(found), _kind(next(iter(known)))
        if theirs is not None and theirs != ours:
            raise OperatorError("FS-828", f"{where} is {theirs}, not {ours}")
        raise OperatorError("FS-603", f"{where} has revision {found!r}")
    if found is None and inspect(connection).get_table_names():
        raise OperatorError("FS-607", f"{where} holds other tables")


def _kind(revision: str) -> str | None:
    """Return whose store a revision is of: it begins with its kind's name."""
    return KINDS.get(revision.rpartition("_")[0])
