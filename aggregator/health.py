"""Asks the aggregator of this machine whether it is ready, as a supervisor does.

It trusts the very certificate that the settings name, whoever signed it, so that
neither a CA file nor a name of this machine is needed.
"""

import ssl
from http import HTTPStatus
from http.client import HTTPException, HTTPSConnection
from typing import Final

from aggregator.config import AggregatorSettings
from fedsecure.errors import OperatorError, PeerError

TIMEOUT: Final = 4.0  # seconds
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound


def require_ready(settings: AggregatorSettings) -> None:
    """Check that rounds can be granted and reports stored there now.

    Raises:
        PeerError: FS-551 when it does not answer, or says no; its log says why.
        OperatorError: FS-527, FS-811.
    """
    host, port = settings.address
    host = EVERYWHERE.get(host, host)
    where = f"{settings.name} at {host}:{port}"
    connection = HTTPSConnection(host, port, timeout=TIMEOUT, context=_tls(settings))
    try:
        connection.request("GET", "/health/ready")
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        raise PeerError("FS-551", f"{where}: {error}") from error
    finally:
        connection.close()
    if status != HTTPStatus.OK:
        raise PeerError("FS-551", f"{where} is not ready: HTTP {status}")


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
