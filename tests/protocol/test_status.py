"""`fedsecure agent status` says of each round whether it was counted, and by whom."""

import io
from pathlib import Path

import pytest
from rich.console import Console
from sqlalchemy import text

from fedsecure.errors import PeerError
from fedsecure.storage import database
from fedsecure_clients.cli.status import Status, page
from fedsecure_clients.state.agent_state import AgentState
from fedsecure_clients.state.outcomes import Answered
from fedsecure_clients.state.storage import DATABASE
from tests.protocol.audit.story import request
from tests.protocol.federation import MemoryFederation, measurement_of
from tests.protocol.test_settlement import report_all, settle


@pytest.fixture
def rounds(memory: MemoryFederation) -> list[Answered]:
    """Five rounds as genf's agent knows them, the newest first."""
    counted = memory.owner.propose(request(memory, 1))
    memory.owner.open(counted, report_all(memory, counted))
    memory.clock.now += 10
    left_out = memory.owner.propose(request(memory, 2))
    receipts = report_all(memory, left_out)
    receipts.pop("genf")
    memory.owner.open(left_out, receipts)
    memory.clock.now += 10
    void = memory.owner.propose(request(memory, 3))
    report_all(memory, void)
    memory.owner.void(void.spec, "a test")
    for proposal in (counted, left_out, void):
        settle(memory, "genf", proposal)
    memory.clock.now += 10
    again = memory.owner.propose(request(memory, 4))
    memory.hospitals["genf"].answer(again, measurement_of("genf"))
    return list(memory.hospitals["genf"].state.answered_rounds(10))


def test_every_round_says_whether_it_was_counted_as_both_aggregators_say(
    rounds: list[Answered],
) -> None:
    assert [(one.round, one.attempt, one.counted, one.answers) for one in rounds] == [
        (4, 1, "not decided yet", {"north": "received", "south": "received"}),
        (3, 1, "void", {"north": "void", "south": "void"}),
        (2, 1, "left out", dict.fromkeys(["north", "south"], "not in set of 3")),
        (1, 1, "included", dict.fromkeys(["north", "south"], "in set of 4")),
    ]


def test_the_page_names_every_round_and_both_aggregators(
    rounds: list[Answered],
) -> None:
    file = io.StringIO()
    found = Status("genf", {}, {"included": 1}, rounds, (), (), 0)
    Console(file=file, width=80).print(page(found))
    lines = [" ".join(line.split()) for line in file.getvalue().splitlines()]
    assert "run round counted north south" in lines
    assert "run-1 1 included in set of 4 in set of 4" in lines
    assert "run-1 2 left out not in set of 3 not in set of 3" in lines
    assert "run-1 4 not decided yet received received" in lines


def test_the_newest_come_first_and_older_ones_are_left_to_a_larger_number(
    rounds: list[Answered], memory: MemoryFederation
) -> None:
    state = memory.hospitals["genf"].state
    assert list(state.answered_rounds(2)) == rounds[:2]


def test_a_round_that_one_aggregator_never_received_is_said(
    rounds: list[Answered], memory: MemoryFederation
) -> None:
    path = memory.folder / "genf" / DATABASE
    _write(path, "UPDATE reports SET receipt = NULL WHERE aggregator = 'south'")
    state = memory.hospitals["genf"].state
    first = state.answered_rounds(1)[0]
    assert first.counted == "not received by both"
    assert first.answers == {"north": "received", "south": "nothing yet"}
    assert rounds


def test_an_inclusion_that_was_changed_is_refused(
    rounds: list[Answered], memory: MemoryFederation
) -> None:
    _write(memory.folder / "genf" / DATABASE, "UPDATE reports SET inclusion = 'x.y.z'")
    state: AgentState = memory.hospitals["genf"].state
    with pytest.raises(PeerError, match="FS-701"):
        state.answered_rounds(1)
    assert rounds


def _write(path: Path, query: str) -> None:
    engine = database.open_for_writing(database.locate(path))
    with database.writer(engine).begin() as connection:
        connection.execute(text(query))
    engine.dispose()
