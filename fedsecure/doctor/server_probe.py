"""One request to another party's server, as the programs make it, and what it gave.

Through the same proxy, with the same trust. It is asked once, however many checks look
at what came of that.
"""

import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from fedsecure.doctor.findings import SkippedError
from fedsecure.errors import FedsecureError, PeerError
from fedsecure.protocol.identity import AggregatorParty, Party
from fedsecure.transport.proxies import way_to
from fedsecure.transport.response_limits import read_limited, tls_context

TIMEOUT: Final = 10.0  # seconds


Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request to a server gave."""

    body: bytes
    offset: float | None  # seconds that its clock is ahead of ours
    ends: datetime | None  # when its certificate ends
    ok: bool


class Need(Enum):
    """How much this party needs another's server."""

    ALWAYS = "always"
    IN_TRAININGS = "in trainings"  # it runs only then
    NEVER = "never"  # reaching it only tells more


@dataclass
class Server:
    """A server of another party; asked once, however many checks look at it."""

    name: str
    url: str
    path: str
    authorities: Path | None
    now: Now = field(repr=False)
    need: Need
    start: str  # what its operator types to start it
    code: str  # when it cannot be reached

    @property
    def host(self) -> str:
        """The server's host name."""
        return urlsplit(self.url).hostname or ""

    @property
    def where(self) -> str:
        """Host and port, and the way there."""
        return f"{self.name} at {urlsplit(self.url).netloc}, {way_to(self.host)}"

    @cached_property
    def outcome(self) -> Answer | FedsecureError:
        """What came of asking."""
        try:
            return self._ask()
        except httpx.HTTPError as error:
            return _explained(self, error)
        except FedsecureError as error:
            return error

    def answer(self) -> Answer:
        """Return its answer.

        Raises:
            SkippedError: There is none; the check of its reachability says why.
        """
        if not isinstance(self.outcome, Answer):
            msg = f"{self.name} gave no answer"
            raise SkippedError(msg)
        return self.outcome

    def _ask(self) -> Answer:
        with (
            httpx.Client(verify=tls_context(self.authorities), timeout=TIMEOUT) as http,
            http.stream("GET", self.url + self.path) as response,
        ):
            certificate = _certificate(response)
            return Answer(
                read_limited(response),
                _offset(response, self.now()),
                _ends(certificate),
                response.is_success,
            )


def aggregator_server(
    party: AggregatorParty,
    authorities: Path | None,
    now: Now,
    need: Need = Need.ALWAYS,
) -> Server:
    """Return an aggregator as a server to ask."""
    start = "fedsecure aggregator --config aggregator.toml"
    url, path = party.url, "/v1/identity"
    return Server(party.name, url, path, authorities, now, need, start, "FS-551")


def superlink_server(
    owner: Party, where: str, authorities: Path | None, now: Now
) -> Server:
    """Return the model owner's SuperLink as a server to ask."""
    start = "fedsecure train --config owner.toml"
    url, need = f"https://{where}", Need.IN_TRAININGS
    return Server(owner.name, url, "/health", authorities, now, need, start, "FS-501")


class UnreachedError(PeerError):
    """A server did not answer; `refused`: its machine did, and said that it is not."""

    refused = False


def _explained(server: Server, error: httpx.HTTPError) -> FedsecureError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return PeerError("FS-882", f"{server.where}: {cause.verify_message}")
    why = str(error) or type(error).__name__
    unreached = UnreachedError(server.code, f"{server.where}: {why}")
    unreached.refused = any(
        # A proxy answers so for a machine on which nothing listens.
        isinstance(one, ConnectionRefusedError | httpx.ProxyError)
        for one in causes
    )
    return unreached


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _certificate(response: httpx.Response) -> dict[str, Any]:
    stream = response.extensions["network_stream"]
    found = stream.get_extra_info("ssl_object")
    return {} if found is None else found.getpeercert() or {}


def _ends(certificate: Mapping[str, Any]) -> datetime | None:
    text = certificate.get("notAfter")
    if text is None:
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def _offset(response: httpx.Response, now: datetime) -> float | None:
    try:
        return (parsedate_to_datetime(response.headers["date"]) - now).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None
