"""One HTTP connection of a server of ours, of which everything is bounded.

uvicorn reads heads of any length and waits for them for ever, queues as many requests
as a client sends at once, goes on with what follows a refused upgrade as if it were
another request, and waits for ever for a client that does not read its answer. Here

    a head       has a limit and a time
    requests     that wait behind the one that is answered are few
    reading      stops as long as any waits, and never starts again after a refusal
    an answer    has to be taken away, if slowly
    a body       says its length: there are no chunks, and no upgrades

What cannot be answered at its place, behind requests that can, ends the connection once
these are answered.
"""

import asyncio
from asyncio.events import TimerHandle
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fedsecure.errors import PROBLEMS, Problem

PEER: Final = "fedsecure.peer"
MAX_HEAD: Final = 64 * 2**10  # bytes of a request line and its headers
MAX_LINE: Final = 8 * 2**10  # bytes of a request's target; longer, the parser wraps
MAX_WAITING: Final = 8  # requests behind the one that is answered
LEAST_READ: Final = 2**16  # bytes of an answer to be taken while a client stands still

log = structlog.get_logger()


@dataclass(slots=True)
class Peer:
    """Who is at the other end of a connection, as far as that is known.

    Args:
        address: As it was accepted; "" when nobody knows.
        quiet_since: Seconds that never go back: the beginning, or when the last
            request that a party had signed was answered.
        vouched: Whether a party has signed the request that is answered now.
        due: When all that no party was charged for is paid off; kept by who counts.
        rest: Seconds for which nothing is read from it after the answer under way.
    """

    address: str
    quiet_since: float
    vouched: bool = False
    due: float | None = None
    rest: float = 0.0


class _Flow(FlowControl):
    """Reading: not while requests wait or it rests, nor after a refusal."""

    def __init__(self, transport: asyncio.Transport, waiting: "deque[Any]") -> None:
        super().__init__(transport)
        self._waiting = waiting
        self.deaf = self.resting = False

    def resume_reading(self) -> None:
        if not (self._waiting or self.deaf or self.resting):
            super().resume_reading()


class Bounded(HttpToolsProtocol):
    """A client's connection; uvicorn makes one for each.

    From its beginning, and after each answer, the next request's head must be complete
    within `timeout_keep_alive` seconds. What is left of a refused upload may take
    longer, as long as it moves.
    """

    flow: _Flow

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.peer: Peer | None = None
        self._on_lost: Callable[[], None] | None = None  # of whoever accepted it
        self._head: int | None = 0  # bytes of the head under way; None within a body
        self._fields = 0  # bytes of its parts that the parser has found
        self._timer: TimerHandle | None = None
        self._unread: TimerHandle | None = None
        self._rested: TimerHandle | None = None
        self._refusal: tuple[str, str] | None = None

    def attend(self, peer: Peer, lost: Callable[[], None]) -> None:
        """Say who is there, and have somebody told when it is over."""
        self.peer, self._on_lost = peer, lost

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        cycle: Any = self.cycle  # None at first, whatever uvicorn's types say
        return cycle is None or bool(cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._stop_watching()
        self._stop_resting()
        super().connection_lost(exc)
        self.pipeline.clear()
        lost, self._on_lost = self._on_lost, None
        if lost is not None:
            lost()

    def data_received(self, data: bytes) -> None:
        """Count a head's bytes; uvicorn does the rest."""
        if self.flow.deaf:
            return
        if self._head is None and self.idle:
            self._wait()  # what was asked is answered, its body still comes
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head is not None and not self._head <= MAX_HEAD:
            self.refuse("FS-315", f"a head of more than {MAX_HEAD} bytes")
        self._say_refusal()

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self.flow.deaf:
            self._fields = 0
            super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of a request's target."""
        if self._fits(len(url), MAX_LINE, "target"):
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        if self._fits(len(name) + len(value) + 4, MAX_HEAD, "head"):
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Leave the request to the application, or refuse it."""
        if self.flow.deaf:
            return
        self._head = None
        self._stop_waiting()
        wrong = self._wrong()
        if wrong is not None:
            self.refuse(*wrong)
        else:
            super().on_headers_complete()
            self.scope["extensions"] = {PEER: self.peer}  # type: ignore[dict-item]

    def on_body(self, body: bytes) -> None:
        """Take a piece of a body."""
        if not self.flow.deaf:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Expect the next head."""
        if not self.flow.deaf:
            self._head = 0
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, instead of uvicorn, whom one byte contents."""
        if self.peer is not None and self.peer.vouched:
            self.peer.vouched, self.peer.quiet_since = False, self.loop.time()
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if self.idle:
            self._wait()
            self._say_refusal()
        if self.peer is not None and self.peer.rest:
            self._rest(self.peer)

    def pause_writing(self) -> None:
        """Watch whether the client takes its answer."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Stop watching: it did."""
        super().resume_writing()
        self._stop_watching()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self.refuse("FS-532", msg)

    def _unsupported_upgrade_warning(self) -> None:
        """Leave the log alone: it is refused, and that is said."""

    def refuse(self, code: str, detail: str) -> None:
        """Read nothing more, say why once everything before is answered, and close."""
        self._stop_waiting()
        self.flow.deaf = True
        self.flow.pause_reading()
        self._refusal = self._refusal or (code, detail)

    def refusal(self, problem: Problem, detail: str) -> tuple[bytes, bytes]:
        """Return the headers and the body that say what is wrong."""
        body = f"{problem.code} {problem.title}: {detail}\n".encode()
        lines = [b"content-type: text/plain; charset=utf-8"]
        return b"\r\n".join([*lines, b"content-length: %d" % len(body)]), body

    def _say_refusal(self) -> None:
        if self._refusal is None or not self.idle or self.transport.is_closing():
            return
        code, detail = self._refusal
        problem = PROBLEMS[code]
        log.info("refused", code=code, round=None)
        status = HTTPStatus(problem.status)
        headers, body = self.refusal(problem, detail)
        first = f"HTTP/1.1 {status.value} {status.phrase}".encode()
        lines = [first, headers, b"connection: close", b"", body]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()

    def _fits(self, size: int, most: int, what: str) -> bool:
        """Count bytes of a head, or of what follows a body; refuse what is too long."""
        self._fields += size
        if not self.flow.deaf and not self._fields <= most:
            self.refuse("FS-315", f"a {what} of more than {most} bytes")
        return not self.flow.deaf

    def _wrong(self) -> tuple[str, str] | None:
        """Return why a request that is well formed goes no further."""
        names = {name for name, _ in self.headers}
        if self.parser.should_upgrade():
            return "FS-532", "another protocol is asked for"
        if b"transfer-encoding" in names:
            return "FS-316", "a body in chunks"
        if not self.idle and not len(self.pipeline) < MAX_WAITING:
            return "FS-535", f"{MAX_WAITING} requests wait on this connection"
        return None

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(self.timeout_keep_alive, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # closed in good order, it would wait to be read
        elif self._head and self.idle:
            seconds = self.timeout_keep_alive
            self.refuse("FS-319", f"no whole request in {seconds} s")
            self._say_refusal()
        else:  # between two requests, or behind one that is answered already
            self.transport.close()

    def _rest(self, peer: Peer) -> None:
        """Read nothing for a while; the time for the next head begins afterwards."""
        seconds, peer.rest = peer.rest, 0.0
        self._stop_waiting()
        self._stop_resting()
        self.flow.resting = True
        self.flow.pause_reading()
        self._rested = self.loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self.flow.resting = False
        self.flow.resume_reading()
        if self.idle and not self.flow.deaf:
            self._wait()

    def _stop_resting(self) -> None:
        if self._rested is not None:
            self._rested.cancel()
            self._rested = None

    def _watch(self) -> None:
        self._stop_watching()
        held = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(self.timeout_keep_alive, self._look, held)

    def _look(self, held: int) -> None:
        if held - self.transport.get_write_buffer_size() < LEAST_READ:
            log.info("answer not read", round=None)
            self.transport.abort()
        else:
            self._watch()

    def _stop_watching(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def vouch(peer: Peer | None) -> None:
    """Say that a party has signed what a connection asks for: it is not ended now."""
    if peer is not None:
        peer.vouched = True


def peer_of(scope: Any) -> Peer | None:
    """Return who sent a request; None behind another server than ours."""
    peer: Peer | None = scope.get("extensions", {}).get(PEER)
    return peer
