"""Everything that was once sent is sent again: by a reader who holds a TLS key."""

import time

import pytest

from tests.service.aggregator.conftest import Federation, Process
from tests.service.network.conftest import Admit, Taps
from tests.service.network.parties import client
from tests.service.network.requests import Sent, exchange, requests_of
from tests.unit.aggregator.world import HOSPITALS, OWNER, SERVERS, Round

pytestmark = pytest.mark.service
THREE = HOSPITALS[:3]
COUNTED = ("rounds", "reports", "openings")

Receipts = dict[str, dict[str, str]]


def counted(server: Process) -> dict[str, object]:
    """What a round's sum is made of, as it stands in the store."""
    return {table: rows for table, rows in server.rows().items() if table in COUNTED}


def run_round(
    federation: Federation, taps: Taps, admit: Admit
) -> tuple[Round, Receipts]:
    """A round up to all receipts, everything through the taps."""
    asked = federation.propose(dimension=600_000)
    owner = {name: client(federation, name, taps[name].port) for name in SERVERS}
    grants = {name: owner[name].propose(asked.spec).token for name in SERVERS}
    receipts = {}
    for name in THREE:
        given = admit(name, taps).report(asked, grants)
        receipts[name] = {server: given[server].token for server in SERVERS}
    for one in owner.values():
        one.close()
    return asked, receipts


def answers(server: Process, sent: list[Sent]) -> list[tuple[str | None, bytes]]:
    replies = [exchange(server, one.raw) for one in sent]
    return [(reply.code, reply.body) for reply in replies]


def test_replays_in_a_round_get_the_same_answer_and_count_nothing_twice(
    federation: Federation, taps: Taps, admit: Admit
) -> None:
    asked, receipts = run_round(federation, taps, admit)
    for name, server in federation.servers.items():
        before, files = counted(server), server.spool()
        sent = list(requests_of(taps[name]))
        assert len(sent) == 1 + len(THREE)  # the grant, and a report each
        first = answers(server, sent)
        for code, body in (*first, *answers(server, list(reversed(sent)))):
            assert code is None
            assert body in taps[name].all_bytes
        assert counted(server) == before
        assert server.spool() == files
    federation.require_mean(asked, receipts, *THREE)  # each update once


def test_replays_after_the_opening_get_the_same_answer_and_open_nothing(
    federation: Federation, taps: Taps, admit: Admit
) -> None:
    asked, receipts = run_round(federation, taps, admit)
    federation.require_mean(asked, receipts, *THREE)
    opening = federation.world.opening(asked, receipts).token
    void = federation.world.void(asked)
    for name, server in federation.servers.items():
        shares = {server.open(asked, opening).content for _ in range(3)}
        before = counted(server)
        assert len(shares) == 1
        for code, body in answers(server, list(requests_of(taps[name]))):
            assert code is None
            assert body in taps[name].all_bytes
        answer = server.http.post(f"/v1/rounds/{asked.digest}/void", content=void)
        assert answer.json()["code"] == "FS-304"
        assert counted(server) == before
        folder = server.data / "rounds" / asked.digest
        assert [path.name for path in folder.rglob("*")] == ["share"]


def test_replays_at_another_round_are_refused_and_change_neither(
    federation: Federation, taps: Taps, admit: Admit
) -> None:
    asked, receipts = run_round(federation, taps, admit)
    other = federation.propose(dimension=600_000)
    federation.grant(other)
    opening = federation.world.opening(asked, receipts).token
    for name, server in federation.servers.items():
        before, files = counted(server), server.spool()
        for sent in requests_of(taps[name]):
            moved = sent.at(sent.path.replace(asked.digest, other.digest))
            assert exchange(server, moved.raw).code == "FS-301"
        for answer in (
            server.open(other, opening),
            server.http.post(
                f"/v1/rounds/{other.digest}/void",
                content=federation.world.void(asked),
            ),
        ):
            assert answer.json()["code"] == "FS-301"
        assert (counted(server), server.spool()) == (before, files)
    federation.require_mean(asked, receipts, *THREE)
    federation.require_mean(other, federation.collect(other, *THREE), *THREE)


def test_a_report_for_one_aggregator_is_refused_by_the_other(
    federation: Federation, taps: Taps, admit: Admit
) -> None:
    asked = federation.propose()
    grants = federation.grant(asked)
    admit("basel", taps).report(asked, grants)
    for name, other in (SERVERS, tuple(reversed(SERVERS))):
        (sent,) = requests_of(taps[name])
        server = federation.servers[other]
        before = counted(server)
        assert exchange(server, sent.raw).code == "FS-310"
        assert counted(server) == before


def test_what_others_did_with_their_statements_is_no_mark_against_honest_parties(
    federation: Federation, taps: Taps, admit: Admit
) -> None:
    """Whoever holds a statement can carry it to where it does not belong."""
    asked, receipts = run_round(federation, taps, admit)
    other = federation.propose(dimension=600_000)
    federation.grant(other)
    marks = {
        name: server.rows()["refusals"] for name, server in federation.servers.items()
    }
    for name in SERVERS:
        for sent in requests_of(taps[name]):
            moved = sent.at(sent.path.replace(asked.digest, other.digest))
            for server in federation.servers.values():
                exchange(server, moved.raw)
                exchange(server, sent.raw)
    opening = federation.world.opening(asked, receipts).token
    for name, server in federation.servers.items():
        assert server.open(other, opening).json()["code"] == "FS-301"
        assert server.rows()["refusals"] == marks[name]


def test_tickets_work_for_one_aggregator_one_address_and_a_time(
    federation: Federation,
) -> None:
    north, south = federation.servers.values()
    world, asked = federation.world, federation.propose()
    federation.collect(asked, *THREE)
    path, now = f"/v1/rounds/{asked.digest}", int(time.time())
    own = f"{path}/inclusion/basel"
    before = {name: server.rows() for name, server in federation.servers.items()}

    def shown(server: Process, where: str, ticket: str) -> str | None:
        headers = {"Authorization": f"Bearer {ticket}"}
        answer = server.http.get(where, headers=headers)
        return None if answer.is_success else str(answer.json()["code"])

    good = world.ticket("north", OWNER, path, now + 60)
    assert [shown(north, path, good) for _ in range(3)] == [None] * 3
    assert shown(south, path, good) == "FS-333"
    assert shown(north, own, good) == "FS-333"
    assert shown(north, path.replace(asked.digest, "0" * 64), good) == "FS-333"
    for expired in (now - 1, now - 3600, 0):
        late = world.ticket("north", OWNER, path, expired)
        assert shown(north, path, late) == "FS-333"
    mine = world.ticket("north", "basel", own, now + 60)
    assert shown(north, own, mine) == "FS-330"  # not decided yet
    assert shown(north, own.replace("basel", "bern"), mine) == "FS-333"
    assert shown(south, own, mine) == "FS-333"
    assert {n: s.rows() for n, s in federation.servers.items()} == before
