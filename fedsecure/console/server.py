"""Runs a console: where it may listen, its sockets and TLS, and the link.

Guarantee: a console that others can reach has a login and TLS; both can be left out on
the loopback interface alone.
"""

import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from fedsecure.console.guard import Place
from fedsecure.errors import OperatorError
from fedsecure.transport.bounded_connection import Bounded
from fedsecure.transport.connection_limits import BoundedServer

STILL_SECONDS: Final = 60  # that a connection may stand still
STOP_SECONDS: Final = 3  # streams end within a second
USUAL: Final = {"http": 80, "https": 443}
LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")


@dataclass(frozen=True, slots=True)
class Options:
    """Where and how a console is served.

    Args:
        listen: `host:port`; port 0 for any free one.
        names: Host names that people may use, besides the address itself.
        certificate: PEM file, with `key`: for TLS.
        key: PEM file.
        login: Whether one has to sign in.
    """

    listen: str
    names: Sequence[str] = ()
    certificate: Path | None = None
    key: Path | None = None
    login: bool = True

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on.

        Raises:
            OperatorError: FS-580.
        """
        host, colon, port = self.listen.rpartition(":")
        if not (colon and host and port.isdecimal() and int(port) < 2**16):
            raise OperatorError("FS-580", f"--listen is {self.listen!r}")
        return host.strip("[]"), int(port)

    def require_safe(self) -> None:
        """Check that nobody else gets in.

        Raises:
            OperatorError: FS-581.
        """
        host, _ = self.address
        if is_loopback(host):
            return
        if not self.login:
            raise OperatorError("FS-581", f"{host} is reached from elsewhere: no login")
        if self.certificate is None or self.key is None:
            raise OperatorError("FS-581", f"{host} is reached from elsewhere: no TLS")


def is_loopback(host: str) -> bool:
    """Tell whether an address is this machine's own, whatever a name resolves to."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(options: Options) -> socket.socket:
    """Bind and listen.

    Raises:
        OperatorError: FS-580, FS-581.
    """
    options.require_safe()
    host, port = options.address
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
        # Else the body of an answer waits 40 ms for the acknowledgement of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        where = f"{host}:{port}: {error.strerror or error}"
        raise OperatorError("FS-580", where) from error


def place_of(options: Options, listener: socket.socket) -> Place:
    """Return where browsers find a console that listens."""
    host, port = listener.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    known = [*options.names, address]
    if is_loopback(host):
        known = [*known, *LOOPBACK]
    scheme = "http" if options.certificate is None else "https"
    # Browsers leave out the port that goes without saying.
    usual = port == USUAL[scheme]
    hosts = dict.fromkeys(
        name.lower() if usual else f"{name.lower()}:{port}" for name in known
    )
    return Place(scheme, tuple(hosts), port, options.login)


def prepare(
    app: ASGIApp,
    options: Options,
    ready: Callable[[], None],
    leaving: Callable[[], None],
) -> uvicorn.Server:
    """Return what serves a console until Ctrl-C or SIGTERM.

    Args:
        app: The console.
        options: How.
        ready: Called once browsers are answered.
        leaving: Called when it is time to end what would go on.

    Raises:
        OperatorError: FS-590 for its certificate.
    """
    tls = _tls(options)
    config = uvicorn.Config(
        app,
        loop="asyncio",
        ws="none",
        http=Bounded,
        timeout_keep_alive=STILL_SECONDS,
        lifespan="off",
        proxy_headers=False,
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_context_factory=None if tls is None else (lambda _config, _default: tls),
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return _Server(config, ready, leaving)


class _Server(BoundedServer):
    """A server that says when it is ready, and ends in silence."""

    def __init__(
        self,
        config: uvicorn.Config,
        ready: Callable[[], None],
        leaving: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._ready, self._leaving = ready, leaving

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    def handle_exit(self, sig: int, frame: Any) -> None:  # noqa: ARG002
        self.should_exit = True
        self._leaving()


def _tls(options: Options) -> ssl.SSLContext | None:
    if options.certificate is None or options.key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.certificate, options.key)
    except (OSError, ssl.SSLError) as error:
        where = f"{options.certificate}, {options.key}"
        raise OperatorError("FS-590", f"{where}: {error.strerror or error}") from error
    return context
