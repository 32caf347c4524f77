"""Checks of other parties' servers, from where this party is.

One request to each, as the programs make it: through the same proxy, with the same
trust. What it says is looked at by several checks.
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
from pydantic import ValidationError

from fedsecure import PROTOCOL_VERSION
from fedsecure.doctor.findings import Check, SkippedError, WaitsError
from fedsecure.doctor.own import join_again
from fedsecure.errors import FedsecureError, OperatorError, PeerError
from fedsecure.protocol.identity import AggregatorParty, Federation, Party
from fedsecure.transport.aggregator_client import Introduction
from fedsecure.transport.certificates import LEAST_DAYS
from fedsecure.transport.proxies import way_to
from fedsecure.transport.response_limits import printable, read_limited, tls_context

TIMEOUT: Final = 10.0  # seconds
MAX_OFFSET: Final = 5.0  # seconds that two clocks may differ

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


def aggregator_checks(
    server: Server, party: AggregatorParty, federation: Federation, config: Path
) -> Iterator[Check]:
    """Yield the checks of one aggregator, as seen from the party of `config`."""
    yield Check(
        f"{server.name} reachable", lambda: _reached(server), _reach_fix(server)
    )
    yield Check(f"{server.name} TLS", lambda: _trusted(server), _tls_fix(server))
    yield Check(
        f"{server.name} protocol",
        lambda: _same_protocol(server, party),
        lambda error: _protocol_fix(server, error),
    )
    yield Check(
        f"{server.name} federation",
        lambda: _same_federation(server, federation),
        f"{join_again(config)}, with the newest version; if you have it, "
        f"{server.name} types that, and restarts its server",
    )


def superlink_checks(server: Server) -> Iterator[Check]:
    """Yield the checks of the model owner's SuperLink, which runs in trainings only."""
    yield Check("SuperLink reachable", lambda: _reached(server), _reach_fix(server))
    yield Check("SuperLink TLS", lambda: _trusted(server), _tls_fix(server))


def clock_check(servers: Mapping[str, Server]) -> Check:
    """Return the check of this machine's clock against all servers that answered."""

    def look() -> str:
        offsets = {name: _offset_of(server) for name, server in servers.items()}
        known = {name: one for name, one in offsets.items() if one is not None}
        if not known:
            msg = "no server answered"
            raise SkippedError(msg)
        said = ", ".join(f"{one:+.0f} s at {name}" for name, one in known.items())
        if not max(map(abs, known.values())) <= MAX_OFFSET:
            raise OperatorError("FS-880", said)
        return said

    return Check("clock", look, "timedatectl set-ntp true")


def _reached(server: Server) -> str:
    outcome = server.outcome
    if not isinstance(outcome, _UnreachedError):
        return server.where
    if server.need is Need.IN_TRAININGS and outcome.refused:
        msg = f"{outcome.detail}: perhaps no training runs just now"
        raise WaitsError(msg)
    if server.need is Need.NEVER:
        msg = f"{outcome.detail}; it need not be reached from here"
        raise WaitsError(msg)
    raise outcome


def _trusted(server: Server) -> str:
    if isinstance(server.outcome, FedsecureError) and not isinstance(
        server.outcome, _UnreachedError
    ):
        raise server.outcome
    ends = server.answer().ends
    if ends is None:
        return f"trusted for {server.host}"
    left = (ends - server.now()).days
    if not left >= LEAST_DAYS:
        raise PeerError("FS-883", f"{server.name}'s in {left} days")
    return f"trusted for {server.host}, for {left} days more"


def _introduction(server: Server) -> Introduction:
    try:
        return Introduction.model_validate_json(server.answer().body, strict=True)
    except ValidationError as error:
        raise PeerError("FS-553", f"{server.where}: no introduction") from error


def _same_protocol(server: Server, party: AggregatorParty) -> str:
    said = _introduction(server)
    if said.protocol != PROTOCOL_VERSION:
        raise _OtherProtocolError(
            "FS-555", f"{server.name} {said.protocol}, here {PROTOCOL_VERSION}"
        )
    if (said.name, said.fingerprint) != (party.name, party.fingerprint):
        raise PeerError("FS-556", f"{server.where}: it is {printable(said.name)}")
    return f"{said.protocol}, fedsecure {printable(said.version)}"


def _same_federation(server: Server, federation: Federation) -> str:
    said = _introduction(server).federation
    if said != federation.digest:
        raise PeerError(
            "FS-705",
            f"{server.name} holds {printable(said)[:12]}, here is version "
            f"{federation.number} ({federation.digest[:12]})",
        )
    return f"the same version, {federation.digest[:12]}"


def _offset_of(server: Server) -> float | None:
    try:
        return server.answer().offset
    except SkippedError:
        return None


class _UnreachedError(PeerError):
    """A server did not answer; `refused`: its machine did, and said that it is not."""

    refused = False


class _OtherProtocolError(PeerError):
    """A server speaks another version of the protocol: FS-555."""


def _explained(server: Server, error: httpx.HTTPError) -> FedsecureError:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return PeerError("FS-882", f"{server.where}: {cause.verify_message}")
    why = str(error) or type(error).__name__
    unreached = _UnreachedError(server.code, f"{server.where}: {why}")
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


def _reach_fix(server: Server) -> str:
    port = urlsplit(server.url).port or 443
    return (
        f"{server.name} types: {server.start}; if it runs, ask your firewall team for "
        f"outbound TCP to {server.host}:{port}, or set HTTPS_PROXY. You need no "
        "inbound port"
    )


def _tls_fix(server: Server) -> str:
    return (
        f"{server.name} types: fedsecure renew-tls --host {server.host}; then it "
        "restarts its server"
    )


def _protocol_fix(server: Server, error: FedsecureError) -> str:
    if not isinstance(error, _OtherProtocolError):
        return ""
    version = printable(_introduction(server).version)
    return f"pip install fedsecure=={version}, or {server.name} installs yours"


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
