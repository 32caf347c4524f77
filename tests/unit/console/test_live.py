"""A page is told when there is something new, and an audit runs beside it."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from fedsecure.console.watching import UNKNOWN, Watch
from fedsecure.errors import OperatorError, RoundStateError
from tests.browser import stores
from tests.browser.serving import Served, owner, post, serving
from tests.unit.console.test_owner_pages import read

PATIENCE = 60.0  # seconds


def marks(stream: httpx.Response) -> Iterator[str]:
    for line in stream.iter_lines():
        if line.startswith("data: "):
            yield line.removeprefix("data: ")


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_stream_tells_each_change_once(tmp_path: Path) -> None:
    training = stores.Training(tmp_path)
    with (
        serving(owner(training.path)) as served,
        served.client() as client,
        client.stream("GET", "/live") as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = marks(stream)
        assert next(told) == "5.0"
        training.grant(2)
        assert next(told) == "7.0"
        training.finish(2)
        assert next(told) == "9.0"


def test_a_stream_ends_with_its_session(served: Served) -> None:
    with served.client() as client, client.stream("GET", "/live") as stream:
        told = marks(stream)
        next(told)
        assert post(served, client, "/logout", {}).status_code == 303
        assert list(told) == []


def test_streams_end_when_the_console_does(told: Path) -> None:
    with serving(owner(told)) as served, served.client() as client:
        # Left before the stream is: otherwise this would wait for the test's patience.
        stream = client.stream("GET", "/live")
        next(marks(stream.__enter__()))
    stream.__exit__(None, None, None)


def test_there_are_only_so_many_streams() -> None:
    watch = Watch(lambda: "1", time.monotonic, most=1)

    async def twice() -> None:
        watch.require_room()
        stream = watch.stream(lambda: True)
        await anext(stream)
        with pytest.raises(RoundStateError, match="FS-591"):
            watch.require_room()
        await stream.aclose()  # type: ignore[attr-defined]
        watch.require_room()

    asyncio.run(twice())


def test_a_store_that_fails_ends_no_stream() -> None:
    looks = iter(["1", OperatorError("FS-604", "it is gone"), "2"])

    def look() -> str:
        found = next(looks)
        if isinstance(found, OperatorError):
            raise found
        return found

    async def three() -> list[str | None]:
        stream = Watch(look, time.monotonic).stream(lambda: True)
        return [(await anext(stream)).raw_data for _ in range(3)]

    assert asyncio.run(three()) == ["1", UNKNOWN, "2"]


def test_an_audit_is_run_on_demand_and_says_how_old_it_is(tmp_path: Path) -> None:
    training = stores.Training(tmp_path)
    with serving(owner(training.path)) as served, served.client() as client:
        assert "No audit was made" in client.get("/").text
        assert post(served, client, "/audit", {}).headers["location"] == "/audit"
        wait_until(lambda: "all records agree" in client.get("/audit").text)
        page = read(client.get("/audit").text)
        assert "aggregator-a: its store was not looked at" in page
        assert "--aggregator names them" in page
        assert "(1) every entry is signed and linked to the one before 5 ok" in page
        assert "Nothing was added to the ledger since." in page
        training.grant(2)
        page = read(client.get("/runs/heart-1").text)
        assert "2 entries were added to the ledger since" in page


def test_an_audit_that_finds_something_says_it(told: Path) -> None:
    damaged(told)
    with serving(owner(told)) as served, served.client() as client:
        post(served, client, "/audit", {})
        wait_until(lambda: "do not agree" in client.get("/audit").text)
        page = read(client.get("/audit").text)
        assert "consortium: heart-1 train round 1" in page
        assert "total_weight is 7, the ledger says" in page
        assert "loss" not in page
        assert "the records do not agree" in read(client.get("/").text)


def damaged(path: Path) -> None:
    with sqlite3.connect(path) as store:
        store.execute("UPDATE rounds SET total_weight = 7 WHERE round = 1").close()


def test_an_audit_that_cannot_be_made_says_why(told: Path, tmp_path: Path) -> None:
    missing = str(tmp_path / "north.jsonl")
    with (
        serving(owner(told, aggregators=[missing])) as served,
        served.client() as client,
    ):
        post(served, client, "/audit", {})
        wait_until(lambda: "could not be made" in client.get("/audit").text)
        assert "FS-860" in client.get("/audit").text
