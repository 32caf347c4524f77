"""A round store for each test, on SQLite and, if one is named, on PostgreSQL.

FEDSECURE_TEST_POSTGRESQL: URL of a server on which databases may be created.
"""

import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

sys.path.append(str(Path(__file__).parent))
import round_story

SERVER = os.environ.get("FEDSECURE_TEST_POSTGRESQL")


@pytest.fixture(params=["sqlite", "postgresql"] if SERVER else ["sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'rounds.db'}"
        return
    name = f"fedsecure_test_{secrets.token_hex(6)}"
    admin = create_engine(SERVER or "", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(SERVER or "").set(database=name).render_as_string(False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(scope="session")
def told_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite round store that holds the whole story, to copy."""
    folder = tmp_path_factory.mktemp("told")
    with round_story.open_store(str(folder / "rounds.db")) as store:
        round_story.tell(store, folder)
    return folder / "rounds.db"


@pytest.fixture
def told(place: str, tmp_path: Path, told_once: Path) -> str:
    """URL of a round store that holds the whole story."""
    if place.startswith("sqlite"):
        shutil.copy(told_once, tmp_path / "rounds.db")
    else:
        with round_story.open_store(place) as store:
            round_story.tell(store, tmp_path)
    return place
