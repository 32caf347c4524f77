"""A commit is on the disk when it returns, whatever the server's settings are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from fedsecure.errors import OperatorError
from fedsecure.storage import database
from tests.postgres import Cluster, cluster
from tests.unit.owner_store.round_story import RUN, model, open_store, run_started, spec


@pytest.fixture(scope="module")
def careless(postgresql: Cluster) -> Iterator[Cluster]:
    """A server that answers before a commit is on its disk."""
    assert postgresql.programs
    with cluster(synchronous_commit="off", wal_writer_delay="10s") as running:
        yield running


def chosen(place: str, setting: str) -> None:
    """Let an operator choose how long commits of one database wait."""
    engine = create_engine(place, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        name = connection.engine.url.database
        connection.execute(
            text(f"ALTER DATABASE {name} SET synchronous_commit = '{setting}'")
        )
    engine.dispose()


@pytest.mark.parametrize(
    ("setting", "asked"),
    [
        ("off", "on"),
        ("local", "on"),
        ("on", "on"),
        ("remote_write", "remote_write"),
        ("remote_apply", "remote_apply"),
    ],
)
def test_a_session_asks_for_commits_that_last_and_never_for_less(
    careless: Cluster, setting: str, asked: str
) -> None:
    place = careless.new_database()
    chosen(place, setting)
    engine = database.open_for_writing(database.locate(place))
    for _ in "ab":  # also when the pool gives the connection out again
        with database.writer(engine).begin() as connection:
            found = connection.execute(text("SHOW synchronous_commit")).scalar()
            assert found == asked
    engine.dispose()


def test_what_was_recorded_is_there_after_a_careless_server_died(
    careless: Cluster, tmp_path: Path
) -> None:
    with open_store(careless.new_database()) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        for number in range(1, 4):
            asked = spec(number)
            store.propose(asked)
            careless.kill()
            careless.start()
            found = [one.spec_digest for one in store.rounds(RUN)]
            assert asked.digest in found


@pytest.mark.parametrize(
    "started", [{"fsync": "off"}, {"full_page_writes": "off"}], ids=str
)
def test_a_server_that_does_not_flush_is_refused_with_what_to_type(
    postgresql: Cluster, started: dict[str, str]
) -> None:
    assert postgresql.programs
    (name,) = started
    with cluster(**started) as running, pytest.raises(OperatorError) as caught:
        open_store(running.new_database())
    assert caught.value.code == "FS-544"
    assert f"{name} is off" in caught.value.detail
    assert f"SET {name} = on" in caught.value.problem.remedy
    assert caught.value.problem.status == 503


def test_a_database_that_went_back_is_not_written_to(
    careless: Cluster, tmp_path: Path
) -> None:
    """A fail-over to a replica that lacked the last commits."""
    with open_store(careless.new_database()) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        careless.copy()
        store.propose(spec(1))
        before = store.head().entries
        careless.fail_over()
        for _ in "ab":
            with pytest.raises(OperatorError, match=rf"FS-545.*{before - 1} entries"):
                store.propose(spec(2))
        assert store.head().entries == before - 1
