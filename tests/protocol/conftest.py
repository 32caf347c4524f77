"""Federations in memory, over stores whose migrations are planned once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.empty_stores import _planned_once, real_migrations
from tests.protocol.federation import MemoryFederation, federate

__all__ = ["_planned_once", "real_migrations"]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryFederation]:
    with federate(tmp_path) as federation:
        yield federation
