"""A dishonest model owner sends a model that attacks Keras to a whole agent.

The offer is in order: the model owner signed it, both aggregators granted it, the task
digest fits. Only what the task holds is hostile.
"""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Message
from structlog.testing import capture_logs

from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.protocol.statements import Purpose
from fedsecure.study.config import Study, load_study
from fedsecure.study.keras.building import build_model
from fedsecure.study.round_task import RoundTask
from fedsecure.study.task import MAX_TASK, Layer, Task
from fedsecure_clients.agent.loop import ERROR_CODE, NOT_REPORTED, Agent
from fedsecure_clients.keras_app.app import app
from tests.protocol.agents import agent_of
from tests.protocol.federation import (
    DIMENSION,
    HOSPITALS,
    SERVERS,
    MemoryFederation,
    offer_of,
)
from tests.unit.study.test_published_exploits import PAYLOADS

FOLDER = Path(__file__).parents[2] / "studies" / "heart"
CHOSEN = [name for name in PAYLOADS if name.startswith(("CVE", "legacy"))]


@pytest.fixture(scope="module")
def study() -> Study:
    return load_study(FOLDER)


@pytest.fixture(scope="module")
def honest(study: Study) -> Task:
    return study.task(build_model(study)[1])


@pytest.fixture
def agent(memory: MemoryFederation) -> Iterator[Agent]:
    hospital = memory.hospitals[HOSPITALS[0]]
    with task_identity(1):
        yield agent_of(memory, hospital, app, FOLDER / "data" / "hungary.csv")


def asked(memory: MemoryFederation, text: str) -> tuple[Message, str]:
    """Propose a round of this task in good order: the message, and the round."""
    task = RoundTask(
        Purpose.TRAIN,
        (Layer("0", (DIMENSION,)),),
        {"study": text, "server-round": 1},
        np.zeros(DIMENSION, np.float32),
    )
    proposal = memory.owner.propose(
        memory.request(task=task.digest(), model=task.model)
    )
    content = wire.pack_task(task, offer_of(proposal))
    message = Message(content, dst_node_id=1, message_type="train")
    return message, proposal.spec.digest


def require_refused(
    memory: MemoryFederation, agent: Agent, text: str, code: str
) -> None:
    """Assert: the owner learns nothing, the hospital reads why, nobody has a report."""
    message, spec = asked(memory, text)
    with capture_logs() as logs:
        reply = agent.answer(message, 1)
    assert (reply.error.code, reply.error.reason) == (ERROR_CODE, NOT_REPORTED)
    assert [line["code"] for line in logs if line["event"] == NOT_REPORTED] == [code]
    assert agent.state.reports(spec) == []
    for server in SERVERS:
        assert (
            list((memory.folder / server / "rounds" / spec / "reports").iterdir()) == []
        )


def poisoned(honest: Task, payload: object) -> str:
    model: dict[str, Any] = json.loads(honest.model)
    model["config"]["layers"].append(copy.deepcopy(payload))
    return honest.model_copy(update={"model": json.dumps(model)}).text


@pytest.mark.parametrize("name", CHOSEN)
def test_a_published_exploit_in_an_offer_that_is_in_order_is_not_reported(
    memory: MemoryFederation, agent: Agent, honest: Task, name: str
) -> None:
    text = poisoned(honest, PAYLOADS[name])
    require_refused(memory, agent, text, "FS-420")


@pytest.mark.parametrize("what", ["too long", "too deep", "a key twice"])
def test_a_model_beyond_all_limits_is_not_reported(
    memory: MemoryFederation, agent: Agent, honest: Task, what: str
) -> None:
    text = honest.text
    match what:
        case "too long":
            text += " " * MAX_TASK
        case "too deep":
            model = '{"config":' * 10_000 + "{}" + "}" * 10_000
            text = honest.model_copy(update={"model": model}).text
        case "a key twice":
            text = text.replace('{"batch_size"', '{"batch_size":1,"batch_size"', 1)
            assert text != honest.text
    require_refused(memory, agent, text, "FS-421")
