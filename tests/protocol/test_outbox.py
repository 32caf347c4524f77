"""What an agent's outbox keeps, and for how long."""

from pathlib import Path

from tests.protocol.federation import (
    NOW,
    MemoryFederation,
    measurement_of,
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
