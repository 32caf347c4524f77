"""What is done in the background goes on whatever fails, and is missed if not."""

import asyncio
import errno
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
import pytest

from fedsecure.errors import OperatorError
from fedsecure_aggregator.http.app import create_app
from fedsecure_aggregator.http.background import MISSES, Task, running
from fedsecure_aggregator.http.cached_answers import LONGEST
from fedsecure_aggregator.http.readiness import Readiness
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.rounds import deletion
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.world import HOSPITALS, NOW, Clock

DAY = 86_400


def during(tasks: list[Task], until: Callable[[], bool]) -> None:
    """Run tasks until something is so; a minute at most."""

    async def run() -> None:
        async with asyncio.timeout(60), running(tasks):
            while not until():
                await asyncio.sleep(0.001)

    asyncio.run(run())


def failing(
    times: int, error: Exception
) -> tuple[Callable[[], Awaitable[None]], list[int]]:
    """Work that fails so often, and then does not."""
    done: list[int] = []

    async def work() -> None:
        done.append(len(done))
        if len(done) <= times:
            raise error

    return work, done


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, os.strerror(errno.EMFILE)),
        FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)),
        OperatorError("FS-525", "tidy round: it is away"),
        RuntimeError("cannot start new thread"),
    ],
)
def test_a_task_that_fails_is_logged_and_done_again(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    work, done = failing(3, error)
    task = Task("deletion", work, 0.001, Clock())
    during([task], lambda: len(done) > 5)
    assert task.failures == 3
    out = capsys.readouterr().out
    assert out.count("background task failed") == 3
    assert out.count("deletion") == 3


def test_the_age_is_that_of_the_last_success() -> None:
    clock = Clock()
    work, done = failing(1, ValueError("once"))
    task = Task("deletion", work, 0.001, clock)
    clock.now += 7.0
    assert task.age == 7.0
    during([task], lambda: len(done) == 1)
    assert task.age == 7.0
    during([task], lambda: len(done) > 2)
    assert task.age == 0.0


def test_a_task_is_overdue_after_some_misses_and_not_before() -> None:
    clock = Clock()
    task = Task("deletion", failing(0, ValueError())[0], 30.0, clock)
    clock.now += MISSES * 30.0
    task.require_done()
    clock.now += 0.5
    with pytest.raises(OperatorError, match=r"FS-534.*deletion: 120 s ago"):
        task.require_done()


def test_a_server_whose_deletion_is_overdue_is_not_ready(pair: Pair) -> None:
    clock = Clock()
    context = replace(pair.north.context, monotonic=clock)
    worker = Worker()
    app = create_app(context, worker, Readiness(context))

    async def ask() -> tuple[httpx.Response, str]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport, base_url="https://north.test"
        ) as client:
            ready = await client.get("/health/ready")
            return ready, (await client.get("/metrics")).text

    ready, page = asyncio.run(ask())
    assert ready.status_code == 200
    assert ready.json()["done_before"] == {"deletion": 0.0, "warning": 0.0}
    assert 'fedsecure_background_age_seconds{task="deletion"} 0.0' in page
    clock.now += MISSES * context.tidy_seconds + 1
    ready, page = asyncio.run(ask())
    assert (ready.status_code, ready.json()["code"]) == (503, "FS-534")
    assert 'fedsecure_background_age_seconds{task="deletion"} 121.0' in page
    assert "fedsecure_ready 0.0" in page
    worker.stop()


def test_readiness_and_metrics_rest_on_one_look_at_disk_and_database(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, looks, require = Clock(), [], Readiness.require

    def look(readiness: Readiness) -> None:
        looks.append(clock.now)
        clock.now += 0.01
        require(readiness)

    monkeypatch.setattr(Readiness, "require", look)
    context = replace(pair.north.context, monotonic=clock)
    worker = Worker()
    app = create_app(context, worker, Readiness(context))

    async def ask() -> None:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="https://north.test"
        ) as client:
            for path in ("/health/ready", "/metrics", "/health/ready"):
                assert (await client.get(path)).status_code == 200

    asyncio.run(ask())
    assert len(looks) == 1
    clock.now += LONGEST
    asyncio.run(ask())
    assert len(looks) == 2
    worker.stop()


def test_a_folder_that_is_away_for_a_while_delays_deletion_and_does_not_end_it(
    pair: Pair,
) -> None:
    north, asked = pair.north, pair.world.propose()
    pair.collect(asked, *HOSPITALS)
    north.clock.now = NOW + 600 + DAY

    async def delete() -> None:
        deletion.tidy(north.context)

    task, away = Task("deletion", delete, 0.001, Clock()), north.folder / "away"
    (north.folder / "rounds").rename(away)
    during([task], lambda: task.failures > 2)
    away.rename(north.folder / "rounds")
    during([task], lambda: not north.context.spool.rounds())


def test_a_round_that_cannot_be_tidied_keeps_no_other_one(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [pair.world.propose(run=run) for run in ("one", "two", "three")]
    for one in asked:
        pair.collect(one, *HOSPITALS)
    north = pair.north
    north.clock.now = NOW + 600 + DAY
    stuck = north.context.spool.rounds()[0]
    remove = shutil.rmtree

    def fail(folder: object, *_: object) -> None:
        if stuck in str(folder):
            raise MemoryError
        remove(folder)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", fail)
        with pytest.raises(MemoryError):
            deletion.tidy(north.context)
    assert north.context.spool.rounds() == [stuck]
    deletion.tidy(north.context)
    assert north.context.spool.rounds() == []
