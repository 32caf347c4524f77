"""The agent's state: its tables are what the migration makes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from fedsecure_clients.state.agent_state import AgentState
from fedsecure_clients.state.storage import DATABASE, alone
from fedsecure_clients.state.tables import Base
from tests.protocol.federation import MemoryFederation


@pytest.mark.usefixtures("real_migrations")
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
    with AgentState(tmp_path / "state", memory.versions) as state:
        assert state.last_node("one:1") is None
        state.joined("one:1", 2**64 - 1)
        state.joined("two:2", 7)
        state.joined("one:1", 2**63)
    with AgentState(tmp_path / "state", memory.versions) as again:
        assert (again.last_node("one:1"), again.last_node("two:2")) == (2**63, 7)
    assert (tmp_path / "state").stat().st_mode & 0o077 == 0


def test_a_second_agent_on_one_folder_stops_before_it_changes_anything(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "state"
    take = (
        f"from fedsecure_clients.state.storage import alone\nalone({folder!r})".replace(
            "Posix", ""
        )
    )
    command = [sys.executable, "-c", f"from pathlib import Path\n{take}"]
    with alone(folder):
        before = [one.name for one in folder.iterdir()]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "FS-653" in ended.stderr
        assert f"process {os.getpid()} on" in ended.stderr
        assert [one.name for one in folder.iterdir()] == before
    subprocess.run(command, check=True)
