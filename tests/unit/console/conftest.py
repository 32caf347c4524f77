"""Consoles over the story of `tests/unit/owner_store/round_story.py`."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import stores
from tests.browser.serving import Served, owner, serving


@pytest.fixture(scope="session")
def told_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a closed round store, to copy."""
    return stores.told(tmp_path_factory.mktemp("told")).parent


@pytest.fixture
def told(told_once: Path, tmp_path: Path) -> Path:
    """A round store of a test's own."""
    return Path(shutil.copytree(told_once, tmp_path / "owner")) / "rounds.db"


@pytest.fixture(scope="module")
def served(
    told_once: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A console that tests of a module share; they leave its store as it is."""
    folder = shutil.copytree(told_once, tmp_path_factory.mktemp("served") / "owner")
    with serving(owner(Path(folder) / "rounds.db")) as console:
        yield console
