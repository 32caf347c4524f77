"""What `fedsecure agent status` and `fedsecure doctor` say of what was told."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fedsecure.doctor.findings import Check, Finding, State
from fedsecure_clients.agent.config import AgentSettings
from fedsecure_clients.agent.doctor import _privacy
from fedsecure_clients.cli.status import Status, page
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.consent.privacy_spent import told
from tests.protocol.federation import MemoryFederation, measurement_of
from tests.protocol.private_rounds import any_task, asked, at_once, budget_for, cost_of
from tests.protocol.test_privacy_account import answer, propose, without_record

__all__ = ["any_task", "at_once"]  # fixtures

pytestmark = pytest.mark.usefixtures("any_task", "at_once")


def policy(**keys: Any) -> Policy:
    return Policy.model_validate({"privacy": keys})


def looked(state: Path, chosen: Policy) -> Finding:
    settings = AgentSettings.model_construct(state=state, policy=chosen)
    return Check("privacy", lambda: _privacy(settings)).run()


def test_status_has_a_line_for_each_study_and_one_for_all(
    memory: MemoryFederation,
) -> None:
    privacy = budget_for(memory, rounds=2)
    answer(memory, "basel", propose(memory, privacy=privacy))
    account = memory.hospitals["basel"].state.privacy
    limit = policy(max_epsilon=8).privacy
    one, everything = told(account, limit)
    request = asked(memory, privacy)
    assert (one.study, one.unit, one.rounds, one.held) == (request.study, "row", 1, 1)
    assert one.limit == privacy.epsilon
    assert one.used == pytest.approx(0.4, abs=0.01)  # of a budget for 2 and a half
    assert (everything.study, everything.limit) == (None, 8)
    assert everything.epsilon == one.epsilon
    file = io.StringIO()
    found = Status("basel", {}, {}, (), (), (), 0, [one, everything])
    Console(file=file, width=100).print(page(found))
    assert "40% used" in file.getvalue()
    assert found.as_json()["privacy"] != []
    assert cost_of(memory, request)


def test_doctor_says_what_must_be_protected_and_what_was_told(
    memory: MemoryFederation, tmp_path: Path
) -> None:
    state = memory.folder / "basel"
    assert looked(state, Policy()).seen.startswith("no [policy.privacy]")
    fresh = looked(tmp_path / "none yet", policy(max_epsilon=8))
    assert fresh.seen == "rows: epsilon 0 of your 8 is told"
    answer(memory, "basel", propose(memory))
    assert looked(state, policy()).seen.startswith("rows: epsilon 1.")
    used_up = looked(state, policy(max_epsilon=0.5))
    assert (used_up.state, used_up.code) == (State.FAILS, "FS-431")
    config = {"another": "study"}
    plain = without_record(memory).propose(memory.request(run="run-2"))
    memory.hospitals["basel"].answer(plain, measurement_of("basel"), config=config)
    unbounded = looked(state, policy(max_epsilon=8))
    assert unbounded.code == "FS-431"
    assert "epsilon without bound of your 8" in unbounded.seen
    assert looked(state, policy()).state is State.OK  # no limit of its own
