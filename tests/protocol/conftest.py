from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.protocol.federation import MemoryFederation, federate


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryFederation]:
    with federate(tmp_path) as federation:
        yield federation
