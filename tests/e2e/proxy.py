"""A web proxy on loopback: CONNECT and nothing else, with names of its own.

It resolves the names that docs/deploying.md uses, as a hospital's proxy would.
"""

import select
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

HOST = "127.0.0.1"
PIECE = 65_536


@dataclass
class Proxy:
    """A running proxy, and where it was asked to go."""

    port: int
    asked: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


class Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    proxy: Proxy
    ports: Mapping[str, int]


class Handler(StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        method, target, _ = self.rfile.readline().decode("ascii").split(" ", 2)
        while self.rfile.readline().strip():
            pass
        self.server.proxy.asked.append(target)
        port = self.server.ports.get(target)
        if method != "CONNECT" or port is None:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        try:
            other = socket.create_connection((HOST, port), timeout=10)
        except OSError:
            self.wfile.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
            return
        with other, suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            pump(self.connection, other)


def pump(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes both ways until one side ends."""
    to = {one: other, other: one}
    while True:
        for source in select.select([one, other], [], [])[0]:
            piece = source.recv(PIECE)
            if not piece:
                return
            to[source].sendall(piece)


@contextmanager
def proxying(ports: Mapping[str, int]) -> Iterator[Proxy]:
    """Run a proxy that knows these `host:port`, by the port of loopback they are."""
    with Server((HOST, 0), Handler) as server:
        server.ports = ports
        server.proxy = Proxy(server.server_address[1])
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()
            thread.join()
