"""The agent around its contributor: what it tells, and what it keeps to itself."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp

from fedsecure.contributor.contribution import Offer
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.protocol.statements import Purpose
from fedsecure.study.round_task import RoundTask
from fedsecure.study.task import Layer
from fedsecure_clients.agent.loop import Agent
from fedsecure_clients.consent.policy import Policy
from tests.protocol.agents import agent_of
from tests.protocol.federation import MemoryFederation, offer_of

TASK = RoundTask(
    Purpose.TRAIN,
    (Layer("0", (500,)),),
    {"mine": "a toy", "server-round": 1},
    np.zeros(500, np.float32),
)


@pytest.fixture(autouse=True)
def _in_a_run() -> Iterator[None]:
    with task_identity(run_id=1, node_id=1):
        yield


def running_agent(memory: MemoryFederation, policy: Policy) -> Agent:
    hospital = memory.hospital("basel", policy)
    return agent_of(memory, hospital, ClientApp(), Path("patients.csv"))


def asked(memory: MemoryFederation, change: Callable[[Offer], Offer]) -> Message:
    """Return a round's task as it reaches basel's agent."""
    proposal = memory.owner.propose(
        memory.request(task=TASK.digest(), model=TASK.model)
    )
    content = wire.pack_task(TASK, change(offer_of(proposal)))
    return Message(content, dst_node_id=1, message_type="train")


def answer(memory: MemoryFederation, policy: Policy, message: Message) -> Agent:
    """Have the agent answer; whatever is wrong, the reply says the same."""
    running = running_agent(memory, policy)
    reply = running.answer(message, node_id=1)
    assert (reply.error.code, reply.error.reason) == (1, "not_reported")
    assert not running.state.sent().keys() - {"model owner"}
    return running


def test_a_refusal_is_told_here_and_not_to_the_model_owner(
    memory: MemoryFederation,
) -> None:
    sent = asked(memory, lambda offer: offer)
    running = answer(memory, Policy(studies="approved"), sent)
    (refusal,) = running.state.refusals.newest(10)
    assert (refusal.run, refusal.round, refusal.purpose) == ("run-1", 1, "train")
    assert refusal.code == "FS-418"
    (known,) = running.state.studies.all()
    assert known.text == '{"mine": "a toy"}'
    assert known.digest.startswith(refusal.detail.removeprefix("study "))


def test_a_spec_that_the_model_owner_did_not_sign_names_no_round(
    memory: MemoryFederation,
) -> None:
    sent = asked(
        memory, lambda offer: Offer(offer.spec[:-8] + "AAAAAAAA", offer.grants)
    )
    running = answer(memory, Policy(studies="any"), sent)
    (refusal,) = running.state.refusals.newest(10)
    assert (refusal.run, refusal.round) == (None, None)
    assert refusal.code in {"FS-701", "FS-704"}
    assert running.state.studies.all() == []


def test_what_an_app_raises_is_kept_without_its_text(memory: MemoryFederation) -> None:
    sent = asked(memory, lambda offer: offer)

    def broken(_message: Message, _context: Context, _app: Any) -> Message:
        msg = "row 7 holds Jane Doe"
        raise ValueError(msg)

    running = running_agent(memory, Policy(studies="any"))
    object.__setattr__(running, "mod", broken)
    assert running.answer(sent, node_id=1).has_error()
    (refusal,) = running.state.refusals.newest(10)
    assert refusal.code == "FS-380"
    assert "Jane" not in refusal.detail
    assert refusal.run == "run-1"


@pytest.mark.parametrize("records", [{}, {"fedsecure": {"spec": 7}}])
def test_a_message_that_is_no_task_is_refused_and_kept(
    memory: MemoryFederation, records: dict[str, Any]
) -> None:
    content = RecordDict({key: ConfigRecord(value) for key, value in records.items()})
    sent = Message(content, dst_node_id=1, message_type="train")
    running = answer(memory, Policy(studies="any"), sent)
    (refusal,) = running.state.refusals.newest(10)
    assert (refusal.code, refusal.run) == ("FS-363", None)
