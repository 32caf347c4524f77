"""Somebody reads everything between agents and both servers during a whole round.

With the servers' TLS keys (`taps`), and without (`wires`, in front of the taps).
"""

import base64
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fedsecure.core import scheme
from fedsecure.core.mask import ReportContext
from fedsecure.core.sealing import seal, seal_info, sealing_key
from fedsecure.errors import PeerError
from fedsecure.protocol.framing import offset_after
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import ReportHeader
from fedsecure.system.durability import without_checksum
from tests import stages
from tests.service.aggregator.conftest import Federation
from tests.service.network.conftest import tapped
from tests.service.network.parties import client, hospital
from tests.service.network.requests import Sent, requests_of
from tests.tap import tapping
from tests.unit.aggregator.world import HOSPITALS, SERVERS, Round

pytestmark = pytest.mark.service
THREE = HOSPITALS[:3]
PIECE = 16  # bytes that do not appear by chance


@dataclass
class Watched:
    """A whole round, what was seen of it, and what only its parties know."""

    federation: Federation
    asked: Round
    seen: dict[str, bytes]  # by server, with its TLS key
    on_the_wire: bytes  # of both, without
    sent: dict[str, list[Sent]]
    secrets: dict[str, bytes]
    round_keys: dict[str, sealing_key.SealingKey]


@pytest.fixture(scope="module")
def watched(
    federation: Federation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Watched]:
    asked = federation.propose(dimension=3000)
    secrets: dict[str, bytes] = {}
    with ExitStack() as stack:
        taps = stack.enter_context(tapped(federation))
        wires = {
            name: stack.enter_context(tapping(taps[name].port, None, None))
            for name in SERVERS
        }
        ports = {name: wires[name].port for name in SERVERS}
        owner = {name: client(federation, name, ports[name]) for name in SERVERS}
        for one in owner.values():
            stack.callback(one.close)
        grants = {name: owner[name].propose(asked.spec).token for name in SERVERS}
        round_keys = {
            name: stored_key(server.data / "rounds" / asked.digest / "key")
            for name, server in federation.servers.items()
        }
        folder = tmp_path_factory.mktemp("hospitals")
        parties = [
            stack.enter_context(hospital(federation, name, folder / name, ports, 0.0))
            for name in THREE
        ]
        receipts = {}
        for party in parties:
            given = party.report(asked, grants)
            receipts[party.name] = {name: given[name].token for name in SERVERS}
            (rand,) = party.drawn
            secrets |= known_to(party.name, asked, party.measurement(asked), rand)
        opening = federation.world.opening(asked, receipts)
        shares = []
        for name in SERVERS:
            sink = folder / f"{name}.share"
            header = owner[name].open(opening, sink, limit=10**6)
            frame = len(header.token).to_bytes(4) + header.token.encode()
            answer = frame + sink.read_bytes()
            shares.append(federation.world.unseal(asked, opening, answer))
            sum_of = b"".join([bytes(part) for part in shares[-1].to_records()])
            secrets[f"{name}'s sum"] = sum_of
        for party in parties:
            assert party.fate(asked) == "included"
        federation.world.require_mean(asked, shares, THREE)
        mean = scheme.unshard(asked.params, *shares)
        secrets["the mean"] = mean.update.astype("<f4").tobytes()
        yield Watched(
            federation,
            asked,
            {name: taps[name].all_bytes for name in SERVERS},
            b"|".join(wires[name].all_bytes for name in SERVERS),
            {name: list(requests_of(taps[name])) for name in SERVERS},
            secrets,
            round_keys,
        )


def stored_key(file: Path) -> sealing_key.SealingKey:
    """Read a round's key as it lies at an aggregator."""
    return sealing_key.SealingKey.from_bytes(
        without_checksum(file.read_bytes(), file, "")
    )


def known_to(
    name: str, asked: Round, measurement: scheme.Measurement, rand: bytes
) -> dict[str, bytes]:
    """Compute again all that this data owner's agent had in memory."""
    params, spec = asked.params, bytes.fromhex(asked.digest)
    sharding = scheme.shard(params, spec, name, measurement, rand)
    vector = b"".join([bytes(piece) for piece in sharding.vector])
    context = ReportContext(spec, sharding.report_id, name)
    total = scheme.AggregateShare.empty(params)
    found = {f"{name}'s seed": sharding.seed, f"{name}'s vector": vector}
    for kind, plaintext in (("seed", sharding.seed), ("vector", vector)):
        stages.add(params, total, context, kind, plaintext)
        share = b"".join(map(bytes, stages.prepared(params, context, kind, plaintext)))
        found[f"{name}'s {kind} as words"] = share
        found[f"{name}'s {kind}, scalars"] = params.layout.read(share)[1].tobytes()
    assert measurement.update is not None
    return found | {
        f"{name}'s update": measurement.update.astype("<f4").tobytes(),
        f"{name}'s update in double": measurement.update.astype("<f8").tobytes(),
        f"{name}'s encoded update": total.tensor.tobytes(),
        f"{name}'s encoded scalars": total.scalars.tobytes(),
        f"{name}'s first content key": sharding.content_keys[0],
        f"{name}'s second content key": sharding.content_keys[1],
    }


def spellings(secret: bytes) -> Iterator[bytes]:
    """Yield the secret, piece by piece, in every spelling that we use anywhere."""
    for start in range(0, len(secret), PIECE):
        piece = secret[start : start + PIECE]
        yield piece
        yield piece.hex().encode()
        yield piece.hex().upper().encode()
        for shift in range(3):  # base64 spells three bytes at once
            whole = piece[shift : shift + (len(piece) - shift) // 3 * 3]
            yield base64.b64encode(whole)
            yield base64.urlsafe_b64encode(whole)


def test_the_strongest_reader_sees_nothing_of_an_update_in_any_spelling(
    watched: Watched,
) -> None:
    assert len(watched.secrets) == 3 * 12 + 3
    for seen in watched.seen.values():
        found = [
            name
            for name, secret in watched.secrets.items()
            if any(spelling in seen for spelling in spellings(secret))
        ]
        assert found == []


def test_no_number_of_an_update_is_there_as_text(watched: Watched) -> None:
    updates = [
        np.frombuffer(watched.secrets[f"{name}'s update"], "<f4") for name in THREE
    ]
    texts = {f"{value:.8f}".lstrip("-") for update in updates for value in update}
    assert len(texts) > 5000
    for seen in watched.seen.values():
        assert [text for text in texts if text.encode() in seen] == []


def test_what_the_strongest_reader_does_see_is_what_the_pages_say(
    watched: Watched,
) -> None:
    """The control: the tap stands where everything passes."""
    for name, seen in watched.seen.items():
        statements = [request.token for request in watched.sent[name]]
        assert len(statements) == 1 + 3 + 1 + 3  # spec, reports, opening, tickets
        assert all(token in seen for token in statements)
        assert watched.asked.digest.encode() in seen


def test_whoever_sees_both_servers_traffic_and_has_no_round_key_opens_nothing(
    watched: Watched,
) -> None:
    for name in SERVERS:
        other = SERVERS[1 - SERVERS.index(name)]
        for report in reports(watched, name):
            keys = (watched.round_keys[other], watched.asked.key)
            for key in keys:
                with pytest.raises(PeerError, match="FS-720"):
                    opened(watched, report, key)
            # The control: with this round's key of this server it opens.
            share = opened(watched, report, watched.round_keys[name])
            reporter = verify(
                report.token.decode(), ReportHeader, watched.federation.world.federation
            ).signer
            assert share in (
                watched.secrets[f"{reporter}'s seed"],
                watched.secrets[f"{reporter}'s vector"],
            )


def test_without_the_tls_key_there_is_no_statement_at_all(watched: Watched) -> None:
    wire = watched.on_the_wire
    assert len(wire) > sum(len(seen) for seen in watched.seen.values())
    for text in (b"HTTP/1.1", b"eyJ", b"/v1/", watched.asked.digest.encode()):
        assert text not in wire
    for name in (*HOSPITALS, *SERVERS, watched.federation.world.federation.name):
        assert b'"' + name.encode() + b'"' not in wire
    for sent in watched.sent.values():
        for request in sent:
            for part in request.token.split(b"."):
                assert part not in wire


def reports(watched: Watched, server: str) -> list[Sent]:
    return [sent for sent in watched.sent[server] if "/reports/" in sent.path]


def opened(watched: Watched, report: Sent, key: sealing_key.SealingKey) -> bytes:
    """Open a report as its aggregator does."""
    statement = verify(
        report.token.decode(), ReportHeader, watched.federation.world.federation
    ).statement
    info = seal_info.report_info(
        bytes.fromhex(statement.federation),
        bytes.fromhex(statement.spec),
        statement.reporter,
        statement.aggregator,
        bytes.fromhex(statement.report_id),
        statement.kind,
    )
    plaintext = bytearray(
        scheme.input_share_bytes(watched.asked.params, statement.kind)
    )
    payload = report.body[offset_after(report.token.decode()) :]
    seal.open_sealed(key, info, payload, statement.length, memoryview(plaintext))
    return bytes(plaintext)
