"""A set that the aggregators refuse to open was asked for, and never opened."""

from pathlib import Path

from fedsecure.owner.store.records import RoundResult, RoundVoided
from tests.protocol.audit.story import Records
from tests.protocol.federation import (
    HOSPITALS,
    MemoryFederation,
    federate,
    measurement_of,
    refused,
)


def ask(memory: MemoryFederation, names: tuple[str, ...], **changes: int) -> str:
    """Ask for a sum over these in a round that starts from the one model."""
    proposal = memory.owner.propose(memory.request(**changes))
    receipts = {
        name: memory.hospitals[name].answer(proposal, measurement_of(name))
        for name in HOSPITALS
    }
    if len(names) == len(HOSPITALS):
        opened = memory.owner.open(proposal, receipts)
        shares = [one.token for one in opened.shares.values()]
        memory.store.finish_round(RoundResult(proposal.spec.digest, shares=shares))
        return proposal.spec.digest
    with refused("FS-324"):
        memory.owner.open(proposal, {name: receipts[name] for name in names})
    voided = memory.owner.void(proposal.spec, "given up after FS-324")
    confirmed = {name: signed.token for name, signed in voided.confirmations.items()}
    assert sorted(confirmed) == ["north", "south"]
    memory.store.void_round(
        RoundVoided(proposal.spec.digest, "given up after FS-324", (), confirmed)
    )
    return proposal.spec.digest


def test_an_opening_that_both_refused_is_no_opened_sum(tmp_path: Path) -> None:
    """Neither one that tells genf apart, nor a second one of its round."""
    folder = tmp_path / "all"
    folder.mkdir()
    with federate(folder) as memory:
        ask(memory, HOSPITALS)
        ask(memory, HOSPITALS[:3], round=2)
        ask(memory, HOSPITALS, round=2, attempt=2)
        records = Records(folder, memory.federation, memory.keys)
        report = records.audit()
    assert [one for one in report.findings if one.check in {14, 15}] == []
    assert report.pairs == []
