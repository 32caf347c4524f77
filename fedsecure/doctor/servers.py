"""Checks of other parties' servers, from where this party is.

One request to each, as the programs make it: through the same proxy, with the same
trust. What it says is looked at by several checks.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from fedsecure import PROTOCOL_VERSION
from fedsecure.doctor.findings import Check, SkippedError, WaitsError
from fedsecure.doctor.own_machine import join_again, member
from fedsecure.doctor.server_probe import (
    Need,
    Now,
    Server,
    UnreachedError,
    aggregator_server,
)
from fedsecure.errors import FedsecureError, OperatorError, PeerError
from fedsecure.membership.accepted import Own
from fedsecure.protocol.identity import AggregatorParty, Federation
from fedsecure.transport.aggregator_client import Introduction
from fedsecure.transport.certificates import LEAST_DAYS
from fedsecure.transport.response_limits import printable

MAX_OFFSET: Final = 5.0  # seconds that two clocks may differ


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


def pair_checks(
    own: Own, authorities: Path | None, config: Path, now: Now
) -> Iterator[Check]:
    """Yield the checks of both aggregators, and of the clock against theirs.

    Args:
        own: This party; one without a federation has nobody to ask.
        authorities: A CA file instead of the federation's.
        config: This party's configuration.
        now: This machine's clock.
    """
    try:
        membership = member(own)
    except SkippedError:
        return
    trusted = authorities or membership.authorities
    parties = membership.federation.aggregators
    servers = {party.name: aggregator_server(party, trusted, now) for party in parties}
    for party in parties:
        server = servers[party.name]
        yield from aggregator_checks(server, party, membership.federation, config)
    yield clock_check(servers)


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
        shown = ", ".join(f"{one:+.0f} s at {name}" for name, one in known.items())
        if not max(map(abs, known.values())) <= MAX_OFFSET:
            raise OperatorError("FS-880", shown)
        return shown

    return Check("clock", look, "timedatectl set-ntp true")


def _reached(server: Server) -> str:
    outcome = server.outcome
    if not isinstance(outcome, UnreachedError):
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
        server.outcome, UnreachedError
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
    introduced = _introduction(server)
    if introduced.protocol != PROTOCOL_VERSION:
        raise _OtherProtocolError(
            "FS-555", f"{server.name} {introduced.protocol}, here {PROTOCOL_VERSION}"
        )
    if (introduced.name, introduced.fingerprint) != (party.name, party.fingerprint):
        raise PeerError("FS-556", f"{server.where}: it is {printable(introduced.name)}")
    return f"{introduced.protocol}, fedsecure {printable(introduced.version)}"


def _same_federation(server: Server, federation: Federation) -> str:
    digest = _introduction(server).federation
    if digest != federation.digest:
        raise PeerError(
            "FS-705",
            f"{server.name} holds {printable(digest)[:12]}, here is version "
            f"{federation.number} ({federation.digest[:12]})",
        )
    return f"the same version, {federation.digest[:12]}"


def _offset_of(server: Server) -> float | None:
    try:
        return server.answer().offset
    except SkippedError:
        return None


class _OtherProtocolError(PeerError):
    """A server speaks another version of the protocol: FS-555."""


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
