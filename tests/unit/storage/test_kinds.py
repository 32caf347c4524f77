"""A store of another kind of party is called what it is, and left alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fedsecure.errors import OperatorError
from fedsecure.owner.store.rounds import MIGRATIONS as ROUNDS
from fedsecure.storage import database, revisions
from fedsecure_aggregator.storage.store import MIGRATIONS as AGGREGATOR
from fedsecure_clients.state.storage import MIGRATIONS as AGENT

pytestmark = pytest.mark.usefixtures("real_migrations")

KINDS = {
    "a model owner's round store": ROUNDS,
    "an aggregator's store": AGGREGATOR,
    "a data owner's agent state": AGENT,
}


def read(path: Path, migrations: Path) -> None:
    with revisions.reading(database.locate(path), migrations, "FS-604"):
        pass


def write(path: Path, migrations: Path) -> None:
    revisions.upgrade(database.open_for_writing(database.locate(path)), migrations)


def start(path: Path, migrations: Path) -> None:
    engine = database.open_for_writing(database.locate(path))
    revisions.prepare(engine, migrations, "fedsecure store migrate")


def migrate(path: Path, migrations: Path) -> None:
    revisions.migrate(database.locate(path), migrations, "FS-604")


@pytest.mark.parametrize("use", [read, write, start, migrate])
@pytest.mark.parametrize("wanted", KINDS)
@pytest.mark.parametrize("given", KINDS)
def test_each_kind_of_store_is_told_from_both_others(
    tmp_path: Path, given: str, wanted: str, use: Callable[[Path, Path], None]
) -> None:
    path = tmp_path / "store.db"
    write(path, KINDS[given])
    if given == wanted:
        use(path, KINDS[wanted])
        return
    with pytest.raises(OperatorError) as caught:
        use(path, KINDS[wanted])
    assert caught.value.code == "FS-828"
    assert caught.value.detail == f"{path} is {given}, not {wanted}"
