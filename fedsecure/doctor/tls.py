"""Checks of a server's own TLS files: would a client take them?

Client and server shake hands in memory, with the files that each of them uses.
"""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from fedsecure.doctor.findings import Check, SkippedError
from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.system.private_files import ReadableByOthersError, read_private
from fedsecure.transport.certificates import LEAST_DAYS, ends_at
from fedsecure.transport.response_limits import tls_context


@dataclass(frozen=True, slots=True)
class ServerTls:
    """A server's certificate chain, its key, and the host that clients ask for.

    `authorities` returns the CA file that clients have; None is the system's list. It
    raises SkippedError while that is not known.
    """

    certificate: Path
    key: Path
    host: Callable[[], str]
    authorities: Callable[[], Path | None]


def tls_checks(
    server: ServerTls, config: Path, now: Callable[[], datetime]
) -> Iterator[Check]:
    """Yield the checks of key, host, authority and expiry."""
    renew = f"fedsecure renew-tls --config {quote(str(config))}"

    def key() -> str:
        read_private(server.key)
        _server_context(server)
        return f"{server.key.name} fits {server.certificate.name}"

    def key_fix(error: FedsecureError) -> str:
        if isinstance(error, ReadableByOthersError):
            return f"chmod 600 {quote(str(server.key))}"
        return f"{renew} --host {_host_or_none(server)}"

    def trust() -> str:
        host = server.host()
        shake_hands(server, host)
        return f"clients take it for {host}"

    def ends() -> str:
        left = (ends_at(server.certificate) - now()).days
        if not left >= LEAST_DAYS:
            raise OperatorError(
                "FS-883", f"{server.certificate} in {left} days, least {LEAST_DAYS}"
            )
        return f"for {left} days more"

    yield Check("TLS key", key, key_fix)
    yield Check("TLS host and CA", trust, lambda _: f"{renew} --host {server.host()}")
    yield Check("TLS valid", ends, renew)


def shake_hands(server: ServerTls, host: str) -> None:
    """Have a client of this federation take the server's certificate.

    Raises:
        OperatorError: FS-882 when it does not, with OpenSSL's reason; FS-527, FS-554.
    """
    client_in, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls_context(server.authorities()).wrap_bio(
        client_in, client_out, server_hostname=host
    )
    ours = _server_context(server).wrap_bio(client_out, client_in, server_side=True)
    for side in (client, ours, client, ours):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as error:
            raise OperatorError("FS-882", f"{host}: {error.verify_message}") from error
        except ssl.SSLError as error:
            raise OperatorError("FS-882", f"{host}: {error.reason}") from error


def _server_context(server: ServerTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(server.certificate, server.key)
    except (OSError, ssl.SSLError) as error:
        cause = error.strerror or error
        raise OperatorError("FS-527", f"{server.certificate}: {cause}") from error
    return context


def _host_or_none(server: ServerTls) -> str:
    try:
        return server.host()
    except SkippedError:
        return "HOST"


def utc_now() -> datetime:
    """Return the present time."""
    return datetime.now(UTC)
