import hashlib
import json
import math
import struct
from collections.abc import Callable, Mapping

import numpy as np
import pytest
from hypothesis import given, strategies as st

from fedsecure.errors import PeerError
from fedsecure.study.task import (
    ConfigValue,
    Layer,
    Task,
    model_digest,
    parse_task,
    task_digest,
)

MODEL = bytes(range(32))
SCALARS = (
    st.integers()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
)
CONFIGS = st.dictionaries(
    st.text(max_size=5), SCALARS | st.lists(SCALARS, max_size=3), max_size=4
)


def digest(config: Mapping[str, ConfigValue]) -> bytes:
    return task_digest("train", MODEL, config)


def typed(value: ConfigValue) -> object:
    """Tell 1, 1.0 and True apart, and 0.0 from -0.0, as the digest must."""
    if isinstance(value, list):
        return [typed(item) for item in value]
    sign = math.copysign(1, value) if isinstance(value, float) else None
    return type(value), value, sign


@given(CONFIGS, CONFIGS)
def test_two_configs_have_one_digest_only_if_they_are_the_same(
    one: dict[str, ConfigValue], other: dict[str, ConfigValue]
) -> None:
    same = {k: typed(v) for k, v in one.items()} == {
        k: typed(v) for k, v in other.items()
    }
    assert (digest(one) == digest(other)) == same


@given(CONFIGS)
def test_the_order_of_the_config_is_nothing(config: dict[str, ConfigValue]) -> None:
    assert digest(config) == digest(dict(reversed(config.items())))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": "1"}),
        ({"a": "1"}, {"a": b"1"}),
        ({"a": 0.0}, {"a": -0.0}),
        ({"a": ["x", "y"]}, {"a": ["xy"]}),
        ({"a": ["x"]}, {"a": "x"}),
        ({"a": []}, {}),
        ({"a": "b", "c": "d"}, {"a": "bcd"}),
        ({"ab": "c"}, {"a": "bc"}),
    ],
)
def test_neighbours_have_different_digests(
    one: dict[str, ConfigValue], other: dict[str, ConfigValue]
) -> None:
    assert digest(one) != digest(other)


def test_purpose_and_model_are_part_of_the_digest_of_a_task() -> None:
    digests = {
        task_digest("train", MODEL, {}),
        task_digest("evaluate", MODEL, {}),
        task_digest("train", MODEL[::-1], {}),
        task_digest("train", MODEL, {"server-round": 1}),
    }
    assert len(digests) == 4


def test_layers_and_weights_are_the_digest_of_a_model() -> None:
    weights = np.arange(6, dtype=np.float32)
    touched = weights.copy()
    touched[5] = np.nextafter(touched[5], 7, dtype=np.float32)
    negative = weights.copy()
    negative[0] = -0.0
    layers = [Layer("a", (2, 2)), Layer("b", (2,))]
    digests = {
        model_digest(layers, weights),
        model_digest(layers, touched),
        model_digest(layers, negative),
        model_digest([Layer("a", (4,)), Layer("b", (2,))], weights),
        model_digest([Layer("a", (2,)), Layer("b", (2, 2))], weights),
        model_digest([Layer("b", (2, 2)), Layer("a", (2,))], weights),
        model_digest([Layer("ab", (6,))], weights),
    }
    assert len(digests) == 7


def test_a_model_has_the_same_digest_whatever_is_done_with_it() -> None:
    # By it aggregators find the sums that can be subtracted from each other.
    layers, weights = [Layer("w", (2,))], np.array([1.5, -2.0], dtype=np.float32)
    first = model_digest(layers, weights)
    assert first == model_digest(tuple(layers), weights.copy())
    tasks = {
        task_digest(purpose, first, {"server-round": number})
        for purpose in ("train", "evaluate")
        for number in (1, 2)
    }
    assert len(tasks) == 4


def tagged(tag: bytes, content: bytes) -> bytes:
    return tag + struct.pack(">Q", len(content)) + content


def test_the_digest_of_a_model_is_over_the_documented_bytes() -> None:
    weights = np.array([1.5, -2.0], dtype=np.float32)
    expected = hashlib.sha256(
        tagged(b"y", b"fedsecure v1 model digest")
        + struct.pack(">Q", 1)
        + tagged(b"s", b"w")
        + b"l"
        + struct.pack(">Q", 2)
        + tagged(b"i", b"1")
        + tagged(b"i", b"2")
        + struct.pack("<2f", 1.5, -2.0)
    )
    assert model_digest([Layer("w", (1, 2))], weights) == expected.digest()


def test_the_digest_of_a_task_is_over_the_documented_bytes() -> None:
    config: dict[str, ConfigValue] = {
        "study": "{}",
        "server-round": 3,
        "proximal-mu": 0.5,
    }
    expected = hashlib.sha256(
        tagged(b"y", b"fedsecure v1 task digest")
        + tagged(b"s", b"train")
        + tagged(b"y", MODEL)
        + struct.pack(">Q", 3)
        + tagged(b"s", b"proximal-mu")
        + tagged(b"f", struct.pack(">d", 0.5))
        + tagged(b"s", b"server-round")
        + tagged(b"i", b"3")
        + tagged(b"s", b"study")
        + tagged(b"s", b"{}")
    )
    assert task_digest("train", MODEL, config) == expected.digest()


@pytest.mark.parametrize(
    "weights",
    [np.zeros(3, np.float32), np.zeros(2, np.float64), np.zeros((2, 1), "f4")],
)
def test_weights_that_do_not_fill_the_layers_are_refused(
    weights: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
) -> None:
    with pytest.raises(PeerError, match="weights are"):
        model_digest([Layer("w", (2,))], weights)


@pytest.mark.parametrize("shape", [(-1, -2), (-2, -1), (2**32, 2**32, -1), (0, -1)])
def test_layers_of_negative_lengths_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PeerError, match="negative"):
        model_digest([Layer("w", shape)], np.zeros(2, np.float32))


def test_a_shape_whose_size_wraps_in_64_bits_is_refused() -> None:
    # 2**64 + 2 weights, which a size in 64 bits would count as two.
    layers = [Layer("a", (2**32, 2**32)), Layer("b", (2,))]
    with pytest.raises(PeerError, match="layers need"):
        model_digest(layers, np.zeros(2, np.float32))


def test_a_config_value_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(PeerError) as caught:
        digest({"a": None})  # type: ignore[dict-item]
    assert caught.value.code == "FS-421"


def test_a_task_survives_its_text(task: Task) -> None:
    assert parse_task(task.text) == task


def test_the_text_of_a_task_always_says_its_step(task: Task) -> None:
    said = json.loads(task.text)
    assert (said["step"], said["unit_clip"]) == ("epochs", None)
    changes = {"step": "gradient", "local_epochs": 1, "unit_clip": 0.5}
    rows = Task.model_validate(task.model_dump() | changes)
    assert parse_task(rows.text) == rows
    assert json.loads(rows.text)["unit_clip"] == 0.5


@pytest.mark.parametrize(
    "changes",
    [
        {"step": "gradient", "local_epochs": 2},
        {"step": "epochs", "unit_clip": 1.0},
        {"step": "gradient", "local_epochs": 1, "unit_clip": 0.0},
        {"step": "once"},
        {"step": None},
    ],
)
def test_a_step_that_makes_no_sense_is_refused(
    task: Task, changes: dict[str, object]
) -> None:
    text = json.dumps(json.loads(task.text) | changes)
    with pytest.raises(PeerError) as caught:
        parse_task(text)
    assert caught.value.code == "FS-421"
    assert "canonical" not in caught.value.detail


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text + " ",
        lambda text: text.replace("{", "{ ", 1),
        lambda text: '{"batch_size":1,' + text[1:],
        lambda text: text.replace('"seed":', '"sede":'),
        lambda text: text.replace('"seed":', '"extra":1,"seed":'),
        lambda text: json.dumps(json.loads(text) | {"holdout": 1.0}),
        lambda text: json.dumps(json.loads(text) | {"local_epochs": 10**9}),
        lambda text: text.replace('"holdout":0.25', '"holdout":NaN'),
        lambda _: "[]",
        lambda _: "[" * 100_000,
    ],
)
def test_anything_but_the_canonical_text_of_a_task_is_refused(
    task: Task, spoil: Callable[[str], str]
) -> None:
    with pytest.raises(PeerError) as caught:
        parse_task(spoil(task.text))
    assert caught.value.code == "FS-421"
