"""Federations in memory, and empty stores that are copied instead of migrated."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, cast

import pytest
from sqlalchemy import Engine, inspect

from fedsecure.storage import database
from tests.protocol.federation import MemoryFederation, federate

MIGRATED: Final = database.upgrade


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryFederation]:
    with federate(tmp_path) as federation:
        yield federation


@pytest.fixture(scope="session", autouse=True)
def _migrate_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make each kind of empty store by its migrations once; other stores are copies.

    Seven stores for each test took longer than the test itself. That migrations give
    these tables is shown by tests/unit.
    """
    folder = tmp_path_factory.mktemp("templates")
    made: dict[Path, Path] = {}

    def upgrade(engine: Engine, migrations: Path) -> None:
        if engine.dialect.name != "sqlite" or inspect(engine).get_table_names():
            MIGRATED(engine, migrations)
            return
        if migrations not in made:
            made[migrations] = folder / f"{len(made)}.db"
            template = database.open_for_writing(database.locate(made[migrations]))
            MIGRATED(template, migrations)
            template.dispose()
        with (
            closing(sqlite3.connect(made[migrations])) as empty,
            closing(engine.raw_connection()) as new,
        ):
            empty.backup(cast("sqlite3.Connection", new.driver_connection))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "upgrade", upgrade)
        yield
