"""One federation of real processes, trained once; many tests look at what it left."""

from collections.abc import Iterator

import pytest

from tests.e2e.federation import Federation, federation

ROUNDS = 5


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """The heart study after `ROUNDS` rounds, with equal weights."""
    root = tmp_path_factory.mktemp("federation")
    with federation(root, app="tests.e2e.recording_app:app") as running:
        running.train(ROUNDS)
        yield running
