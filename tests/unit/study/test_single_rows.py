"""A study of single rows takes no model that mixes them or draws."""

import json

import keras
import pytest
from keras import layers

from fedsecure.errors import PeerError
from fedsecure.study.keras.allowlist import LAYERS
from fedsecure.study.keras.architecture import model_to_data
from fedsecure.study.keras.single_rows import DRAWING, MIXING, require_single_rows


def content(*stack: layers.Layer, shape: tuple[int, ...] = (6, 4)) -> str:
    last = [layers.Flatten(), layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([layers.Input(shape), *stack, *last])
    model.compile(optimizer="sgd", loss="binary_crossentropy")
    return model_to_data(model).model


def said_of(*stack: layers.Layer) -> str:
    """Return what is said of a model with these layers."""
    with pytest.raises(PeerError) as caught:
        require_single_rows(content(*stack))
    assert caught.value.code == "FS-432"
    return caught.value.detail


def test_layers_that_mix_rows_or_draw_are_named() -> None:
    said = said_of(layers.BatchNormalization(), layers.Dropout(0.1))
    assert said == (
        "the model has BatchNormalization, which mixes rows, Dropout, which draws at "
        "random"
    )
    assert "SpatialDropout1D" in said_of(layers.SpatialDropout1D(0.1))
    assert "LSTM with dropout" in said_of(layers.LSTM(2, dropout=0.1))
    assert "GRU with recurrent_dropout" in said_of(layers.GRU(2, recurrent_dropout=0.1))


def test_layers_within_layers_are_found() -> None:
    inner = keras.Sequential([layers.Input((4,)), layers.GaussianNoise(0.1)])
    assert "GaussianNoise" in said_of(layers.TimeDistributed(inner))
    both = layers.Bidirectional(layers.LSTM(2, dropout=0.2))
    assert "LSTM with dropout" in said_of(both)


def test_layers_that_work_along_one_row_are_taken() -> None:
    stack = [
        layers.Conv1D(4, 3, activation="relu"),
        layers.GroupNormalization(2),
        layers.LayerNormalization(),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
    ]
    require_single_rows(content(*stack))
    require_single_rows(content(layers.UnitNormalization(), shape=(3,)))


def test_a_layer_that_keeps_its_state_between_batches_mixes_rows() -> None:
    model = keras.Sequential([layers.Input((6, 4)), layers.GRU(2), layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    said = json.loads(model_to_data(model).model)
    (gru,) = (one for one in said["config"]["layers"] if one["class_name"] == "GRU")
    gru["config"]["stateful"] = True
    with pytest.raises(PeerError, match=r"FS-432.*GRU with stateful"):
        require_single_rows(json.dumps(said))


def test_every_allowed_layer_that_draws_or_keeps_averages_is_on_a_list() -> None:
    """Keras says it of each: by a seed among its arguments, or weights not trained."""
    assert LAYERS > MIXING | DRAWING
    for name in sorted(LAYERS - {"Bidirectional", "TimeDistributed", "InputLayer"}):
        arguments = keras_arguments(name)
        draws = "seed" in arguments and "dropout" not in arguments
        assert draws == (name in DRAWING), name
        assert ("moving_mean_initializer" in arguments) == (name in MIXING), name


def keras_arguments(name: str) -> set[str]:
    code = getattr(layers, name).__init__.__code__
    return set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
