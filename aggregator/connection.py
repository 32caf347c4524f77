"""One connection as HTTP: what is refused before there is a request to answer.

uvicorn reads heads of any length and waits for them for ever. Here a head has a limit
and a time, and a refusal is a problem document as everywhere else. Once a head is
complete, the routes answer, and `intake` sees to bodies.
"""

import asyncio
from asyncio.events import TimerHandle
from http import HTTPStatus
from typing import Any, Final

import structlog

from aggregator.problems import document
from fedsecure.errors import PROBLEMS
from fedsecure.pouring import Pouring

MAX_HEAD: Final = 64 * 2**10  # bytes of a request line and its headers

log = structlog.get_logger()


class Connection(Pouring):
    """A client's connection; uvicorn makes one for each.

    From its beginning, and after each answer, the next request's head must be complete
    within `timeout_keep_alive` seconds. What is left of a refused upload may take
    longer, as long as it moves.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head: int | None = 0  # bytes of the head under way; None within a body
        self._timer: TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        cycle: Any = self.cycle  # None at first, whatever uvicorn's types say
        return cycle is None or bool(cycle.response_complete)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def received(self, data: memoryview) -> None:
        """Wait for the rest, once what was asked is answered."""
        if self._head is None and self.idle:
            self._wait()
        super().received(data)

    def data_received(self, data: bytes) -> None:
        """Count a head's bytes; uvicorn does the rest."""
        if self._head is not None:
            self._head += len(data)
        super().data_received(data)
        if self._head is not None and not self._head <= MAX_HEAD:
            self._refuse("FS-315", f"a head of more than {MAX_HEAD} bytes")

    def on_headers_complete(self) -> None:
        """Leave the request to the routes."""
        self._head = None
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Expect the next head."""
        self._head = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, instead of uvicorn, whom one byte contents."""
        super().on_response_complete()
        self._unset_keepalive_if_required()
        if self.idle:
            self._wait()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        self._refuse("FS-532", msg)

    def _wait(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(self.timeout_keep_alive, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self._head:
            seconds = self.timeout_keep_alive
            self._refuse("FS-319", f"no whole request in {seconds} s")
        else:  # between two requests, or behind one that is answered already
            self.transport.close()

    def _refuse(self, code: str, detail: str) -> None:
        """Say what is wrong, and close."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        log.info("refused", code=code, round=None)
        status = HTTPStatus(PROBLEMS[code].status)
        answer = document(PROBLEMS[code], detail, status)
        headers = [*answer.raw_headers, (b"connection", b"close")]
        lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
        lines += [name + b": " + value for name, value in headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()
