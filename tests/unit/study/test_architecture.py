"""A Keras model survives the way to a data owner, or is refused by its owner."""

import json

import keras
import numpy as np
import pytest
from keras import layers

from fedsecure.errors import OperatorError, PeerError
from fedsecure.study.config import Study
from fedsecure.study.keras import allowlist
from fedsecure.study.keras.architecture import (
    flat_weights,
    from_logits,
    layers_of,
    model_from_data,
    model_to_data,
    require_fit,
    require_probabilities,
)


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


def over_volumes() -> keras.Model:
    return compiled(
        layers.Reshape((2, 2, 2, 1)),
        layers.Conv3D(2, 2, padding="same"),
        layers.UpSampling3D(2),
        layers.MaxPooling3D(2),
        layers.GlobalAveragePooling3D(),
        layers.Dense(1, activation="sigmoid"),
    )


def with_augmentation() -> keras.Model:
    return compiled(
        layers.Reshape((4, 2, 1)),
        layers.RandomFlip(),
        layers.RandomRotation(0.1),
        layers.RandomZoom(0.1, seed=3),
        layers.Resizing(4, 4),
        layers.Reshape((4, 4)),
        layers.RMSNormalization(),
        layers.Flatten(),
        layers.Dense(1, activation="sigmoid"),
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
    "build",
    [
        small_convolution,
        recurrent,
        over_volumes,
        with_augmentation,
        functional_with_a_nested_model,
    ],
)
def test_a_model_is_the_same_function_after_the_way(build: type) -> None:
    model = build()
    data = model_to_data(model)
    arrived = model_from_data(data.model, data.compilation)
    arrived.set_weights(model.get_weights())
    rows = np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8)
    # Layers that augment do so unless told that this is no training.
    ours, theirs = arrived(rows, training=False), model(rows, training=False)
    assert np.array_equal(ours, theirs)
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


def test_a_model_of_frozen_layers_alone_is_refused() -> None:
    frozen = layers.Dense(1)
    model = compiled(frozen)
    frozen.trainable = False
    with pytest.raises(OperatorError, match=r"FS-234.*of the 2 arrays") as caught:
        model_to_data(model)
    assert model.name in caught.value.detail


def test_a_model_with_one_layer_that_is_not_frozen_is_taken() -> None:
    frozen = layers.Dense(4)
    model = compiled(frozen, layers.Dense(1))
    frozen.trainable = False
    assert model_to_data(model).statistics == (True, True, False, False)


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


def with_loss(loss: object, *stack: layers.Layer) -> keras.Model:
    model = compiled(*stack, width=21)
    model.compile(optimizer="sgd", loss=loss)
    return model


SPARSE = keras.losses.SparseCategoricalCrossentropy
BINARY = keras.losses.BinaryCrossentropy


@pytest.mark.parametrize(
    ("outputs", "loss"),
    [
        (1, "binary_crossentropy"),
        (1, BINARY(from_logits=True)),
        (1, "mean_squared_error"),
        (2, "sparse_categorical_crossentropy"),
        (2, SPARSE()),
    ],
)
def test_two_classes_are_one_probability_or_two(
    heart: Study, outputs: int, loss: object
) -> None:
    require_fit(with_loss(loss, layers.Dense(outputs)), heart.features)


@pytest.mark.parametrize(
    ("outputs", "loss"),
    [(2, "binary_crossentropy"), (2, "mean_squared_error"), (1, SPARSE())],
)
def test_a_loss_that_would_compare_labels_with_nonsense_is_refused(
    heart: Study, outputs: int, loss: object
) -> None:
    with pytest.raises(PeerError) as caught:
        require_fit(with_loss(loss, layers.Dense(outputs)), heart.features)
    assert caught.value.code == "FS-425"


@pytest.mark.parametrize(
    ("outputs", "activation", "loss", "good"),
    [
        (1, "sigmoid", BINARY(), True),
        (1, "linear", BINARY(), False),
        (1, "linear", BINARY(from_logits=True), True),
        (1, "softmax", BINARY(), False),
        (1, "softmax", BINARY(from_logits=True), False),
        (2, "softmax", SPARSE(), True),
        (2, "linear", SPARSE(), False),
        (2, "sigmoid", SPARSE(), False),
        (2, "linear", SPARSE(from_logits=True), True),
        (2, "softmax", SPARSE(from_logits=True), False),
        (1, "linear", "mean_squared_error", True),
    ],
)
def test_outputs_that_the_loss_takes_for_something_else_are_refused(
    outputs: int, activation: str, loss: object, good: bool
) -> None:
    keras.utils.set_random_seed(1)
    model = with_loss(loss, layers.Dense(outputs, activation=activation))
    rand = np.random.default_rng(1)
    if good:
        return require_probabilities(model, rand)
    with pytest.raises(OperatorError) as caught:
        require_probabilities(model, rand)
    assert caught.value.code == "FS-845"
    return None
