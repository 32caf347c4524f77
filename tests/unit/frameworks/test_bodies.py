"""What agents send is bounded all together, and in time."""

import asyncio
from typing import Any

import pytest

from fedsecure.frameworks.flower.runtime import bodies
from fedsecure.frameworks.flower.runtime.bodies import Bodies
from fedsecure.transport.bounded_connection import PEER, Peer

PIECE = 1000  # bytes


async def application(_scope: Any, receive: Any, send: Any) -> None:
    """Reads a whole body and says how long it was, as Flower does."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


class Agent:
    """Sends some pieces; `ends`: then the body is complete, else it waits."""

    def __init__(self, address: str, pieces: int, ends: bool, pause: float = 0) -> None:
        self.peer, self.heard = Peer(address, 0.0), list[dict[str, Any]]()
        length = str(PIECE * pieces).encode()
        self.scope = {
            "headers": [(b"content-length", length)],
            "extensions": {PEER: self.peer},
        }
        self._left, self._ends, self._pause = pieces, ends, pause

    async def receive(self) -> dict[str, Any]:
        await asyncio.sleep(self._pause)
        if not self._left:
            await asyncio.sleep(60)
        self._left -= 1
        more = bool(self._left) or not self._ends
        return {"type": "http.request", "body": b"a" * PIECE, "more_body": more}

    async def send(self, message: dict[str, Any]) -> None:
        self.heard.append(message)

    async def ask(self, held: Bodies) -> bool:
        return await held.pass_on(application, self.scope, self.receive, self.send)


def test_a_body_that_is_whole_is_answered_and_its_sender_known() -> None:
    agent = Agent("192.0.2.1", 3, ends=True)
    assert asyncio.run(agent.ask(Bodies()))
    assert agent.heard[1]["body"] == b"3000"
    assert agent.peer.vouched


@pytest.mark.parametrize("pieces", [0, 2])
def test_a_body_that_stands_still_is_given_up(pieces: int) -> None:
    agent = Agent("192.0.2.1", pieces, ends=False)
    assert not asyncio.run(agent.ask(Bodies(seconds=0.05)))
    assert agent.heard == []
    assert not agent.peer.vouched


def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "SLOWEST", 10**6)
    agent = Agent("192.0.2.1", 1000, ends=True, pause=0.02)
    assert not asyncio.run(agent.ask(Bodies(seconds=0.2)))


def test_many_bodies_make_room_and_those_of_one_address_for_others() -> None:
    held = Bodies(most=5 * PIECE)

    async def run() -> tuple[bool, list[bool]]:
        strangers = [Agent("203.0.113.9", 2, ends=False) for _ in range(2)]
        tasks = [asyncio.create_task(one.ask(held)) for one in strangers]
        await asyncio.sleep(0.05)
        honest = await Agent("192.0.2.1", 3, ends=True).ask(held)
        await asyncio.wait(tasks, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        ended = [task.result() for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return honest, ended

    honest, ended = asyncio.run(run())
    assert honest
    assert ended
    assert not any(ended)


def test_one_body_beyond_all_that_may_be_held_is_given_up() -> None:
    agent = Agent("192.0.2.1", 3, ends=True)
    assert not asyncio.run(agent.ask(Bodies(most=2 * PIECE)))
