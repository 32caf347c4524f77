import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest
from starlette.requests import Request

from fedsecure.errors import FedsecureError
from fedsecure.transport.bounded_connection import PEER, Peer
from fedsecure.transport.held_bodies import HeldBodies
from fedsecure_aggregator.http import request_body
from fedsecure_aggregator.http.intake import Intake
from fedsecure_aggregator.http.rate_limit import RateLimit
from fedsecure_aggregator.http.request_body import Body, reading
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.storage import queries
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.world import Clock, Report

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
        ("FS-315", {"content-length": "1000001"}),
        ("FS-316", {}),
        ("FS-316", {"content-length": "-1"}),
        ("FS-317", {"content-length": "3", "content-encoding": "gzip"}),
        ("FS-701", {"content-length": "3"}),
    ],
)
def test_bodies_are_refused_before_they_are_read(
    code: str, headers: dict[str, str]
) -> None:
    sent = request(b"\xff\xff\xff", headers=headers)
    assert refused(lambda: read_whole(sent, HeldBodies(10**6))) == code


async def read_whole(sent: Request, holding: HeldBodies, still: float = 60) -> str:
    async with reading(sent, 10**6, still, holding) as token:
        return token


def test_a_statement_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte in time, all of them too long: a stranger holds nothing by that."""
    monkeypatch.setattr(request_body, "SLOWEST", 100)
    sent = slow_request(pieces=100, pause=0.05)
    sent.scope["headers"] = [(b"content-length", b"10")]
    assert refused(lambda: read_whole(sent, HeldBodies(10**6), still=0.2)) == "FS-319"


def test_what_many_send_at_once_is_held_up_to_a_limit_and_makes_room() -> None:
    holding, size = HeldBodies(most=1000), 400
    held: list[int] = []

    async def hold(address: str, still: bool) -> str:
        sent = request(b"a" * size, headers={"content-length": "401"}, still=still)
        sent.scope["extensions"] = {PEER: Peer(address, 0.0)}
        try:
            return await read_whole(sent, holding)
        except FedsecureError as error:
            return error.code
        finally:
            held.append(holding.size)

    async def run() -> list[str]:
        strangers = [
            asyncio.create_task(hold("203.0.113.9", still=True)) for _ in range(6)
        ]
        await asyncio.sleep(0.05)
        honest = await hold("192.0.2.1", still=False)
        answers = [await one for one in strangers[:4]]
        for one in strangers[4:]:
            one.cancel()
        await asyncio.gather(*strangers[4:], return_exceptions=True)
        return [honest, *answers]

    honest, *given_up = asyncio.run(run())
    assert honest == "a" * size
    assert set(given_up) == {"FS-537"}
    assert max(held) <= 1000
    assert holding.size == 0


def test_a_data_owner_has_at_most_two_uploads_under_way(pair: Pair) -> None:
    asked = pair.world.propose()
    report = pair.world.report(asked, pair.grant(asked), "basel")["north"]
    headers = {"content-length": str(len(report.body))}
    worker = Worker()
    desk = Intake(pair.north.context, worker, RateLimit(60, pair.north.clock))

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


def test_a_header_that_nobody_here_signed_leaves_no_trace(pair: Pair) -> None:
    asked = pair.world.propose()
    report = pair.world.report(asked, pair.grant(asked), "basel")["north"]
    token = report.header.token.encode()
    body = report.body.replace(token[-8:], b"A" * 8, 1)
    worker = Worker()
    desk = Intake(pair.north.context, worker, RateLimit(60, Clock()))
    sent = request(body, headers={"content-length": str(len(body))})
    assert refused(lambda: desk.receive(sent, asked.digest, "basel")).startswith("FS-7")
    with pair.north.context.store.reading("look") as session:
        assert queries.refusals_between(session, "basel", 0, 2**40) == 0
    worker.stop()


def _whole(report: Report) -> Request:
    return request(report.body, headers={"content-length": str(len(report.body))})
