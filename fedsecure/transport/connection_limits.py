"""How many connections a server holds, and which one gives way to another.

A connection costs memory and a descriptor from the moment that it is accepted, long
before TLS or a request says who it is. So they are counted here, in all and for each
address, and when there are too many the one that has been quiet the longest ends: one
on which nobody whom the server knows is being answered. Whoever sends what a party has
signed is never ended for a stranger, and a stranger's silence holds no place for long.

Addresses of proxies, behind which many parties sit, are bound by the whole alone.
"""

import asyncio
import ipaddress
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, cast

import structlog
import uvicorn

from fedsecure.system.durability import OUT_OF_FILES
from fedsecure.transport.bounded_connection import Bounded, Peer

HANDSHAKE_SECONDS: Final = 10.0
PAUSE: Final = 0.1  # seconds, when the system gives no connection away
FILES_KEPT: Final = 64  # descriptors for the database, keys, logs and libraries
FILES_EACH: Final = 2  # a connection, and the file that it is written to
MOST: Final = 1024  # connections; each takes about 0.1 MB before it says a word
IPV6_PREFIX: Final = 64  # bits; whoever has one address has all of these
WHY: Final = ("address", "full", "refused", "not accepted")  # a connection has to go

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections a server holds.

    Args:
        most: In all.
        per_address: Of one IPv4 address, or of 2^64 of IPv6.
        proxies: Addresses for which only `most` counts.
    """

    most: int
    per_address: int
    proxies: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        files: int,
        most: int | None = None,
        per_address: int | None = None,
        proxies: Sequence[str] = (),
    ) -> "Limits":
        """Return what so many descriptors allow; of one address, half of it.

        Args:
            files: Descriptors that this process may have.
            most: Less than that, if wanted.
            per_address: Instead of half.
            proxies: Addresses, as `canonical` returns them.
        """
        room = max(1, (files - FILES_KEPT) // FILES_EACH)
        whole = min(room, most or MOST)
        share = min(whole, per_address or max(1, whole // 2))
        return cls(whole, share, frozenset(proxies))


def raise_files() -> int:
    """Take as many descriptors as this process may; return how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_KEPT + FILES_EACH * MOST
    if soft < wanted:
        with suppress(ValueError, OSError):
            soft = min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def canonical(address: str) -> str:
    """Return what is counted as one address.

    Raises:
        ValueError: It is none.
    """
    # A scope ("%eth0") tells nothing more about who it is.
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv6Address):
        if one.ipv4_mapped is not None:
            return str(one.ipv4_mapped)
        return str(ipaddress.ip_network((one, IPV6_PREFIX), strict=False))
    return str(one)


@dataclass(slots=True, eq=False)
class Line:
    """One accepted connection."""

    peer: Peer
    abort: Callable[[], object] = field(repr=False)
    begun: bool = False


class Lines:
    """The connections of one server, and which one gives way. For one event loop."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.ended: Counter[str] = Counter()
        self._lines: dict[str, list[Line]] = {}
        self._room = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    async def wait_for_room(self) -> None:
        """Return once one more can be accepted, if only for one that gives way."""
        while not len(self) < self.limits.most and self._quiet() is None:
            self._room.clear()
            with suppress(TimeoutError):
                # A request that is answered makes a line quiet, and tells nobody.
                await asyncio.wait_for(self._room.wait(), PAUSE)

    def admit(self, line: Line) -> bool:
        """Take one more in; for its sake another one may end.

        Returns:
            False when nobody of the same address gives way.
        """
        address = line.peer.address
        own = self._lines.get(address, [])
        if address not in self.limits.proxies and (
            not len(own) < self.limits.per_address
        ):
            return self._replace(address, line, "address")
        if not len(self) < self.limits.most:
            fullest = self._quiet()
            return fullest is not None and self._replace(fullest, line, "full")
        self._add(line)
        return True

    def forget(self, line: Line) -> None:
        """Count a line no longer: it has ended."""
        address = line.peer.address
        own = self._lines.get(address, [])
        if line in own:
            own.remove(line)
        if not own:
            self._lines.pop(address, None)
        self._room.set()

    def _add(self, line: Line) -> None:
        self._lines.setdefault(line.peer.address, []).append(line)

    def _replace(self, address: str, line: Line, why: str) -> bool:
        quiet = _quiet_of(self._lines[address])
        if not quiet:
            self.ended["refused"] += 1
            return False
        oldest = min(quiet, key=lambda one: one.peer.quiet_since)
        self.ended[why] += 1
        self.forget(oldest)
        oldest.abort()
        self._add(line)
        return True

    def _quiet(self) -> str | None:
        """Return the address with the most quiet lines."""
        quiet = {address: len(_quiet_of(own)) for address, own in self._lines.items()}
        most = max(quiet, key=quiet.__getitem__, default=None)
        return most if most is not None and quiet[most] else None


def _quiet_of(lines: list[Line]) -> list[Line]:
    return [line for line in lines if not line.peer.vouched]


class Acceptor:
    """Accepts connections of one listening socket, within limits.

    Args:
        listener: A listening socket.
        tls: None without TLS.
        make: Makes what receives for one connection.
        lines: Those that are held; shared by all sockets of a server.
    """

    def __init__(
        self,
        listener: socket.socket,
        tls: ssl.SSLContext | None,
        make: Callable[[], Any],
        lines: Lines,
    ) -> None:
        self._listener, self._tls, self._make, self._lines = listener, tls, make, lines
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()
        listener.setblocking(False)
        self._task = self._loop.create_task(self._accept_forever())

    def close(self) -> None:
        """Accept no more; what is open stays."""
        self._task.cancel()
        for opening in list(self._opening):
            opening.cancel()

    async def wait_closed(self) -> None:
        """Return once nothing is accepted any more."""
        await asyncio.wait([self._task, *self._opening])

    async def _accept_forever(self) -> None:
        while True:
            await self._lines.wait_for_room()
            try:
                accepted, address = await self._loop.sock_accept(self._listener)
            except OSError as error:
                self._tell(error)
                await asyncio.sleep(PAUSE)
            else:
                self._open(accepted, address[0])

    def _tell(self, error: OSError) -> None:
        code = "FS-536" if error.errno in OUT_OF_FILES else "FS-540"
        self._lines.ended["not accepted"] += 1
        log.error("cannot accept a connection", code=code, detail=error.strerror)

    def _open(self, accepted: socket.socket, address: str) -> None:
        peer = Peer(canonical(address), self._loop.time())
        line = Line(peer, accepted.close)
        if not self._lines.admit(line):
            accepted.close()
            return
        opening = self._loop.create_task(self._begin(accepted, line))
        line.abort = opening.cancel
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        # A task that is cancelled before its first step cleans up nothing.
        opening.add_done_callback(lambda _: _close_unbegun(accepted, line))

    async def _begin(self, accepted: socket.socket, line: Line) -> None:
        """Go through TLS; a line that gives way now is cut without a word."""
        protocol = self._make()
        protocol.attend(line.peer, partial(self._lines.forget, line))
        seconds = None if self._tls is None else HANDSHAKE_SECONDS
        try:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: protocol, accepted, ssl=self._tls, ssl_handshake_timeout=seconds
            )
        except (OSError, asyncio.CancelledError):  # also when TLS fails
            self._lines.forget(line)
        else:
            line.abort, line.begun = transport.abort, True


def _close_unbegun(accepted: socket.socket, line: Line) -> None:
    if not line.begun:
        accepted.close()


class BoundedServer(uvicorn.Server):
    """uvicorn, with as many connections as `lines` allow and each one `Bounded`."""

    def __init__(self, config: uvicorn.Config, lines: Lines | None = None) -> None:
        super().__init__(config)
        self.lines = Lines(Limits.of(raise_files())) if lines is None else lines

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen."""
        listeners = sockets or [self._bound()]
        await super().startup(sockets=[])  # it listens nowhere by itself
        if not self.started:
            return
        acceptors = [
            Acceptor(one, self.config.ssl, self._make, self.lines) for one in listeners
        ]
        self.servers += cast("list[asyncio.base_events.Server]", acceptors)

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.config.host else socket.AF_INET
        return socket.create_server(
            (self.config.host, self.config.port), family=family, backlog=MOST
        )

    def _make(self) -> Any:
        kind: Any = self.config.http_protocol_class  # or what makes one
        if isinstance(kind, type) and not issubclass(kind, Bounded):
            kind = Bounded
        return kind(
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
