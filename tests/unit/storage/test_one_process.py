"""Two processes never work with one store, and the second one says so."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import URL, create_engine, text

from fedsecure.errors import OperatorError
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.storage import database, locks
from tests.conftest import Databases
from tests.postgres import Cluster
from tests.unit.owner_store.round_story import (
    RUN,
    Clock,
    author,
    model,
    run_started,
    spec,
)

HOLD = """
import sys
from fedsecure.storage import database, locks
held = locks.hold(database.locate(sys.argv[1]), "FS-547")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def place(databases: Databases, tmp_path: Path) -> URL:
    return database.locate(databases(tmp_path / "rounds.db"))


def other(place: URL) -> "subprocess.Popen[str]":
    """Start another process that holds a store."""
    url = place.render_as_string(hide_password=False)
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_a_store_is_held_until_its_process_ends_however_that_is(place: URL) -> None:
    with other(place) as child:
        with pytest.raises(OperatorError, match=rf"FS-547.*process {child.pid} on"):
            locks.hold(place, "FS-547", seconds=0)
        child.kill()
        child.wait()
        locks.hold(place, "FS-547").close()  # a server needs a moment to notice


def test_a_second_training_on_a_round_store_stops_before_it_changes_anything(
    place: URL, tmp_path: Path
) -> None:
    url = place.render_as_string(hide_password=False)
    with RoundStore(url, author(), Clock(), alone=True) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        before = store.head()
        with pytest.raises(OperatorError, match="FS-652"):
            RoundStore(url, author(), Clock(), alone=True)
        assert store.head() == before
        store.propose(spec(1))
        with RoundStore(url, author(), Clock()) as verdicts:  # may be given meanwhile
            assert verdicts.latest_run() is not None
    with RoundStore(url, author(), Clock(), alone=True) as again:
        assert again.rounds(RUN)


def test_two_names_of_one_file_are_one_store(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "rounds.db")
    held = locks.hold(database.locate(tmp_path / "rounds.db"), "FS-547")
    with pytest.raises(OperatorError, match="FS-547"):
        locks.hold(database.locate(tmp_path / "link.db"), "FS-547")
    held.close()


def test_stores_in_two_schemas_are_two_stores(postgresql: Cluster) -> None:
    place = database.locate(postgresql.new_database())
    engine = create_engine(place)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA other"))
    engine.dispose()
    elsewhere = place.update_query_dict({"options": "-c search_path=other"})
    both = [locks.hold(one, "FS-547", seconds=0) for one in (place, elsewhere)]
    for held in both:
        held.close()


def cut(place: URL) -> None:
    """Let the server end the connection that holds the lock, and no other."""
    engine = create_engine(place, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        ended = connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks "
                "WHERE locktype = 'advisory'"
            )
        )
        assert ended.scalars().all() == [True]
    engine.dispose()


def test_a_lock_that_was_lost_is_taken_anew_before_the_next_write(
    postgresql: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    place = database.locate(postgresql.new_database())
    held = locks.hold(place, "FS-547")
    engine = database.open_for_writing(place)
    for _ in "abc":
        with engine.begin() as connection:
            held.require(connection)
            assert "taken anew" not in capsys.readouterr().out
        cut(place)
        with engine.begin() as connection:
            held.require(connection)
        assert "taken anew" in capsys.readouterr().out
    with pytest.raises(OperatorError, match="FS-547"):
        locks.hold(place, "FS-547", seconds=0)
    engine.dispose()
    held.close()


def test_who_lost_the_lock_to_another_process_writes_nothing_more(
    postgresql: Cluster, tmp_path: Path
) -> None:
    url = postgresql.new_database()
    place = database.locate(url)
    with RoundStore(url, author(), Clock(), alone=True) as store:
        store.start_run(run_started(RUN, model(tmp_path, "model-0")))
        before = store.head()
        cut(place)
        with other(place) as child:
            for _ in "ab":
                with pytest.raises(OperatorError, match=f"FS-652.*process {child.pid}"):
                    store.propose(spec(1))
            assert store.head() == before
            child.kill()
        for _ in range(50):
            if not _held(place):
                break
            threading.Event().wait(0.1)
        store.propose(spec(1))


def _held(place: URL) -> bool:
    engine = create_engine(place)
    with engine.connect() as connection:
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        found = bool(connection.execute(text(query)).scalar())
    engine.dispose()
    return found
