"""Asks the aggregator of this machine whether it is ready, as a supervisor does.

It trusts the very certificate that the settings name, whoever signed it, so that
neither a CA file nor a name of this machine is needed.
"""

import json
import ssl
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from typing import Final

from fedsecure.errors import PROBLEMS, OperatorError, PeerError
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.http.readiness import ServerFiles

TIMEOUT: Final = 4.0  # seconds
MOST: Final = 2**16  # bytes of an answer
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound


class NotRunningError(PeerError):
    """No server runs here; it may be started later: FS-848."""


def require_ready(settings: AggregatorSettings) -> None:
    """Check that rounds can be granted and reports stored there now.

    Raises:
        NotRunningError: FS-848 when nothing answers that is an aggregator.
        PeerError: Why it is not ready, by its code.
        OperatorError: FS-527, FS-744, FS-745, FS-801 when it is one of its files,
            FS-811.
    """
    host, port = settings.address
    host = EVERYWHERE.get(host, host)
    where = f"{settings.name} at {host}:{port}"
    connection = HTTPSConnection(host, port, timeout=TIMEOUT, context=_tls(settings))
    try:
        connection.request("GET", "/health/ready")
        answer = connection.getresponse()
        status, body = answer.status, answer.read(MOST)
    except (OSError, HTTPException) as error:
        raise NotRunningError("FS-848", f"{where}: {error}") from error
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        # It tells strangers no path; here are the same files.
        ServerFiles.of(settings).require_readable()
        why = "it is not ready; its log says more"
        code = _code(body)
        if code is None:
            raise NotRunningError("FS-848", f"{where}: {why}")
        raise PeerError(code, f"{where}: {why}")


def _code(problem: bytes) -> str | None:
    """Return the code of a problem document; None if it is none of ours."""
    try:
        code = str(json.loads(problem)["code"])
    except (ValueError, KeyError, TypeError):
        return None
    return code if code in PROBLEMS else None


def _tls(settings: AggregatorSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate is known, not its name
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    certificate = settings.tls.certificate
    try:
        context.load_verify_locations(certificate)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError("FS-527", f"{certificate}: {error}") from error
    return context
