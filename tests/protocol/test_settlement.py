"""What a data owner learns of its report afterwards, and keeps."""

import httpx
from structlog.testing import capture_logs

from fedsecure.contributor.settlement import Fate, Settlement
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol.signing import Signed, verify
from fedsecure.protocol.statements import Inclusion, Receipt
from tests.protocol.federation import (
    HOSPITALS,
    Handler,
    MemoryFederation,
    measurement_of,
    refused,
)


def settle(memory: MemoryFederation, name: str, proposal: Proposal) -> Fate:
    state = memory.hospitals[name].state
    settlement = Settlement(memory.author(name), memory.clients(), state, memory.clock)
    reports = state.reports(proposal.spec.digest)
    return settlement.settle(
        {report.header.statement.aggregator: report for report in reports}
    )


def report_all(
    memory: MemoryFederation, proposal: Proposal
) -> dict[str, dict[str, Signed[Receipt]]]:
    return {
        name: memory.hospitals[name].answer(proposal, measurement_of(name))
        for name in HOSPITALS
    }


def test_a_report_is_included_or_left_out_as_both_aggregators_say(
    memory: MemoryFederation,
) -> None:
    proposal = memory.owner.propose(memory.request())
    receipts = report_all(memory, proposal)
    late = receipts.pop("genf")
    assert late
    state = memory.hospitals["basel"].state
    assert state.unsettled() == [proposal.spec.digest]
    with refused("FS-330"):
        settle(memory, "basel", proposal)
    memory.owner.open(proposal, receipts)
    assert settle(memory, "basel", proposal) is Fate.INCLUDED
    assert settle(memory, "genf", proposal) is Fate.LEFT_OUT
    assert state.unsettled() == []
    assert state.fates() == {"included": 1}


def test_asking_before_a_round_is_decided_counts_as_no_refusal(
    memory: MemoryFederation,
) -> None:
    def refusals() -> list[str]:
        asked = httpx.Request("GET", "https://north.test/metrics")
        page = memory.wires["north"].deliver(asked).text
        return [line for line in page.splitlines() if "refused_total{" in line]

    proposal = memory.owner.propose(memory.request())
    report_all(memory, proposal)
    for _ in range(3):
        with capture_logs() as lines, refused("FS-330"):
            settle(memory, "basel", proposal)
        assert [line for line in lines if line["event"] == "refused"] == []
    assert refusals() == []
    nowhere = httpx.Request("GET", "https://north.test/nowhere")
    assert memory.wires["north"].deliver(nowhere).status_code == 404
    assert [line.split("}")[0] for line in refusals()] == [
        'fedsecure_refused_total{code="FS-530"'
    ]


def test_a_void_round_settles_as_void(memory: MemoryFederation) -> None:
    proposal = memory.owner.propose(memory.request())
    report_all(memory, proposal)
    memory.owner.void(proposal.spec, "a test")
    assert settle(memory, "bern", proposal) is Fate.VOID


def test_aggregators_that_disagree_are_found_out(memory: MemoryFederation) -> None:
    proposal = memory.owner.propose(memory.request())
    memory.owner.open(proposal, report_all(memory, proposal))

    def deny(request: httpx.Request, deliver: Handler) -> httpx.Response:
        token = deliver(request).text
        honest = verify(token, Inclusion, memory.federation).statement
        lie = honest.model_copy(update={"included": False})
        return httpx.Response(200, text=memory.author("south").sign(lie).token)

    memory.wires["south"].fault = deny
    with refused("FS-350"):
        settle(memory, "chur", proposal)
    state = memory.hospitals["chur"].state
    assert state.unsettled() == []  # it is not asked for ever, and the proof is kept
    assert state.fates() == {"disputed": 1}


def test_nobody_else_may_ask(memory: MemoryFederation) -> None:
    proposal = memory.owner.propose(memory.request())
    memory.owner.open(proposal, report_all(memory, proposal))
    basel = memory.hospitals["basel"]
    curious = Settlement(
        memory.author("bern"), memory.clients(), basel.state, memory.clock
    )
    reports = basel.state.reports(proposal.spec.digest)
    with refused("FS-333"):
        curious.settle(
            {report.header.statement.aggregator: report for report in reports}
        )
