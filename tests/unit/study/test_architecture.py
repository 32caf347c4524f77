"""A Keras model survives the way to a data owner, or is refused by its owner."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from fedsecure.errors import OperatorError, PeerError
from fedsecure.study import allowlist
from fedsecure.study.architecture import (
    flat_weights,
    from_logits,
    layers_of,
    model_from_data,
    model_to_data,
    require_fit,
)
from fedsecure.study.config import Study


def compiled(*stack: layers.Layer, width: int = 8) -> keras.Model:
    model = keras.Sequential([layers.Input((width,)), *stack])
    model.compile(optimizer=keras.optimizers.Adam(0.02), loss="binary_crossentropy")
    return model


def small_convolution() -> keras.Model:
    return compiled(
        layers.Reshape((8, 1)),
        layers.Conv1D(3, 3, kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.GlobalMaxPooling1D(),
        layers.Dropout(0.2),
        layers.Dense(1, activation="sigmoid"),
    )


def recurrent() -> keras.Model:
    return compiled(
        layers.Reshape((4, 2)),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(2)),
        layers.GRU(2),
        layers.Dense(1, activation=layers.ReLU()),
    )


def functional_with_a_nested_model() -> keras.Model:
    inner = compiled(layers.Dense(4, activation="gelu"), layers.LayerNormalization())
    start = keras.Input((8,))
    left, right = inner(start), layers.Dense(4)(start)
    joined = layers.Concatenate()([layers.Add()([left, right]), right])
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model = keras.Model(start, layers.Dense(2)(joined))
    model.compile(
        optimizer=keras.optimizers.SGD(schedule, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


@pytest.mark.parametrize(
    "build", [small_convolution, recurrent, functional_with_a_nested_model]
)
def test_a_model_is_the_same_function_after_the_way(build: type) -> None:
    model = build()
    data = model_to_data(model)
    arrived = model_from_data(data.model, data.compilation)
    arrived.set_weights(model.get_weights())
    rows = np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8)
    assert np.array_equal(arrived(rows), model(rows))
    assert layers_of(arrived) == data.layers
    assert [layer.shape for layer in data.layers] == [w.shape for w in model.weights]
    assert model_to_data(arrived) == data
    assert arrived.optimizer.get_config() == model.optimizer.get_config()
    assert from_logits(arrived) == from_logits(model)


def test_the_state_of_random_layers_does_not_travel() -> None:
    model = small_convolution()
    size = sum(array.size for array in model.get_weights())
    assert model_to_data(model).size == size == flat_weights(model).size
    assert flat_weights(model).dtype == np.float32


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_weights_that_are_not_float32_are_refused_by_name(dtype: str) -> None:
    model = compiled(layers.Dense(1, name="odd", dtype=dtype))
    with pytest.raises(OperatorError) as caught:
        model_to_data(model)
    assert caught.value.code == "FS-422"
    assert f"odd/kernel is {dtype}" in caught.value.detail


def test_arithmetic_in_another_type_is_refused() -> None:
    model = compiled(layers.Dense(1, dtype="mixed_float16"))
    with pytest.raises(OperatorError) as caught:
        model_to_data(model)
    assert caught.value.code == "FS-420"


def test_a_lambda_layer_is_refused_where_it_is_built() -> None:
    with pytest.raises(OperatorError) as caught:
        model_to_data(compiled(layers.Lambda(lambda x: x), layers.Dense(1)))
    assert caught.value.code == "FS-420"
    assert "Lambda" in caught.value.detail


@keras.saving.register_keras_serializable("mine")
class Mine(layers.Dense):  # type: ignore[misc]
    """A custom layer that even this process knows."""


def test_a_custom_layer_is_refused_even_if_it_is_registered_here() -> None:
    with pytest.raises(OperatorError) as caught:
        model_to_data(compiled(Mine(1)))
    assert caught.value.code == "FS-420"


def of_my_own(truth: object, guess: object) -> object:
    return (truth, guess)


def test_a_custom_loss_is_refused() -> None:
    model = compiled(layers.Dense(1))
    model.compile(optimizer="sgd", loss=of_my_own)
    with pytest.raises(OperatorError) as caught:
        model_to_data(model)
    assert caught.value.code == "FS-420"


def test_a_model_that_is_not_compiled_is_refused() -> None:
    model = keras.Sequential([layers.Input((2,)), layers.Dense(1)])
    with pytest.raises(OperatorError) as caught:
        model_to_data(model)
    assert caught.value.code == "FS-842"


def test_a_layer_is_not_a_model() -> None:
    data = model_to_data(compiled(layers.Dense(1)))
    layer = json.dumps(json.loads(data.model)["config"]["layers"][1])
    with pytest.raises(PeerError) as caught:
        model_from_data(layer, data.compilation)
    assert caught.value.code == "FS-420"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"units":1', '"units":-1'),
        ('"units":1', '"colour":1'),
        ('"batch_shape":[null,8]', '"batch_shape":8'),
    ],
)
def test_what_keras_cannot_build_is_one_error_and_no_traceback(
    old: str, new: str
) -> None:
    data = model_to_data(compiled(layers.Dense(1)))
    assert old in data.model
    with pytest.raises(PeerError) as caught:
        model_from_data(data.model.replace(old, new), data.compilation)
    assert caught.value.code == "FS-424"


def test_a_compilation_is_one_optimizer_and_one_loss_and_nothing_else() -> None:
    data = model_to_data(compiled(layers.Dense(1)))
    more = json.dumps(json.loads(data.compilation) | {"run_eagerly": True})
    with pytest.raises(PeerError) as caught:
        model_from_data(data.model, more)
    assert caught.value.code == "FS-421"


def test_every_class_on_the_list_is_keras_own() -> None:
    for module, name in allowlist.CLASSES:
        space = keras if module == "keras" else getattr(keras, module.split(".")[1])
        if module == "keras.optimizers.schedules":
            space = keras.optimizers.schedules
        if module.startswith("keras.src"):
            space = keras.src.models.functional
        assert getattr(space, name).__module__.startswith("keras.src."), name


@pytest.mark.parametrize(
    ("width", "outputs"), [(20, 1), (22, 1), (21, 3)], ids=["narrow", "wide", "classes"]
)
def test_a_model_that_does_not_fit_the_schema_is_refused_with_both_sizes(
    heart: Study, width: int, outputs: int
) -> None:
    model = compiled(layers.Dense(outputs), width=width)
    with pytest.raises(PeerError) as caught:
        require_fit(model, heart.features)
    assert caught.value.code == "FS-424"
    assert str(width if outputs == 1 else outputs) in caught.value.detail


@pytest.mark.parametrize("outputs", [1, 2])
def test_two_classes_are_one_probability_or_two(heart: Study, outputs: int) -> None:
    require_fit(compiled(layers.Dense(outputs), width=21), heart.features)
