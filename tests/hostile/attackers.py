"""Everything that a stranger, or somebody of the cohort, may do to a server at once.

    python -m tests.hostile.attackers PORT SECONDS < AMMUNITION

A process of its own, so that what it costs is not charged to honest clients; bounded in
time, in connections and in pace. It comes from addresses of its own, and from that of
honest parties too. At its end it prints, as JSON, how often each thing was done.

It has a lower priority than servers and honest clients. They share this machine's
processors with it, which they do with no stranger: what it computes for its own side
of TLS would be measured as if the servers were slow. What it makes the servers do has
their priority.
"""

import json
import os
import select
import socket
import ssl
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

HOST: Final = "127.0.0.1"
STRANGERS: Final = ("127.0.0.66", "127.0.0.67")
SILENT: Final = 300  # connections, more than a server here has descriptors
UNREAD: Final = 20
SLOW: Final = 20
MEGABYTE: Final = 2**20
NICE: Final = 10  # lower than the servers' priority by so much

GET: Final = b"GET /v1/identity HTTP/1.1\r\nHost: x\r\n\r\n"


class Attack:
    """What all attackers of one server share."""

    def __init__(self, port: int, seconds: float, ammunition: dict[str, Any]) -> None:
        self.port, self.end = port, time.monotonic() + seconds
        self.ammunition = ammunition
        self.done: Counter[str] = Counter()
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE

    def goes_on(self) -> bool:
        return time.monotonic() < self.end

    def dial(self, source: str = STRANGERS[0]) -> socket.socket:
        line = socket.create_connection((HOST, self.port), 5, (source, 0))
        line.settimeout(5)
        return line

    @contextmanager
    def line(self, source: str = STRANGERS[0]) -> Iterator[ssl.SSLSocket]:
        with self.dial(source) as plain, self.tls.wrap_socket(plain) as line:
            yield line

    def repeat(self, name: str, once: Callable[[], None], pause: float) -> None:
        """Do something until the time is over; a server that hangs up is no reason."""
        while self.goes_on():
            with suppress(OSError):
                once()
            self.done[name] += 1
            time.sleep(pause)

    # --- one thing each ----------------------------------------------------------

    def pipelining(self) -> None:
        """Ask without a pause, 1 MB a second, and never read."""
        with self.line() as line:
            while self.goes_on():
                line.sendall(GET * 2500)
                time.sleep(0.1)

    def silent(self) -> None:
        """Hold as many connections as may be, without a word; TLS for some."""
        held: list[socket.socket] = []
        try:
            while self.goes_on():
                with suppress(OSError):
                    held.append(self.dial(STRANGERS[len(held) % 2]))
                    self.done["silent connections"] += 1
                if len(held) >= SILENT:
                    held = self.still_open(held)
                time.sleep(0.02)
        finally:
            for line in held:
                line.close()

    @staticmethod
    def still_open(held: list[socket.socket]) -> list[socket.socket]:
        ended, _, _ = select.select(held, [], [], 0.5)
        for line in ended:
            line.close()
        return [line for line in held if line not in ended]

    def replays(self) -> None:
        """Send again what others signed: a member has the spec, and the header."""
        with self.line(HOST) as line:
            while self.goes_on():
                for raw in self.ammunition["replays"]:
                    line.sendall(bytes.fromhex(raw))
                    self.read_answer(line)
                    self.done["replays answered"] += 1
                time.sleep(0.02)

    def refusals(self) -> None:
        """Send what is refused, as fast as it is."""
        with self.line() as line:
            while self.goes_on():
                line.sendall(bytes.fromhex(self.ammunition["refused"]))
                self.read_answer(line)
                self.done["refusals answered"] += 1

    @staticmethod
    def read_answer(line: ssl.SSLSocket) -> None:
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = line.recv(65536)
            if not piece:
                raise ConnectionResetError
            answer += piece

    def unread(self) -> None:
        """Ask for the longest page that strangers may see, and never read it."""
        lines = []
        try:
            for _ in range(UNREAD):
                plain = self.dial(STRANGERS[1])
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                lines.append(self.tls.wrap_socket(plain))
            for _ in range(60):
                for line in lines:
                    with suppress(OSError):
                        line.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                time.sleep(0.2)
                if not self.goes_on():
                    break
        finally:
            for line in lines:
                line.close()

    def upgrades(self) -> None:
        """Hide a request in a body behind an upgrade: one answer, and no more."""
        with self.line() as line:
            head = b"PUT /v1/rounds/x HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            fields = b"Upgrade: websocket\r\nContent-Length: %d\r\n\r\n" % len(GET)
            line.sendall(head + fields + GET)
            answer = b""
            while piece := line.recv(65536):
                answer += piece
        if answer.count(b"HTTP/1.1 ") != 1:
            self.done["smuggled"] += 1

    def slow_heads(self) -> None:
        """A byte a second on many lines."""
        lines = []
        try:
            for _ in range(SLOW):
                lines.append(self.tls.wrap_socket(self.dial(STRANGERS[1])))
            for byte in (GET[:-4] + b"\r\nX: " + b"x" * 60).decode():
                for line in lines:
                    with suppress(OSError):
                        line.send(byte.encode())
                time.sleep(1)
                if not self.goes_on():
                    break
        finally:
            for line in lines:
                line.close()

    def bodies(self) -> None:
        """Specs of 4 MB that nobody signed."""
        with self.line() as line:
            path = f"/v1/rounds/{'0' * 64}"
            head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {4 * MEGABYTE}"
            line.sendall(head.encode() + b"\r\n\r\n" + b"a" * (4 * MEGABYTE - 1))
            time.sleep(2)  # the last byte waits

    def long_lines(self) -> None:
        """Targets longer than a parser counts."""
        with self.line() as line:
            line.sendall(b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
            self.read_answer(line)

    def run(self) -> None:
        kinds = [
            (self.pipelining, 0.5, 2),
            (self.silent, 0.5, 1),
            (self.replays, 0.5, 1),
            (self.refusals, 0.5, 1),
            (self.unread, 0.5, 1),
            (self.upgrades, 0.1, 1),
            (self.slow_heads, 0.5, 1),
            (self.bodies, 0.2, 4),
            (self.long_lines, 0.2, 1),
        ]
        threads = [
            threading.Thread(target=self.repeat, args=(once.__name__, once, pause))
            for once, pause, times in kinds
            for _ in range(times)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def main(port: str, seconds: str) -> None:
    """Attack one server for so many seconds."""
    os.nice(NICE)
    attack = Attack(int(port), float(seconds), json.load(sys.stdin))
    attack.run()
    json.dump(attack.done, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
