import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from starlette.requests import Request

from aggregator.fold import Worker
from aggregator.intake import Body, Intake, read_all
from aggregator.pace import Pace
from fedsecure.errors import FedsecureError
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.world import Report

Message = MutableMapping[str, Any]


def request(*pieces: bytes, headers: dict[str, str], still: bool = False) -> Request:
    """A request whose body comes in these pieces; `still`: and then nothing more."""
    queue = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    last = {"type": "http.request", "body": b"", "more_body": False}

    async def receive() -> Message:
        if queue:
            return queue.pop(0)
        if still:
            await asyncio.sleep(60)
        return last

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "headers": raw, "method": "PUT"}, receive)


def refused(call: Callable[[], Awaitable[object]]) -> str:
    async def run() -> None:
        await call()

    with pytest.raises(FedsecureError) as caught:
        asyncio.run(run())
    return caught.value.code


def test_a_body_gives_exact_lengths_however_it_is_cut() -> None:
    async def run() -> tuple[bytes, bytes, bytes]:
        body = Body(request(b"a", b"", b"bcd", b"ef", headers={}), 60)
        async with body.moving():
            first, second = await body.take(2), await body.take(1)
            return first, second, b"".join([piece async for piece in body.rest()])

    assert asyncio.run(run()) == (b"ab", b"c", b"def")


def test_a_body_that_ends_within_the_header_is_refused() -> None:
    body = Body(request(b"abc", headers={}), 60)
    assert refused(lambda: take(body, 4)) == "FS-313"


def test_an_upload_that_stands_still_is_given_up() -> None:
    body = Body(request(b"abc", headers={}, still=True), still_seconds=0.01)
    assert refused(lambda: take(body, 4)) == "FS-319"


def test_an_upload_may_take_any_time_as_long_as_it_moves() -> None:
    async def run() -> int:
        body = Body(slow_request(pieces=8, pause=0.1), still_seconds=0.4)
        async with body.moving():
            return sum([len(piece) async for piece in body.rest()])

    assert asyncio.run(run()) == 8


def slow_request(pieces: int, pause: float) -> Request:
    left = iter(range(pieces - 1, -1, -1))

    async def receive() -> dict[str, object]:
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": b"x", "more_body": next(left) > 0}

    return Request({"type": "http", "headers": [], "method": "PUT"}, receive)


async def take(body: Body, length: int) -> bytes:
    async with body.moving():
        return await body.take(length)


@pytest.mark.parametrize(
    ("code", "headers"),
    [
        ("FS-315", {"content-length": "11"}),
        ("FS-316", {}),
        ("FS-316", {"content-length": "-1"}),
        ("FS-317", {"content-length": "3", "content-encoding": "gzip"}),
        ("FS-532", {"content-length": "3"}),
    ],
)
def test_bodies_are_refused_before_they_are_read(
    code: str, headers: dict[str, str]
) -> None:
    sent = request(b"\xff\xff\xff", headers=headers)
    assert refused(lambda: read_all(sent, limit=10, still_seconds=60)) == code


def test_a_data_owner_has_at_most_two_uploads_under_way(pair: Pair) -> None:
    asked = pair.world.propose()
    report = pair.world.report(asked, pair.grant(asked), "basel")["north"]
    headers = {"content-length": str(len(report.body))}
    worker = Worker()
    desk = Intake(pair.north.context, worker, Pace(60, pair.north.clock))

    async def run() -> list[object]:
        uploads = [
            desk.receive(
                request(report.body[:-1], headers=headers, still=True),
                asked.digest,
                "basel",
            )
            for _ in range(3)
        ]
        tasks = [asyncio.create_task(upload) for upload in uploads]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    outcomes = asyncio.run(run())
    codes = [o.code for o in outcomes if isinstance(o, FedsecureError)]
    assert codes == ["FS-318"]
    assert list((pair.north.folder / "incoming").iterdir()) == []
    again = asyncio.run(desk.receive(_whole(report), asked.digest, "basel"))
    assert again == pair.north.report(report)
    worker.stop()


def _whole(report: Report) -> Request:
    return request(report.body, headers={"content-length": str(len(report.body))})
