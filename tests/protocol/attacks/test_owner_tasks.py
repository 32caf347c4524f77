"""A model owner who gives data owners other models, settings or numbers."""

from typing import Any

import numpy as np
import pytest

from fedsecure.contributor.contribution import Offer, ReceivedTask
from fedsecure.errors import PeerError
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.protocol import signing
from fedsecure.protocol.statements import Purpose
from fedsecure.study.task import ConfigValue, Layer, model_digest, task_digest
from tests.protocol.attacks.forging import (
    code_of,
    opened,
    propose,
    put_spec,
    regranted,
    report_all,
    respecified,
    rounds,
    signed_text,
)
from tests.protocol.federation import (
    DIMENSION,
    HOSPITALS,
    OWNER,
    SERVERS,
    MemoryFederation,
    offer_of,
    refused,
)

LAYERS = [Layer("0", (20, 25))]
WEIGHTS = np.zeros(DIMENSION, np.float32)
CONFIG: dict[str, ConfigValue] = {"learning-rate": 0.1, "server-round": 1}
DEAD = np.full(DIMENSION, np.nan, np.float32)  # a model that cannot learn


def facts(
    purpose: Purpose = Purpose.TRAIN,
    layers: list[Layer] = LAYERS,
    weights: Any = WEIGHTS,
    config: dict[str, ConfigValue] = CONFIG,
) -> ReceivedTask:
    """What a data owner finds in the task that reached it."""
    model = model_digest(layers, weights)
    task = task_digest(purpose, model, config)
    return ReceivedTask(purpose, task.hex(), model.hex(), weights.size, config)


@pytest.mark.parametrize(
    "changed",
    [
        {"weights": DEAD},
        {"weights": np.nextafter(WEIGHTS, np.float32(1))},
        {"layers": [Layer("0", (25, 20))]},
        {"config": {**CONFIG, "learning-rate": 0.0}},
        {"config": {**CONFIG, "learning-rate": 1}},
        {"config": {**CONFIG, "only-here": True}},
        {"config": {"server-round": 1}},
        {"purpose": Purpose.EVALUATE},
    ],
    ids=[
        "a model that cannot learn",
        "a weight's last digit",
        "layers",
        "learning rate",
        "a number's type",
        "one value more",
        "one value less",
        "purpose",
    ],
)
def test_another_task_for_one_data_owner_is_refused_by_it_and_the_rest_go_on(
    memory: MemoryFederation, changed: dict[str, Any]
) -> None:
    honest = facts()
    proposal = propose(memory, task=honest.digest, model=honest.model)
    genf = memory.hospitals["genf"].contributor
    with refused("FS-340"):
        genf.accept(offer_of(proposal), facts(**changed))
    assert memory.hospitals["genf"].state.reports(proposal.spec.digest) == []
    receipts = report_all(memory, proposal, HOSPITALS[:3])
    assert opened(memory, proposal, receipts).count == 3
    # It cannot be asked for genf's part afterwards: the place in the run is taken.
    other = facts(**changed)
    again = respecified(memory, proposal, task=other.digest, model=other.model)
    assert [code_of(put_spec(memory, name, again.token)) for name in SERVERS] == [
        "FS-304",
        "FS-304",
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"clip":2', '"clip":NaN'),
        ('"clip":2', '"clip":Infinity'),
        ('"clip":2', '"clip":-Infinity'),
        ('"clip":2', '"clip":1e999'),
        ('"clip":2', '"clip":-1e999'),
        ('"clip":2', '"clip":0'),
        ('"clip":2', '"clip":2,"clip":1000000'),
        ('"clip":2', '"clip":"2"'),
        ('"clip":2', '"clip":2.0'),
        ('"weight_cap":1000', '"weight_cap":1e999'),
        ('"weight_cap":1000', '"weight_cap":true'),
        ('"weight_cap":1000', '"weight_cap":18446744073709551617'),
        ('"low":0', '"low":NaN'),
        ('"high":4', '"high":1e999'),
        ('"round":1', '"round":1,"round":2'),
        ('"round":1', '"ROUND":1'),
        ('"round":1', '"\\u0072ound":1'),
        ('"deadline":', '"deadline": '),
    ],
)
def test_numbers_that_are_none_and_texts_with_two_readings_are_refused_by_everybody(
    memory: MemoryFederation, old: str, new: str
) -> None:
    proposal = propose(memory)
    text = signing.canonical(proposal.spec.statement).decode()
    assert text.count(old) == 1
    author = memory.author(OWNER)
    token = signed_text(author, "round-spec", text.replace(old, new).encode())
    assert [code_of(put_spec(memory, name, token)) for name in SERVERS] == [
        "FS-701",
        "FS-701",
    ]
    statement = proposal.spec.statement
    found = ReceivedTask(
        statement.purpose, statement.task, statement.model, statement.dimension
    )
    with refused("FS-701"):
        memory.hospitals["basel"].contributor.accept(
            Offer(token, offer_of(proposal).grants), found
        )
    assert [row[3] for row in rounds(memory, "north")] == ["granted"]


@pytest.mark.parametrize("low_high", [(4.0, 4.0), (4.0, 0.0), (0.0, None)])
def test_ranges_without_a_length_are_refused_by_everybody(
    memory: MemoryFederation, low_high: tuple[float, float | None]
) -> None:
    proposal = propose(memory)
    (field,) = proposal.spec.statement.scalars
    low, high = low_high
    scalars = [field.model_copy(update={"low": low, "high": high})]
    spec = respecified(memory, proposal, scalars=scalars, round=2)
    assert code_of(put_spec(memory, "north", spec.token)).startswith("FS-2")
    with pytest.raises(PeerError, match="FS-2"):
        memory.hospitals["basel"].accept(
            Proposal(spec, proposal.params, regranted(memory, proposal, spec), None)
        )
