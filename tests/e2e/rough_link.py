"""A TCP link between agents and a server, with a will of its own.

Bytes pass as they are (TLS is not touched) until a fault is set:

    refuse   connections end as soon as they are made, and those that are open
    cut      a connection ends after some bytes of the server's answer
    lose     what the agent says arrives; of the answer nothing does
    slow     every piece waits
"""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

HOST: Final = "127.0.0.1"
PIECE: Final = 16_384  # bytes
CUT_AFTER: Final = 900  # bytes of an answer
PAUSE: Final = 0.4  # seconds that a piece waits
FAULTS: Final = ("refuse", "cut", "lose", "slow")


@dataclass
class RoughLink:
    """Listens on `port` and connects to `target`."""

    target: int
    listener: socket.socket
    fault: str = ""
    met: int = 0  # connections that met a fault
    open: set[socket.socket] = field(default_factory=set)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def set(self, fault: str) -> None:
        """Change what happens, also to the connections that are open."""
        self.fault = fault
        for one in list(self.open):
            _end(one)

    def serve(self) -> None:
        while True:
            try:
                inner, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(inner,), daemon=True).start()

    def _carry(self, agent: socket.socket) -> None:
        self.met += bool(self.fault)
        if self.fault == "refuse":
            _end(agent)
            return
        try:
            server = socket.create_connection((HOST, self.target), timeout=5)
        except OSError:
            _end(agent)
            return
        server.settimeout(None)
        self.open |= {agent, server}
        there = threading.Thread(
            target=self._pump, args=(agent, server, False), daemon=True
        )
        there.start()
        self._pump(server, agent, True)
        there.join()
        self.open -= {agent, server}

    def _pump(self, source: socket.socket, sink: socket.socket, answer: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE):
                if self.fault == "slow":
                    time.sleep(PAUSE)
                if answer and self.fault == "lose":
                    continue
                if answer and self.fault == "cut" and passed + len(piece) > CUT_AFTER:
                    sink.sendall(piece[: max(0, CUT_AFTER - passed)])
                    break
                sink.sendall(piece)
                passed += len(piece)
        _end(source)
        _end(sink)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()


@contextmanager
def rough_link(target: int) -> Iterator[RoughLink]:
    with socket.create_server((HOST, 0), backlog=64) as listener:
        link = RoughLink(target, listener)
        threading.Thread(target=link.serve, daemon=True).start()
        try:
            yield link
        finally:
            link.set("refuse")
