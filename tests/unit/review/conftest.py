"""A round store that holds the story of `tests/unit/owner_store/round_story.py`."""

import shutil
import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # Typer imports names that click deprecated; nothing that we call.
    warnings.simplefilter("ignore", DeprecationWarning)
    import typer.testing  # noqa: F401 - so that tests find it imported

from tests.unit.owner_store import round_story


@pytest.fixture(scope="session")
def told_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a closed round store, to copy."""
    folder = tmp_path_factory.mktemp("told")
    with round_story.open_store(str(folder / "rounds.db")) as store:
        round_story.tell(store, folder)
    return folder


@pytest.fixture
def told(told_once: Path, tmp_path: Path) -> Path:
    """Path of a closed round store."""
    return Path(shutil.copytree(told_once, tmp_path / "owner")) / "rounds.db"
