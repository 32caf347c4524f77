"""Calls to a SuperLink: connect, retry, translate refusals, beat the heart.

Flower's own retries are not used: on a refusal they send SIGINT to their own
process and sleep, and on a failed start `flwr_exit` kills the process after five
seconds even if SystemExit is caught. Here every failure is an exception.
"""

import itertools
import logging
import re
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

import httpx
from flwr.supercore.address import parse_address
from flwr.supercore.error import ApiErrorCode, FlowerError
from flwr.supercore.interceptors.http.utils import add_headers
from flwr.supercore.runtime_version_compatibility import RuntimeVersionMetadata

from fedsecure.errors import (
    FedsecureError,
    OperatorError,
    PeerError,
    RoundStateError,
)

log = logging.getLogger(__name__)

TIMEOUT: Final = httpx.Timeout(30.0, connect=10.0)  # seconds
FIRST_DELAY: Final = 0.1  # seconds between two tries, doubled after each
LONGEST_DELAY: Final = 2.0  # seconds
TRIES: Final = 2  # at least: a machine that slept has used up all time with one

HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253})|[0-9A-Fa-f:.]{2,45}")

_MAY_PASS: Final = frozenset({502, 503, 504})  # HTTP status: a gateway is in trouble


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port` or `[ipv6]:port`.

    Raises:
        OperatorError: FS-514 when it is neither.
    """
    parsed = parse_address(address)
    if parsed is None or parsed[1] == 0 or not HOST.fullmatch(parsed[0]):
        raise OperatorError("FS-514", f"{address!r} is not host:port")
    return parsed[0], parsed[1]


@dataclass(frozen=True, slots=True)
class Peer:
    """A SuperLink's address, `host:port`, and how its certificate is checked.

    A proxy that the environment names is used unless the peer is `direct`, or on
    this machine's loopback interface.
    """

    address: str
    trust: ssl.SSLContext
    direct: bool = False

    def connect(self, kind: Any, interceptors: Sequence[object]) -> Any:
        """Open one of Flower's clients; it connects at its first request.

        Args:
            kind: `FleetHttpClient`, `ControlHttpClient` or `RuntimeHttpClient`.
            interceptors: What adds headers to each request, first one first.
        """
        client = kind(
            f"https://{self.address}", interceptors=interceptors, verify=self.trust
        )
        client.close()
        client._client = self.http()
        return client

    def http(self) -> httpx.Client:
        """Open a plain HTTP client to the same place."""
        host, _ = split_address(self.address)
        proxied = not (self.direct or _is_loopback(host))
        return httpx.Client(verify=self.trust, timeout=TIMEOUT, trust_env=proxied)


def trust_authorities(root_certificates: bytes | None) -> ssl.SSLContext:
    """Trust these PEM certificates, or the system's when there are none.

    Raises:
        OperatorError: FS-502 when the bytes are no PEM certificates.
    """
    if root_certificates is None:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=root_certificates.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise OperatorError("FS-502", "the root certificates are no PEM") from error
    return context


class Version:
    """Tells the SuperLink our Flower version, without exiting when it objects."""

    def __init__(self, component: str) -> None:
        local = RuntimeVersionMetadata.from_local_component(component)
        self._headers = dict(local.as_metadata())

    def intercept(
        self,
        context: Any,
        call_next: Callable[[Any], httpx.Response],
    ) -> httpx.Response:
        """Add the headers to one request."""
        add_headers(context.request, self._headers)
        return call_next(context)


class NotAdmittedError(PeerError):
    """The SuperLink does not know this party, or not any more: FS-503."""


class RefusedError(PeerError):
    """The SuperLink refuses a request for a reason of its own: FS-505."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls a method of a client until it answers or patience ends.

    `patience` is in seconds. `check` is called between two tries and raises when
    waiting has become pointless.
    """

    address: str
    patience: float
    check: Callable[[], None] = lambda: None

    def __call__(self, method: Callable[[Any], Any], request: object) -> Any:
        """Send one request.

        Raises:
            PeerError: FS-501 unreachable.
            NotAdmittedError: FS-503, the key is not admitted, or no longer.
            RefusedError: FS-505.
            RoundStateError: FS-506, the run is over.
            OperatorError: FS-502 certificate not trusted, FS-509 other version.
        """
        deadline = time.monotonic() + self.patience
        delay = FIRST_DELAY
        for tried in itertools.count(1):
            try:
                return method(request)
            except (httpx.HTTPError, ValueError) as error:
                failure = explain(self.address, error)
                late = time.monotonic() + delay > deadline
                passes = failure.problem.passes
                if not passes or (late and tried >= self._tries):
                    self.check()
                    raise failure from error
            self.check()
            time.sleep(delay)
            delay = min(delay * 2, LONGEST_DELAY)
        raise AssertionError  # it counts without an end

    @property
    def _tries(self) -> int:
        return TRIES if self.patience > 0 else 1


def explain(address: str, error: httpx.HTTPError | ValueError) -> FedsecureError:
    """Say why a call failed; FS-501 is what may pass."""
    if isinstance(error, httpx.HTTPStatusError):
        return _refusal(address, error.response)
    if isinstance(error, ValueError):
        return PeerError("FS-507", f"{address}: the answer is no protobuf")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return OperatorError("FS-502", f"{address}: {cause.verify_message}")
        cause = cause.__cause__ or cause.__context__
    return PeerError("FS-501", f"{address}: {str(error) or type(error).__name__}")


def _refusal(address: str, response: httpx.Response) -> FedsecureError:
    flower = FlowerError.from_json(response.text)
    code = None if flower is None else flower.code
    # The other side chose these words: keep them short and on one line.
    words = flower.message if flower else f"HTTP status {response.status_code}"
    detail = f"{address}: {' '.join(words[:200].split())}"
    if code == ApiErrorCode.FLEET_RUN_STATUS_NOT_ALLOWED:
        return RoundStateError("FS-506", detail)
    if code == ApiErrorCode.RUNTIME_VERSION_INCOMPATIBLE:
        return OperatorError("FS-509", detail)
    if code == ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED:
        return NotAdmittedError("FS-503", detail)
    if response.status_code == httpx.codes.UNAUTHORIZED:
        return NotAdmittedError("FS-503", detail)
    if response.status_code in _MAY_PASS:
        return PeerError("FS-501", detail)
    return RefusedError("FS-505", detail)


class Pulse:
    """Beats every `interval` seconds on its own thread until it is stopped.

    `beat` returns whether the other side still knows us. A beat that does not
    arrive is made up for by the next; one that is refused ends the pulse, and
    `lost` turns true.
    """

    def __init__(self, beat: Callable[[], bool], interval: float) -> None:
        self._beat = beat
        self._interval = interval
        self._stopping = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def lost(self) -> bool:
        """Whether the other side has said that it does not know us any more."""
        return self._lost.is_set()

    def start(self) -> None:
        """Begin to beat; the first beat comes after one interval."""
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait for a beat that is under way."""
        self._stopping.set()
        self._thread.join(timeout=TIMEOUT.read)

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            if not self._is_known():
                self._lost.set()
                return

    def _is_known(self) -> bool:
        try:
            return self._beat()
        except httpx.HTTPStatusError as error:
            log.info("heartbeat refused: %s", error.response.status_code)
            return error.response.status_code in _MAY_PASS
        except Exception as error:  # noqa: BLE001 - no file left, an answer that is none
            log.info("heartbeat missed: %s", type(error).__name__)
            return True


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
