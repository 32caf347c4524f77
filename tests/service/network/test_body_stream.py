"""Bodies that are taken off the wire without a parser: the bytes and the borders."""

import asyncio
import gc
import hashlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from fedsecure.transport.certificates import Authority
from fedsecure_aggregator.http.body_stream import (
    BODY_STREAM,
    StreamingConnection,
    protocol,
)

pytestmark = [pytest.mark.service, pytest.mark.timeout(60)]
HOST = "127.0.0.1"


@dataclass
class Taker:
    """An application that takes bodies in the way their path says."""

    cut_off_after: list[int] = field(default_factory=list)
    gone: threading.Event = field(default_factory=threading.Event)

    async def pour(self, request: Request) -> PlainTextResponse:
        """Read some bytes as usual and pour the rest."""
        digest, size = hashlib.sha256(), 0

        def take(piece: memoryview) -> None:
            nonlocal size
            digest.update(piece)
            size += len(piece)

        first = await anext(request.stream())
        take(memoryview(first))
        try:
            await request.scope["extensions"][BODY_STREAM](take)
        except ClientDisconnect:
            self.cut_off_after.append(size)
            self.gone.set()
            raise
        return PlainTextResponse(f"{size} {digest.hexdigest()}")

    async def late(self, request: Request) -> PlainTextResponse:
        """Pour a body once all of what may wait for it has come."""
        await asyncio.sleep(0.3)
        return await self.pour(request)

    async def fail(self, request: Request) -> PlainTextResponse:
        """Give up in the middle of a body."""

        def take(_: memoryview) -> None:
            raise OSError("no room")

        try:
            await request.scope["extensions"][BODY_STREAM](take)
        except OSError as error:
            return PlainTextResponse(str(error), 507)
        return PlainTextResponse("never")

    async def stream(self, request: Request) -> PlainTextResponse:
        """Read a body as everybody does."""
        whole = b"".join([piece async for piece in request.stream()])
        return PlainTextResponse(f"{len(whole)} {hashlib.sha256(whole).hexdigest()}")


@dataclass
class Served:
    port: int
    trust: ssl.SSLContext
    taker: Taker

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection((HOST, self.port), timeout=20)
        return self.trust.wrap_socket(plain, server_hostname=HOST)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("pouring")
    now, authority = datetime.now(UTC), _authority(folder)
    certified = authority.certify([HOST], now, timedelta(days=1))
    (folder / "tls.pem").write_bytes(certified.certificate)
    (folder / "tls.key").write_bytes(certified.key)
    taker = Taker()
    ways = ("pour", "late", "fail", "stream")
    routes = [Route(f"/{w}", getattr(taker, w), methods=["PUT"]) for w in ways]
    config = uvicorn.Config(
        Starlette(routes=routes),
        loop="uvloop",
        http=protocol(StreamingConnection),
        ws="none",
        log_config=None,
        ssl_certfile=folder / "tls.pem",
        ssl_keyfile=folder / "tls.key",
    )
    with socket.create_server((HOST, 0)) as listener:
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        trust = ssl.create_default_context(cafile=folder / "ca.pem")
        yield Served(listener.getsockname()[1], trust, taker)
        server.should_exit = True
        thread.join(20)


def _authority(folder: Path) -> Authority:
    authority = Authority.create("test", datetime.now(UTC), timedelta(days=1))
    (folder / "ca.pem").write_bytes(authority.pem)
    return authority


def head(path: str, size: int, *more: str) -> bytes:
    lines = [f"PUT /{path} HTTP/1.1", "Host: x", f"Content-Length: {size}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(line: Any) -> tuple[int, str]:
    """Read one answer: its status and text."""
    status = int(line.readline().split()[1])
    length = 0
    while (header := line.readline().strip().lower()) != b"":
        if header.startswith(b"content-length:"):
            length = int(header.partition(b":")[2])
    return status, line.read(length).decode()


def told(body: bytes) -> tuple[int, str]:
    return 200, f"{len(body)} {hashlib.sha256(body).hexdigest()}"


def body_of(size: int) -> bytes:
    return bytes(range(256)) * (size // 256) + bytes(size % 256)


@pytest.mark.parametrize("way", ["pour", "late", "stream"])
@pytest.mark.parametrize("size", [1, 100, 65_536, 65_537, 262_144, 263_168, 3_000_001])
def test_every_byte_of_a_body_comes_once(served: Served, way: str, size: int) -> None:
    body = body_of(size)
    with served.connect() as line, line.makefile("rb") as answers:
        for _ in range(2):  # on one connection
            line.sendall(head(way, size))
            line.sendall(body)
            assert answer(answers) == told(body)


def test_a_request_that_follows_a_body_at_once_is_another_request(
    served: Served,
) -> None:
    bodies = [body_of(size) for size in (300_000, 5, 70_000, 1)]
    ways = ("pour", "stream", "late", "pour")
    sent = b"".join(
        head(way, len(body)) + body for way, body in zip(ways, bodies, strict=True)
    )
    with served.connect() as line, line.makefile("rb") as answers:
        line.sendall(sent)
        assert [answer(answers) for _ in bodies] == [told(body) for body in bodies]


def test_a_body_may_come_byte_by_byte(served: Served) -> None:
    body = body_of(200)
    with served.connect() as line, line.makefile("rb") as answers:
        for byte in head("pour", len(body)) + body:
            line.sendall(bytes([byte]))
        assert answer(answers) == told(body)


def test_a_body_in_chunks_is_refused_and_the_line_closed(served: Served) -> None:
    """Its end would be the parser's word alone, and what follows it a header."""
    start = b"PUT /pour HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with served.connect() as line, line.makefile("rb") as answers:
        line.sendall(start + b"5\r\nabcde\r\n0\r\n\r\n" + head("pour", 3) + b"abc")
        status, body = answer(answers)
        assert (status, body[:6]) == (411, "FS-316")
        assert answers.read() == b""


def test_who_asks_before_sending_is_answered(served: Served) -> None:
    body = body_of(100_000)
    with served.connect() as line, line.makefile("rb") as answers:
        line.sendall(head("pour", len(body), "Expect: 100-continue"))
        assert answers.readline().startswith(b"HTTP/1.1 100 ")
        assert answers.readline() == b"\r\n"
        line.sendall(body)
        assert answer(answers) == told(body)


def test_what_a_taker_raises_reaches_the_application(served: Served) -> None:
    body = body_of(2_000_000)
    with served.connect() as line, line.makefile("rb") as answers:
        line.sendall(head("fail", len(body)) + body)
        assert answer(answers) == (507, "no room")
        line.sendall(head("pour", 3) + b"abc")  # the rest of the body was thrown away
        assert answer(answers) == told(b"abc")


def test_a_body_that_is_cut_off_is_no_body(served: Served) -> None:
    served.taker.gone.clear()
    with served.connect() as line:
        line.sendall(head("pour", 1_000_000) + body_of(400_000))
    assert served.taker.gone.wait(20)
    assert 0 < served.taker.cut_off_after[-1] <= 400_000


@pytest.mark.parametrize("length", ["+5", "5x", "-1", "0x5", "5, 5", ""])
def test_a_length_that_is_none_is_refused_before_anything_is_taken(
    served: Served, length: str
) -> None:
    with served.connect() as line, line.makefile("rb") as answers:
        sent = f"PUT /pour HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        line.sendall(sent.encode() + b"abcde")
        assert answer(answers)[0] == 400


def test_two_lengths_are_refused(served: Served) -> None:
    with served.connect() as line, line.makefile("rb") as answers:
        line.sendall(head("pour", 3, "Content-Length: 5") + b"abcde")
        assert answer(answers)[0] == 400


def test_many_connections_share_a_buffer_and_no_bytes(served: Served) -> None:
    results: dict[int, tuple[int, str]] = {}

    def send(number: int) -> None:
        body = bytes([number]) * (500_000 + number)
        with served.connect() as line, line.makefile("rb") as answers:
            line.sendall(head("pour", len(body)) + body)
            results[number] = answer(answers)

    threads = [threading.Thread(target=send, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    sent = {n: told(bytes([n]) * (500_000 + n)) for n in range(12)}
    assert results == sent


def test_nothing_of_a_connection_outlives_it(served: Served) -> None:
    gc.collect()
    gc.disable()  # what only the collector of cycles would find is found here
    try:
        for way in ("pour", "stream", "late", "fail"):
            with served.connect() as line, line.makefile("rb") as answers:
                for _ in range(3):
                    line.sendall(head(way, 300_000) + body_of(300_000))
                    answer(answers)
        deadline = time.monotonic() + 20
        while (left := _alive()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left
    finally:
        gc.enable()


def _alive() -> list[str]:
    kinds = (StreamingConnection, RequestResponseCycle)
    return [type(one).__name__ for one in gc.get_objects() if isinstance(one, kinds)]
