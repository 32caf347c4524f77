"""The agent's state: its tables are what the migration makes."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from clients.rows import Base
from clients.state import DATABASE, AgentState
from tests.protocol.federation import MemoryFederation


def test_the_migration_makes_the_tables_that_the_program_uses(
    memory: MemoryFederation,
) -> None:
    engine = create_engine(f"sqlite:///{memory.folder / 'basel' / DATABASE}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, Base.metadata) == []
        query = "SELECT sql FROM sqlite_master WHERE name = 'reports'"
        schema = connection.execute(text(query)).scalar_one()
    for column in Base.metadata.tables["reports"].columns:
        assert f"/* {column.comment} */" in schema
    engine.dispose()


def test_a_membership_is_remembered_for_each_superlink(
    memory: MemoryFederation, tmp_path: Path
) -> None:
    with AgentState(tmp_path / "state", memory.federation) as state:
        assert state.last_node("one:1") is None
        state.joined("one:1", 2**64 - 1)
        state.joined("two:2", 7)
        state.joined("one:1", 2**63)
    with AgentState(tmp_path / "state", memory.federation) as again:
        assert (again.last_node("one:1"), again.last_node("two:2")) == (2**63, 7)
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0
