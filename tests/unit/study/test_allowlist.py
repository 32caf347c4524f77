"""A model that arrives as data is refused before Keras sees any of it."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from fedsecure.errors import PeerError
from fedsecure.study.keras.allowlist import MAX_DEPTH, MAX_STRING, parse_allowed

DENSE: dict[str, Any] = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {
        "name": "hidden",
        "units": 4,
        "activation": "relu",
        "dtype": {
            "module": "keras",
            "class_name": "DTypePolicy",
            "config": {"name": "float32"},
            "registered_name": None,
        },
        "kernel_initializer": {
            "module": "keras.initializers",
            "class_name": "GlorotUniform",
            "config": {"seed": None},
            "registered_name": None,
        },
    },
    "registered_name": None,
}
MODEL: dict[str, Any] = {
    "module": "keras",
    "class_name": "Sequential",
    "config": {"name": "m", "layers": [DENSE]},
    "registered_name": None,
}

LAMBDA = {
    "module": "keras.layers",
    "class_name": "Lambda",
    "config": {
        "function": {
            "class_name": "__lambda__",
            "config": {"code": "4wEAAAAAAAAA", "defaults": None, "closure": None},
        }
    },
    "registered_name": None,
}
BYTECODE = {"class_name": "__lambda__", "config": {"value": ["4wEAAAA=", None, None]}}
FUNCTION = {
    "module": "builtins",
    "class_name": "function",
    "config": "eval",
    "registered_name": "function",
}


def layer(class_name: str, module: object = "keras.layers", **more: object) -> Any:
    named = {"module": module, "class_name": class_name, "registered_name": None}
    return {**named, "config": {"name": "x"}, **more}


def replaced(**config: object) -> dict[str, Any]:
    """Return the good model with some entries of its layer's config changed."""
    model = copy.deepcopy(MODEL)
    model["config"]["layers"][0]["config"].update(config)
    return model


def with_layer(bad: object) -> dict[str, Any]:
    model = copy.deepcopy(MODEL)
    model["config"]["layers"].append(bad)
    return model


def refused(model: object) -> PeerError:
    with pytest.raises(PeerError) as caught:
        parse_allowed(json.dumps(model), "the model")
    return caught.value


def test_a_plain_model_passes() -> None:
    assert parse_allowed(json.dumps(MODEL), "the model") == MODEL


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (LAMBDA, "Lambda"),
        (layer("TFSMLayer"), "TFSMLayer"),
        (layer("TorchModuleWrapper"), "TorchModuleWrapper"),
        (layer("StringLookup"), "StringLookup"),
        (layer("Dense", module="evil.layers"), "evil.layers"),
        (layer("Dense", module="keras.src.layers.core.dense"), "keras.src"),
        (layer("Popen", module="subprocess"), "subprocess"),
        (layer("get_file", module="keras.utils"), "get_file"),
        (layer("Dense", registered_name="pkg>Dense"), "pkg>Dense"),
        (layer("Dense", module=None), "None"),
        (layer("Dense", module=["keras.layers"]), "keras.layers"),
        ({"class_name": "Dense", "config": {}}, "Dense"),
        ({"registered_name": "pkg>Thing"}, "None"),
        (layer("Dense", shared_object_id=1), "shared_object_id"),
        (layer("Dense", compile_config={"loss": "mse"}), "compilation"),
        (layer("Dense", config="eval"), "without a config"),
        (BYTECODE, "__lambda__"),
        (FUNCTION, "builtins"),
        ({"class_name": "__tensor__", "config": {"value": [1]}}, "__tensor__"),
        ({"class_name": "__typespec__", "config": []}, "__typespec__"),
    ],
)
def test_a_layer_that_is_not_on_the_list_is_refused_by_name(
    bad: object, named: str
) -> None:
    error = refused(with_layer(bad))
    assert error.code == "FS-420"
    assert named in error.detail


@pytest.mark.parametrize(
    "config",
    [
        {"activation": FUNCTION},
        {"activation": BYTECODE},
        {"activation": "my_package>activation"},
        {"activation": {"config": "eval"}},
        {"kernel_initializer": "eval"},
        {"kernel_regularizer": layer("Regularizer", "mine")},
        {"kernel_constraint": [FUNCTION]},
        {"quantization_config": {"anything": LAMBDA}},
        {"anything": {"deep": [{"deeper": LAMBDA}]}},
        {"dtype": "string"},
        {"dtype": "float64"},
        {"dtype": layer("DTypePolicy", "keras", config={"name": "mixed_float16"})},
    ],
)
def test_code_hidden_in_a_config_is_refused(config: dict[str, object]) -> None:
    assert refused(replaced(**config)).code == "FS-420"


def test_code_hidden_in_a_nested_model_is_refused() -> None:
    inner = with_layer(LAMBDA)
    assert refused(with_layer(inner)).code == "FS-420"
    functional = layer(
        "Functional",
        "keras.src.models.functional",
        config={"layers": [DENSE | {"inbound_nodes": [{"args": [BYTECODE]}]}]},
    )
    assert refused(with_layer(functional)).code == "FS-420"


def deep(depth: int) -> str:
    return json.dumps(MODEL)[:-1] + ', "name": ' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-1],
        lambda text: text + text,
        lambda text: text.replace('"units": 4', '"units": NaN'),
        lambda text: text.replace('"units": 4', '"units": 1e400'),
        lambda text: text.replace('"units": 4', '"units": 99999999999'),
        lambda text: text.replace('"units": 4', '"units": 4, "units": 5'),
        lambda text: text.replace('"hidden"', f'"{"x" * (MAX_STRING + 1)}"'),
        lambda _: deep(MAX_DEPTH + 1),
        lambda _: deep(100_000),
        lambda _: "[1]",
        lambda _: '{"name": [' + ",".join("0" * 600_000) + "]}",
        lambda text: text + " " * 2**22,
    ],
)
def test_what_is_not_json_within_limits_is_refused(
    spoil: Callable[[str], str],
) -> None:
    with pytest.raises(PeerError) as caught:
        parse_allowed(spoil(json.dumps(MODEL)), "the model")
    assert caught.value.code == "FS-421"
