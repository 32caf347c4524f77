"""What several rooms use: the federation of the vectors, and empty stores at once."""

import json
from pathlib import Path
from typing import Any

import pytest

from fedsecure.protocol.identity import Federation
from tests.conftest import Databases
from tests.empty_stores import _planned_once, real_migrations

__all__ = ["_planned_once", "real_migrations"]

VECTORS = Path(__file__).parents[1] / "vectors"


@pytest.fixture(scope="session")
def parties() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VECTORS / "federation.json").read_text())[0]
    return loaded


@pytest.fixture(scope="session")
def federation(parties: dict[str, Any]) -> Federation:
    return Federation.model_validate(parties["content"])


@pytest.fixture
def place(databases: Databases, tmp_path: Path) -> str:
    """URL of an empty database."""
    found = databases(tmp_path / "rounds.db")
    return found if "://" in found else f"sqlite:///{found}"
