"""A connection that asked too often: answered, and then not read for a while."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from fedsecure.transport.bounded_connection import Bounded, Peer, peer_of

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
REST = 0.05  # seconds


class Transport(asyncio.Transport):
    """A connection that notes what is done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.again = asyncio.Event()

    def write(self, data: Any) -> None:
        if data.startswith(b"HTTP/1.1 "):
            self.done.append(data.split()[1].decode())

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")
        self.again.set()

    def is_closing(self) -> bool:
        return "close" in self.done

    def close(self) -> None:
        self.done.append("close")

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _: str, default: Any = None) -> Any:
        return default


async def tired(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    """Have each connection rest after its answer."""
    peer = peer_of(scope)
    assert peer is not None
    peer.rest = REST
    head = {"type": "http.response.start", "status": 429}
    await send({**head, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def connected(transport: Transport) -> Bounded:
    config = uvicorn.Config(cast("Any", tired), ws="none", timeout_keep_alive=1)
    config.load()
    line = Bounded(config=config, server_state=ServerState(), app_state={})
    line.attend(Peer("192.0.2.1", 0.0), lambda: None)
    line.connection_made(transport)
    return line


async def until(transport: Transport, event: str, times: int = 1) -> None:
    async with asyncio.timeout(30):
        while not transport.done.count(event) >= times:
            await asyncio.sleep(0.001)


async def rests_and_is_read_again() -> list[str]:
    transport = Transport()
    line = connected(transport)
    line.data_received(GET)
    await until(transport, "429")
    line.data_received(GET)  # what was read already is answered, and is no rest
    await until(transport, "resume")
    line.data_received(GET)
    await until(transport, "429", 3)
    line.connection_lost(None)
    return transport.done


async def rests_behind_others() -> list[str]:
    transport = Transport()
    line = connected(transport)
    line.data_received(GET * 3)
    await until(transport, "429", 3)
    await until(transport, "resume")
    line.connection_lost(None)
    return transport.done


async def ends_while_it_rests() -> list[str]:
    transport = Transport()
    line = connected(transport)
    line.data_received(GET)
    await until(transport, "pause")
    line.connection_lost(None)
    await asyncio.sleep(2 * REST)
    return transport.done


async def says_what_is_wrong_while_it_rests() -> list[str]:
    transport = Transport()
    line = connected(transport)
    line.data_received(GET)
    await until(transport, "pause")
    line.data_received(b"no HTTP\r\n\r\n")
    await asyncio.sleep(2 * REST)
    return transport.done


@pytest.mark.parametrize(
    ("story", "done"),
    [
        (
            rests_and_is_read_again,
            ["429", "pause", "429", "resume", "429", "pause", "close"],
        ),
        (rests_behind_others, ["pause", "429", "429", "429", "resume", "close"]),
        (ends_while_it_rests, ["429", "pause", "close"]),
        (says_what_is_wrong_while_it_rests, ["429", "pause", "400", "close"]),
    ],
)
def test_it_is_not_read_while_it_rests(
    story: Callable[[], Awaitable[list[str]]], done: list[str]
) -> None:
    async def run() -> list[str]:
        return await story()

    assert asyncio.run(run()) == done


def test_the_time_for_the_next_head_begins_after_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> list[float]:
        set_for: list[float] = []
        transport = Transport()
        line = connected(transport)
        later = line.loop.call_later

        def noted(seconds: float, *what: Any) -> asyncio.TimerHandle:
            set_for.append(seconds)
            return later(seconds, *what)

        monkeypatch.setattr(line.loop, "call_later", noted)
        line.data_received(GET)
        await until(transport, "resume")
        line.connection_lost(None)
        return [one for one in set_for if one in (REST, 1)]

    assert asyncio.run(run())[-2:] == [REST, 1]
