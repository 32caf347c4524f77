"""What an agent's outbox keeps, and for how long."""

from pathlib import Path

import httpx
import pytest

from fedsecure.errors import OperatorError
from fedsecure.owner.rounds.receipts import pairs
from fedsecure_clients.agent.delivery import Delivery
from tests.protocol.federation import (
    NOW,
    Handler,
    MemoryFederation,
    measurement_of,
    refused,
)


def payloads(memory: MemoryFederation) -> list[Path]:
    return [
        path
        for path in (memory.folder / "basel" / "outbox").rglob("*")
        if path.is_file()
    ]


def test_payloads_go_when_both_receipts_are_there(memory: MemoryFederation) -> None:
    proposal = memory.owner.propose(memory.request())
    basel = memory.hospitals["basel"]
    basel.contributor.contribute(basel.accept(proposal), measurement_of("basel"))
    assert len(payloads(memory)) == 2
    basel.contributor.deliver(basel.accept(proposal))
    assert payloads(memory) == []


def test_payloads_that_nobody_takes_any_more_are_deleted(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    basel = memory.hospitals["basel"]
    basel.contributor.contribute(basel.accept(proposal), measurement_of("basel"))
    left = basel.state.payload_path("f" * 64, "north")
    left.write_bytes(b"a crash came before it was stored")
    basel.state.tidy(before=NOW)
    assert len(payloads(memory)) == 2
    basel.state.tidy(before=proposal.spec.statement.deadline + 1.0)
    assert payloads(memory) == []
    assert basel.contributor.has_contributed(basel.accept(proposal))


def deliver(memory: MemoryFederation, name: str) -> Delivery:
    hospital = memory.hospital(name)  # as after a crash
    return Delivery(hospital.contributor, hospital.state, memory.clock)


def test_what_a_crash_left_in_the_outbox_is_sent_without_being_asked_again(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    hospital = memory.hospitals["basel"]
    accepted = hospital.accept(proposal)
    hospital.contributor.contribute(accepted, measurement_of("basel"))
    delivery = deliver(memory, "basel")
    delivery.run()
    delivery.run()
    assert sorted(pairs(memory.owner.held(proposal))) == ["basel"]
    for wire in memory.wires.values():
        sent = [one for one in wire.carried if "/reports/" in one.url.path]
        assert len(sent) == 1
    assert memory.hospitals["basel"].state.undelivered(memory.clock()) == []


def test_only_what_one_aggregator_lacks_is_sent(memory: MemoryFederation) -> None:
    proposal = memory.owner.propose(memory.request())
    memory.wires["south"].fault = away
    with refused("FS-551"):
        memory.hospitals["basel"].answer(proposal, measurement_of("basel"))
    delivery = deliver(memory, "basel")
    delivery.run()  # south is still away: tried again the next time
    assert memory.hospitals["basel"].state.undelivered(memory.clock()) != []
    memory.wires["south"].fault = None
    delivery.run()
    assert sorted(pairs(memory.owner.held(proposal))) == ["basel"]
    counts = {
        name: len([one for one in wire.carried if "/reports/" in one.url.path])
        for name, wire in memory.wires.items()
    }
    assert counts == {"north": 1, "south": 1}


def test_an_aggregator_that_is_busy_says_when_it_is_asked_again(
    memory: MemoryFederation,
) -> None:
    def busy(_request: httpx.Request, _deliver: Handler) -> httpx.Response:
        content = {"code": "FS-523", "detail": "its disk is full"}
        return httpx.Response(503, json=content, headers={"Retry-After": "20"})

    proposal = memory.owner.propose(memory.request())
    hospital = memory.hospitals["basel"]
    hospital.contributor.contribute(hospital.accept(proposal), measurement_of("basel"))
    delivery = deliver(memory, "basel")
    memory.wires["south"].fault = busy
    assert delivery.run() == 20.0
    memory.wires["south"].fault = None
    assert delivery.run() == 0.0
    assert sorted(pairs(memory.owner.held(proposal))) == ["basel"]


def test_a_report_that_is_refused_is_not_sent_again_and_again(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    hospital = memory.hospitals["basel"]
    hospital.contributor.contribute(hospital.accept(proposal), measurement_of("basel"))
    memory.owner.void(proposal.spec, "a test")
    delivery = deliver(memory, "basel")
    for _ in range(3):
        delivery.run()
    for wire in memory.wires.values():
        sent = [one for one in wire.carried if "/reports/" in one.url.path]
        assert len(sent) <= 1


def test_after_the_deadline_nothing_is_sent(memory: MemoryFederation) -> None:
    proposal = memory.owner.propose(memory.request())
    hospital = memory.hospitals["basel"]
    hospital.contributor.contribute(hospital.accept(proposal), measurement_of("basel"))
    memory.clock.now += 61
    delivery = deliver(memory, "basel")
    delivery.run()
    assert pairs(memory.owner.held(proposal)) == {}


def away(request: httpx.Request, _deliver: Handler) -> httpx.Response:
    msg = "connection refused"
    raise httpx.ConnectError(msg, request=request)


@pytest.mark.parametrize("harm", ["flipped", "truncated", "missing"])
def test_a_damaged_report_in_the_outbox_is_named_and_never_counted(
    memory: MemoryFederation, harm: str
) -> None:
    """And not taken for a bad line, over which it would be sent for ever."""
    proposal = memory.owner.propose(memory.request())
    basel = memory.hospitals["basel"]
    accepted = basel.accept(proposal)
    basel.contributor.contribute(accepted, measurement_of("basel"))
    payload = memory.folder / "basel" / "outbox" / proposal.spec.digest / "north"
    content = payload.read_bytes()
    if harm == "missing":
        payload.unlink()
    else:
        last = bytes([content[-1] ^ 1])
        payload.write_bytes(content[:-1] + (last if harm == "flipped" else b""))
    with pytest.raises(OperatorError, match=f"FS-543.*{payload}"):
        basel.contributor.deliver(accepted)
    assert sorted(memory.owner.held(proposal)["south"]) == ["basel"]
    assert pairs(memory.owner.held(proposal)) == {}
