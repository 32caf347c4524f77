"""Records of a run, made once; every test harms a copy of its own."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.protocol.audit.harm import Auditor
from tests.protocol.audit.story import Records, told


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Closed stores of everybody."""
    folder = tmp_path_factory.mktemp("honest") / "all"
    folder.mkdir()
    with told(folder) as memory:
        federation, keys = memory.federation, dict(memory.keys)
    return Records(folder, federation, keys)


@pytest.fixture
def records(honest: Records, tmp_path: Path) -> Records:
    """The same, to be harmed."""
    return honest.copy(tmp_path / "all")


@pytest.fixture(scope="session")
def auditor(
    honest: Records, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Auditor]:
    """Has walked the honest stores already."""
    with ExitStack() as stack:
        yield Auditor(honest, tmp_path_factory.mktemp("scratch"), stack)
