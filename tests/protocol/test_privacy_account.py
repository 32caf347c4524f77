"""What an agent keeps account of: charged before it is sent, and returned if void."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from fedsecure.contributor.settlement import Fate
from fedsecure.core.dp.accountant import epsilons, largest_rho
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Inclusion
from fedsecure.storage import database
from fedsecure.study.task import ConfigValue
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.consent.privacy_policy import PrivacyPolicy
from fedsecure_clients.state import agent_state
from fedsecure_clients.state.privacy import Total
from fedsecure_clients.state.storage import DATABASE
from tests.protocol.federation import (
    HOSPITALS,
    Handler,
    Hospital,
    MemoryFederation,
    NoLog,
    measurement_of,
    refused,
)
from tests.protocol.private_rounds import (
    DELTA,
    EVALUATION,
    PRIVACY,
    any_task,
    asked,
    at_once,
    budget_for,
    cost_of,
    make_tables,
    private_measurement,
)
from tests.protocol.test_settlement import settle

__all__ = ["any_task", "at_once"]  # fixtures

pytestmark = pytest.mark.usefixtures("any_task", "at_once")


def propose(memory: MemoryFederation, **changes: Any) -> Proposal:
    return without_record(memory).propose(asked(memory, **changes))


def without_record(memory: MemoryFederation) -> RoundOwner:
    """Return an owner that asks for any round of any run."""
    return replace(memory.owner, log=NoLog())


def answer(memory: MemoryFederation, name: str, proposal: Proposal) -> Any:
    purpose = proposal.spec.statement.purpose
    return memory.hospitals[name].answer(proposal, private_measurement(name, purpose))


def rows(hospital: Hospital) -> Total:
    return hospital.state.privacy.of_unit(Unit.ROW)


def view(memory: MemoryFederation, name: str) -> list[dict[str, Any]]:
    """Read the view as the operator of an agent does."""
    engine = database.open_for_reading(database.locate(memory.folder / name / DATABASE))
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT * FROM v_privacy ORDER BY study")
        answers = [dict(row) for row in found.mappings()]
    engine.dispose()
    return answers


def test_a_round_is_charged_before_a_byte_is_sent_and_once_however_often_asked(
    memory: MemoryFederation,
) -> None:
    proposal = propose(memory)
    basel, cost = memory.hospitals["basel"], cost_of(memory, asked(memory))
    seen: list[Total] = []

    def look(request: httpx.Request, deliver: Handler) -> httpx.Response:
        seen.append(rows(basel))
        return deliver(request)

    for wire in memory.wires.values():
        wire.fault = look
    for _ in range(3):
        answer(memory, "basel", proposal)
    assert seen == [Total(1, 1, cost)] * 2
    assert rows(basel) == Total(1, 1, cost)
    assert rows(memory.hospital("basel")) == Total(1, 1, cost)  # started again


def test_reports_are_not_stored_where_their_charge_is_not(
    memory: MemoryFederation, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = propose(memory)

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(agent_state.privacy, "charge", fail)
    with pytest.raises(RuntimeError):
        answer(memory, "basel", proposal)
    assert memory.hospitals["basel"].state.reports(proposal.spec.digest) == []
    assert not memory.owner.held(proposal)["north"]


def test_what_was_counted_is_spent_and_what_neither_counted_is_returned(
    memory: MemoryFederation,
) -> None:
    proposal = propose(memory)
    cost = cost_of(memory, asked(memory))
    receipts = {name: answer(memory, name, proposal) for name in HOSPITALS}
    del receipts["genf"]
    make_tables(memory, asked(memory))
    without_record(memory).open(proposal, receipts)
    assert settle(memory, "basel", proposal) is Fate.INCLUDED
    assert settle(memory, "genf", proposal) is Fate.LEFT_OUT
    assert rows(memory.hospitals["basel"]) == Total(1, 0, cost)
    assert rows(memory.hospitals["genf"]) == Total()
    void = propose(memory, round=2)
    answer(memory, "genf", void)
    assert rows(memory.hospitals["genf"]) == Total(1, 1, cost)
    without_record(memory).void(void.spec, "a test")
    assert settle(memory, "genf", void) is Fate.VOID
    assert rows(memory.hospitals["genf"]) == Total()
    assert view(memory, "genf") == []


@pytest.mark.parametrize(
    "lie",
    [
        {"included": False, "charged": 0},
        {
            "included": False,
            "charged": 0,
            "opening": None,
            "set": None,
            "count": 0,
        },
        {"charged": 0},
        {"charged": 1},
        {"charged": 2**53 - 1},
    ],
    ids=["left out", "void", "free", "almost free", "more than it costs"],
)
def test_nothing_that_one_aggregator_says_changes_what_a_counted_report_costs(
    memory: MemoryFederation, lie: dict[str, Any]
) -> None:
    proposal = propose(memory)
    cost = cost_of(memory, asked(memory))
    receipts = {name: answer(memory, name, proposal) for name in HOSPITALS}
    make_tables(memory, asked(memory))
    without_record(memory).open(proposal, receipts)

    def answer_falsely(request: httpx.Request, deliver: Handler) -> httpx.Response:
        honest = verify(deliver(request).text, Inclusion, memory.federation).statement
        changed = honest.model_copy(update=lie)
        return httpx.Response(200, text=memory.author("south").sign(changed).token)

    memory.wires["south"].fault = answer_falsely
    with refused("FS-350"):
        settle(memory, "basel", proposal)
    state = memory.hospitals["basel"].state
    assert state.fates() == {"disputed": 1}  # both words are kept
    assert rows(memory.hospitals["basel"]) == Total(1, 0, cost)


def test_a_round_without_noise_makes_what_was_told_unbounded_unless_it_is_void(
    memory: MemoryFederation,
) -> None:
    answer(memory, "basel", propose(memory))
    basel = memory.hospitals["basel"]
    plain = without_record(memory).propose(memory.request(run="run-2"))
    basel.answer(plain, measurement_of("basel"), config={"another": "study"})
    for unit in Unit:
        assert basel.state.privacy.of_unit(unit).rho is None
    assert {(one["study"], one["epsilon"]) for one in view(memory, "basel")} >= {
        ("all", None)
    }
    without_record(memory).void(plain.spec, "a test")
    settle(memory, "basel", plain)
    assert rows(basel) == Total(1, 1, cost_of(memory, asked(memory)))


def test_rows_and_data_owners_are_two_accounts(memory: MemoryFederation) -> None:
    owner = PRIVACY.model_copy(update={"unit": Unit.DATA_OWNER, "unit_clip": 2.0})
    basel = memory.hospitals["basel"]
    first = propose(memory, privacy=owner)
    answer(memory, "basel", first)
    cost = cost_of(memory, asked(memory, owner))
    assert [basel.state.privacy.of_unit(unit).rho for unit in Unit] == [cost, cost]
    request = asked(memory, config={"another": "study"}, run="run-2")
    rowwise = without_record(memory).propose(request)
    accepted = basel.accept(rowwise, config={"another": "study"})
    basel.contributor.contribute(accepted, private_measurement("basel"))
    both = cost + cost_of(memory, request)
    assert [basel.state.privacy.of_unit(unit).rho for unit in Unit] == [both, None]


def test_the_view_shows_both_numbers_and_how_much_of_the_budget_is_used(
    memory: MemoryFederation,
) -> None:
    train, evaluation = asked(memory), asked(memory, **EVALUATION)
    for request in (train, evaluation):
        answer(memory, "basel", without_record(memory).propose(request))
    rho = cost_of(memory, train) + cost_of(memory, evaluation)
    both = epsilons(rho, DELTA)
    one, everything = (
        next(row for row in view(memory, "basel") if (row["study"], row["unit"]) == key)
        for key in ((train.study, "row"), ("all", "row"))
    )
    assert one == {
        "study": train.study,
        "unit": "row",
        "rounds": 2,
        "held": 2,
        "rho": rho * 1e-12,
        "delta": DELTA,
        "epsilon": round(both.one_server_corrupt, 4),
        "epsilon_outsider": round(both.outsider, 4),
        "budget": PRIVACY.epsilon,
        "used": round(rho / largest_rho(PRIVACY.epsilon, DELTA), 4),
    }
    same = {"study": "all", "budget": None, "used": None}
    assert everything == {**one, **same}
    (owner,) = (row for row in view(memory, "basel") if row["unit"] == "data-owner")
    assert (owner["rho"], owner["epsilon"]) == (None, None)


def test_a_study_ends_where_its_budget_does_and_nothing_is_trained(
    memory: MemoryFederation,
) -> None:
    privacy = budget_for(memory, rounds=2)
    first, second = (
        propose(memory, privacy=privacy, round=number) for number in (1, 2)
    )
    for proposal in (first, second):
        answer(memory, "basel", proposal)
    third = propose(memory, privacy=privacy, round=3)
    with refused("FS-431"):
        memory.hospitals["basel"].accept(third)
    answer(memory, "basel", second)  # what was told may be told again
    assert memory.hospitals["basel"].state.reports(third.spec.digest) == []


def test_a_void_attempt_is_asked_about_before_a_budget_refuses_the_next_one(
    memory: MemoryFederation,
) -> None:
    privacy = budget_for(memory, rounds=1)
    first = propose(memory, privacy=privacy)
    answer(memory, "basel", first)
    without_record(memory).void(first.spec, "too few reports")
    again = propose(memory, privacy=privacy, attempt=2)
    answer(memory, "basel", again)
    assert rows(memory.hospitals["basel"]).rounds == 1
    with refused("FS-431"):
        memory.hospitals["basel"].accept(propose(memory, privacy=privacy, round=2))


def test_all_studies_together_keep_to_the_data_owners_own_limit(
    memory: MemoryFederation,
) -> None:
    limit = budget_for(memory, rounds=3).epsilon
    own = PrivacyPolicy(max_epsilon=limit)
    basel = memory.hospital("basel", Policy(studies="any", privacy=own))
    privacy = budget_for(memory, rounds=2)
    answered = []
    for study in range(3):
        other = privacy.model_copy(update={"epsilon": privacy.epsilon - study / 100})
        for number in (1, 2):
            config: dict[str, ConfigValue] = {"study": study}
            request = asked(memory, other, config, run=f"run-{study}", round=number)
            proposal = without_record(memory).propose(request)
            if len(answered) == 3:
                with refused("FS-431"):
                    basel.accept(proposal, config=config)
                continue
            accepted = basel.accept(proposal, config=config)
            basel.contributor.contribute(accepted, private_measurement("basel"))
            answered.append((study, number))
    assert answered == [(0, 1), (0, 2), (1, 1)]
    told = rows(basel).at(DELTA)
    assert told
    assert told.one_server_corrupt <= limit
