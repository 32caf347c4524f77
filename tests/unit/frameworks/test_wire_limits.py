"""What arrives at an agent is measured before any of it is copied, parsed or hashed."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict

from fedsecure.contributor.contribution import Offer
from fedsecure.errors import PeerError
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.protocol.statements import Purpose
from fedsecure.study.round_task import RoundTask
from fedsecure.study.task import MAX_TASK, Layer

MEGABYTE = 2**20


@pytest.fixture(autouse=True)
def _in_a_run() -> Iterator[None]:
    with task_identity(run_id=1, node_id=1):
        yield


def message(
    config: dict[str, Any] | None = None, kind: str = "train", **ours: Any
) -> Message:
    """Return a task as an agent receives it."""
    content = RecordDict(
        {
            "config": ConfigRecord(config or {"study": "text"}),
            "fedsecure": ConfigRecord(
                {
                    "layers": '[["0",[3]]]',
                    "spec": "s",
                    "grants": ["a", "b"],
                    "weights": bytes(12),
                    **ours,
                }
            ),
        }
    )
    return Message(content, dst_node_id=1, message_type=kind)


@contextmanager
def at_most(bytes_more: int) -> Iterator[None]:
    """Check how much memory is needed beside what arrived."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < bytes_more


def test_a_task_within_the_limits_arrives() -> None:
    task, offer = wire.unpack_task(message({"study": "x" * MAX_TASK}))
    assert len(str(task.config["study"])) == MAX_TASK
    assert (offer.spec, list(offer.grants)) == ("s", ["a", "b"])
    layers = json.dumps([[str(n), [1]] for n in range(wire.MAX_LAYERS)])
    sent = message(layers=layers, weights=bytes(4 * wire.MAX_LAYERS))
    assert len(wire.unpack_task(sent)[0].layers) == wire.MAX_LAYERS


IN_ONE = wire.PIECE // 4


@pytest.mark.parametrize("size", [0, 1, IN_ONE - 1, IN_ONE, IN_ONE + 1, 2 * IN_ONE + 3])
def test_a_model_of_any_size_arrives_as_it_was_sent(size: int) -> None:
    weights = np.random.default_rng(size).standard_normal(size, np.float32)
    layers = (Layer("a", (1, size // 2)), Layer("b", (size - size // 2,)))
    sent = RoundTask(Purpose.TRAIN, layers, {"study": "text"}, weights)
    content = wire.pack_task(sent, Offer("s", ["a", "b"]))
    assert len(content) == 2 + max(0, size - 1) // IN_ONE
    got, _ = wire.unpack_task(Message(content, dst_node_id=1, message_type="train"))
    assert got.weights.tobytes() == weights.tobytes()
    assert got.digest() == sent.digest()


WRONG_WEIGHTS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "too few": ("FS-362", {"fedsecure": {"weights": bytes(8)}}),
    "too many": ("FS-362", {"weights-1": {"weights": bytes(4)}}),
    "of half a number": ("FS-362", {"fedsecure": {"weights": bytes(11)}}),
    "as text": ("FS-363", {"fedsecure": {"weights": "0" * 12}}),
    "as a list": ("FS-363", {"fedsecure": {"weights": [0.0] * 3}}),
    "in too large a piece": (
        "FS-363",
        {"fedsecure": {"weights": bytes(wire.PIECE + 4)}},
    ),
    "with a gap": ("FS-363", {"weights-2": {"weights": b""}}),
    "with a stowaway": ("FS-363", {"weights-1": {"weights": b"", "more": 1}}),
}


@pytest.mark.parametrize("what", WRONG_WEIGHTS)
def test_other_weights_than_the_layers_name_are_refused(what: str) -> None:
    code, changes = WRONG_WEIGHTS[what]
    sent = message()
    for name, values in changes.items():
        before = sent.content.config_records.get(name, ConfigRecord())
        sent.content[name] = ConfigRecord({**before, **values})
    with pytest.raises(PeerError, match=code):
        wire.unpack_task(sent)


def test_an_array_among_the_records_is_refused() -> None:
    sent = message()
    sent.content["weights-1"] = ArrayRecord({"0": Array(np.zeros(3, np.float32))})
    with pytest.raises(PeerError, match="FS-363"):
        wire.unpack_task(sent)


TOO_MUCH: dict[str, Callable[[], dict[str, Any]]] = {
    "a config of 100 MB": lambda: {"config": {"study": "x" * (100 * MEGABYTE)}},
    "100 MB in bytes": lambda: {"config": {"study": b"x" * (100 * MEGABYTE)}},
    "100 MB in a list": lambda: {"config": {"study": ["x" * MEGABYTE] * 100}},
    "100 MB in many values": lambda: {
        "config": {f"{n}": "x" * MEGABYTE for n in range(100)}
    },
    "100 MB in one key": lambda: {"config": {"x" * (100 * MEGABYTE): 1}},
    "a list of a million numbers": lambda: {"config": {"n": [1] * 1_000_000}},
    "a hundred thousand values": lambda: {
        "config": {str(n): 1 for n in range(100_000)}
    },
    "a spec of 100 MB": lambda: {"spec": "x" * (100 * MEGABYTE)},
    "grants of 100 MB": lambda: {"grants": ["x" * (50 * MEGABYTE)] * 2},
    "ten thousand grants": lambda: {"grants": ["x"] * 9_999},
    "three grants": lambda: {"grants": ["x"] * 3},
    "layers of 100 MB": lambda: {"layers": "[" + " " * (100 * MEGABYTE) + "]"},
    "layers in each other": lambda: {"layers": "[" * 10_000 + "]" * 10_000},
    "thousands of layers": lambda: {
        "layers": json.dumps([["n", []]] * (wire.MAX_LAYERS + 1))
    },
    "a hundred axes": lambda: {"layers": json.dumps([["n", [1] * 100]])},
    "a negative length": lambda: {"layers": '[["n",[-1]]]'},
    "a length beyond all models": lambda: {"layers": '[["n",[4294967296]]]'},
    "a length of a thousand digits": lambda: {"layers": f'[["n",[1{"0" * 1000}]]]'},
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_too_much_is_refused_in_little_memory(what: str) -> None:
    sent = message(**TOO_MUCH[what]())
    with at_most(4 * MEGABYTE), pytest.raises(PeerError, match="FS-363") as caught:
        wire.unpack_task(sent)
    assert len(str(caught.value)) < 500


def test_an_error_about_a_message_repeats_little_of_it() -> None:
    name = "x\x1b[2J" * MEGABYTE
    sent = message()
    for number in range(1000):
        sent.content[f"{number}{name[:1000]}"] = ConfigRecord()
    with pytest.raises(PeerError, match="FS-363") as caught:
        wire.unpack_task(sent)
    assert len(str(caught.value)) < 500
    assert str(caught.value).isprintable()
