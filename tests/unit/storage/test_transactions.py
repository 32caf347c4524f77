"""What a database gives up is done again, once, and not for ever."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.owner.store.records import RunFinished
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.owner.store.states import RunState
from fedsecure.storage import database
from fedsecure.storage.transactions import Patience
from tests.postgres import Cluster, cluster
from tests.unit.owner_store.round_story import (
    RUN,
    author,
    model,
    open_store,
    run_started,
    spec,
)


@pytest.fixture(scope="module")
def server(postgresql: Cluster) -> Iterator[Cluster]:
    """A server of its own, to be killed."""
    assert postgresql.programs  # skipped with all others where there is none
    with cluster() as running:
        yield running


@pytest.fixture
def store(server: Cluster, tmp_path: Path) -> Iterator[RoundStore]:
    with open_store(server.new_database()) as opened:
        opened.start_run(run_started(RUN, model(tmp_path, "model-0")))
        yield opened


def test_a_server_that_is_killed_and_comes_back_is_not_noticed(
    server: Cluster, store: RoundStore
) -> None:
    asked = spec(1)
    store.propose(asked)
    server.kill()
    starting = threading.Timer(0.5, server.start)
    starting.start()
    try:
        store.granted(asked.digest, {"a": "token"})
    finally:
        starting.join()
    (found,) = store.rounds(RUN)
    assert (found.state, found.grants) == ("granted", {"a": "token"})


def test_a_reader_finds_the_server_again_too(
    server: Cluster, store: RoundStore
) -> None:
    server.kill()
    server.start()
    assert store.run(RUN).state is RunState.RUNNING


def test_a_server_that_stays_away_is_an_error_after_a_bounded_time(
    server: Cluster,
) -> None:
    slept: list[float] = []
    place = server.new_database()
    with RoundStore(
        place, author(), lambda: 1.0, Patience(1.0, 0.2, _sleeping(slept))
    ) as away:
        server.kill()
        try:
            with pytest.raises(OperatorError, match=r"FS-604.*'finish run'"):
                away.finish_run(RunFinished(RUN, RunState.FAILED))
        finally:
            server.start()
    assert 3 < len(slept) < 100


def _sleeping(slept: list[float]) -> Any:
    pause = threading.Event()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        pause.wait(seconds)

    return sleep


def test_two_transactions_that_cannot_be_put_in_order_both_happen(
    server: Cluster, store: RoundStore
) -> None:
    engine = database.open_for_writing(database.locate(server.new_database()))
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE counter (n integer)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))
    together = threading.Barrier(2, timeout=10)
    tries: list[int] = []

    def count(session: Session) -> None:
        (n,) = session.execute(text("SELECT n FROM counter")).one()
        tries.append(n)
        if len(tries) <= 2:
            together.wait()
        session.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

    transactions = store._transactions
    both = type(transactions)(engine, transactions.events, transactions.failed)
    # The table of events is asked for a head; it is empty here.
    with engine.begin() as connection:
        connection.execute(
            text("CREATE TABLE events (entry integer, hash varchar(64))")
        )
    threads = [threading.Thread(target=both.run, args=("count", count)) for _ in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT n FROM counter")).scalar() == 2
    assert len(tries) == 3  # one of them had to look again
    engine.dispose()


def test_a_commit_whose_answer_was_lost_happens_once(store: RoundStore) -> None:
    """The connection is cut after the server committed and before it says so."""
    engine = store._transactions.engine
    cut: list[int] = []

    def commit_and_cut(connection: Any) -> None:
        if not cut:
            cut.append(1)
            raw = connection.connection.dbapi_connection
            raw.commit()
            pid = raw.info.backend_pid
            with engine.connect() as other:
                other.execute(text(f"SELECT pg_terminate_backend({pid})"))
            connection.exec_driver_sql("SELECT 1")  # finds it broken, as COMMIT would

    event.listen(engine, "commit", commit_and_cut)
    before = store.head().entries
    asked = spec(1)
    store.propose(asked)
    event.remove(engine, "commit", commit_and_cut)
    assert cut == [1]
    assert store.head().entries == before + 1
    assert [one.spec_digest for one in store.rounds(RUN)] == [asked.digest]


def test_work_that_is_refused_is_not_repeated(store: RoundStore) -> None:
    calls: list[int] = []

    def refused(_session: Session) -> None:
        calls.append(1)
        raise OperatorError("FS-606", "no")

    with pytest.raises(OperatorError, match="FS-606"):
        store.change("refused", refused)
    assert calls == [1]
