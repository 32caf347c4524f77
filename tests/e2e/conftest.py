"""One federation of real processes, trained once; many tests look at what it left.

Two workers share the modules of this folder and of tests/kill: much of each is waiting.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.e2e.federation import Federation, federation

ROUNDS = 5
ONE_STAGE: Final = ("e2e", "kill")  # folders
LONGEST: Final = (
    *("test_kill", "test_suspended", "test_remedies", "test_deploying"),
    *("test_training", "test_consent", "test_demo"),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """The heart study after `ROUNDS` rounds, with equal weights."""
    root = tmp_path_factory.mktemp("federation")
    app = "tests.e2e.recording_app:app"
    counting = {"policy": {"purposes": ["train", "evaluate", "statistics"]}}
    with federation(root, app=app, agent=counting) as running:
        running.train(ROUNDS)
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the modules that take longest, so that both workers end together."""
    place = {name: number for number, name in enumerate(LONGEST)}
    ours = [item for item in items if item.path.parent.name in ONE_STAGE]
    ours.sort(key=lambda item: place.get(item.path.stem, len(place)))
    others = [item for item in items if item.path.parent.name not in ONE_STAGE]
    items[:] = [*others, *ours]
