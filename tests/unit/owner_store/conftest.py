"""A round store that holds a story, on SQLite and on PostgreSQL."""

import shutil
from pathlib import Path

import pytest

from tests.unit.owner_store import round_story


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
