"""Runs one aggregator: sockets, TLS, signals, and the order of start and stop.

start   read settings, take the data folder, bring the store up to date, make sense
        of what the last run left (`recovery.recover`), only then listen
stop    on SIGTERM or SIGINT: take no more connections, finish what was begun, exit 0
"""

import secrets
import signal
import socket
import ssl
import sys
import time
from contextlib import closing
from types import FrameType
from typing import Final, NoReturn
from urllib.parse import urlsplit

import structlog
import uvicorn

from fedsecure.core.mpc.matmul import require_exact
from fedsecure.errors import OperatorError
from fedsecure.membership.accepted import Membership
from fedsecure.protocol.identity import Federation
from fedsecure.transport.connection_limits import BoundedServer, Lines, raise_files
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.http.app import create_app
from fedsecure_aggregator.http.body_stream import protocol
from fedsecure_aggregator.http.connection import Connection
from fedsecure_aggregator.http.readiness import Readiness, readiness
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.jobs import recovery as jobs_recovery
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.operations import logs
from fedsecure_aggregator.operations.colocation import detecting_colocation
from fedsecure_aggregator.rounds import recovery
from fedsecure_aggregator.rounds.accumulator import Accumulator
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.storage.folder_spool import open_spool
from fedsecure_aggregator.storage.jobs.folder_spool import FolderJobSpool
from fedsecure_aggregator.storage.spool import Spool
from fedsecure_aggregator.storage.store import Store, open_store

STOP_SECONDS: Final = 20  # what is under way may take so long to finish
BACKLOG: Final = 512  # connections waiting to be accepted
SWITCH_SECONDS: Final = 0.0005  # that a thread may hold up the loop; usually 0.005

log = structlog.get_logger()


def serve(settings: AggregatorSettings) -> None:
    """Run an aggregator until it is told to stop.

    Raises:
        OperatorError: FS-520 to FS-527, FS-603, FS-607, FS-608, FS-744 to FS-746,
            FS-801 to FS-811, FS-890.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)  # until the server listens
    logs.configure()
    sys.setswitchinterval(SWITCH_SECONDS)
    membership, tls = settings.membership(), _tls(settings)
    author = membership.author
    logs.configure(logs.names_to_hide(author.federation))
    _warn_of_one_host(author.federation)
    with (
        detecting_colocation(),
        _listen(*settings.address) as listener,
        open_spool(settings.data) as spool,
        closing(open_store(settings.store, author)) as store,
    ):
        context = _context(settings, membership, spool, store)
        jobs = JobContext(context, settings.compute, FolderJobSpool(spool))
        recovery.recover(context)
        jobs_recovery.recover(jobs)
        if settings.compute.enabled:
            log.info("jobs are computed", products=require_exact())
        lines = Lines(settings.connections.limits(raise_files()))
        _run(jobs, readiness(context, settings), listener, tls, lines)
    log.info("stopped", name=author.name)


def _warn_of_one_host(federation: Federation) -> None:
    hosts = {urlsplit(party.url).hostname for party in federation.aggregators}
    if len(hosts) == 1:
        log.warning("both aggregators are on one host, which gives no secrecy")


class _Server(BoundedServer):
    """Uvicorn, but a signal that stops it is not raised again afterwards."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Closed in good order, an idle connection would first wait for its client to
        # say goodbye, and a client that sleeps does not.
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection) and connection.idle:
                connection.transport.abort()
        await super().shutdown(sockets)


def _context(
    settings: AggregatorSettings, membership: Membership, spool: Spool, store: Store
) -> Context:
    return Context(
        author=membership.author,
        versions=membership.versions,
        policy=settings.policy,
        store=store,
        spool=spool,
        accumulator=Accumulator(spool),
        clock=time.time,
        monotonic=time.monotonic,
        rand=secrets.token_bytes,
        still_seconds=settings.still_seconds,
        tidy_seconds=settings.tidy_seconds,
    )


def _run(
    jobs: JobContext,
    ready: Readiness,
    listener: socket.socket,
    tls: ssl.SSLContext,
    lines: Lines,
) -> None:
    context = ready.context
    config = uvicorn.Config(
        create_app(context, Worker(), ready, lines, jobs),
        loop="uvloop",
        http=protocol(Connection),
        ws="none",
        proxy_headers=False,
        log_config=None,
        access_log=False,
        server_header=False,
        ssl_context_factory=lambda _config, _default: tls,
        timeout_keep_alive=context.still_seconds,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    host, port = listener.getsockname()[:2]
    log.info("listening", name=context.name, host=host, port=port)
    _Server(config, lines).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    """Bind and listen: from now on connections wait until the server takes them."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise OperatorError(
            "FS-520", f"{host}:{port}: {error.strerror or error}"
        ) from error


def _tls(settings: AggregatorSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(settings.tls.certificate, settings.tls.key)
    except (OSError, ssl.SSLError) as error:
        where = f"{settings.tls.certificate}, {settings.tls.key}"
        raise OperatorError("FS-527", f"{where}: {error.strerror or error}") from error
    return context


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)
