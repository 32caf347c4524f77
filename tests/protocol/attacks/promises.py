"""What data owners are promised, whatever anybody tried; checked after each attack."""

import json
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from fedsecure.errors import PeerError
from fedsecure.protocol.ledger import read_chain
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import ReportHeader
from fedsecure.storage import database
from fedsecure_aggregator.storage.tables import EventRow
from tests.protocol.attacks.subtraction import fewest_told_apart
from tests.protocol.federation import HOSPITALS, MemoryFederation, Server

OPENINGS = """
    SELECT o.owner, o.run, o.round, o.purpose, o.spec, o.members, r.model, r.min_cohort
    FROM openings o JOIN rounds r ON r.spec = o.spec
"""


@dataclass(frozen=True)
class Opened:
    """A set that one aggregator opened."""

    place: tuple[str, str, int, str]
    spec: str
    members: tuple[str, ...]
    model: str
    least: int


def opened_at(server: Server) -> list[Opened]:
    return [
        Opened(
            (owner, run, number, purpose),
            spec,
            tuple(name for name, _, _ in json.loads(members)),
            model,
            least,
        )
        for owner, run, number, purpose, spec, members, model, least in server.ask(
            OPENINGS
        )
    ]


def require_promises(memory: MemoryFederation, dishonest: Collection[str] = ()) -> None:
    """Assert all of them.

    Args:
        memory: After an attack.
        dishonest: Data owners for whom nothing is promised.
    """
    opened = {name: opened_at(server) for name, server in memory.servers.items()}
    for name, server in memory.servers.items():
        _require_large_sets(opened[name], server)
        _require_ledger(memory, server)
    _require_nobody_singled_out(opened["north"], opened["south"])
    for name in HOSPITALS:
        if name not in dishonest:
            _require_one_sharding(memory, name)


def _require_large_sets(opened: list[Opened], server: Server) -> None:
    for one in opened:
        assert len(set(one.members)) == len(one.members)
        assert set(one.members) <= set(HOSPITALS)
        assert len(one.members) >= max(one.least, server.policy.min_cohort)
    places = [one.place for one in opened]
    assert len(set(places)) == len(places)


def _require_nobody_singled_out(north: list[Opened], south: list[Opened]) -> None:
    """Only a sum over one set at both is known: without the other it is noise."""
    known = defaultdict(list)
    for one in north:
        if any((one.spec, one.members) == (two.spec, two.members) for two in south):
            known[one.model].append(one)
    for sums in known.values():
        least = min(one.least for one in sums)
        sets = [frozenset(one.members) for one in sums]
        assert fewest_told_apart(sets, HOSPITALS) >= least


def _require_ledger(memory: MemoryFederation, server: Server) -> None:
    engine = database.open_for_reading(database.locate(server.folder / "aggregator.db"))
    try:
        with Session(engine) as session:
            list(read_chain(session, EventRow, memory.federation))
    finally:
        engine.dispose()


def _require_one_sharding(memory: MemoryFederation, name: str) -> None:
    """Both addends of two shardings would tell the update's difference, or more."""
    sharded = defaultdict(set)
    for server, wire in memory.wires.items():
        for request in wire.carried:
            if not request.url.path.endswith(f"/reports/{name}"):
                continue
            body = request.content
            token = body[4 : 4 + int.from_bytes(body[:4])].decode()
            try:
                statement = verify(token, ReportHeader, memory.federation).statement
            except PeerError:
                continue  # a forgery in its name
            if statement.reporter != name:
                continue  # somebody's own, at this address
            assert statement.aggregator == server
            sharded[statement.spec].add(statement.report_id)
    assert all(len(ids) == 1 for ids in sharded.values()), sharded
