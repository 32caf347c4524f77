"""A Keras model becomes W, b and an activation, or is refused by a layer's name."""

import json
from collections.abc import Sequence

import keras
import numpy as np
import pytest
from keras import layers

from fedsecure.errors import OperatorError
from fedsecure.study.lowering.description import scores
from fedsecure.study.lowering.linear import LinearModel, array_shapes, lower

SHAPE = (3, 2)
NORMALIZED = layers.Normalization(mean=[1.0, -2.0], variance=[4.0, 0.25])
SERVED: dict[str, Sequence[layers.Layer]] = {
    "logistic": [layers.Flatten(), layers.Dense(1, activation="sigmoid")],
    "softmax as a layer": [layers.Flatten(), layers.Dense(4), layers.Softmax()],
    "softmax within": [layers.Flatten(), layers.Dense(3, activation="softmax")],
    "no bias": [layers.Flatten(), layers.Dense(2, use_bias=False)],
    "scaled before": [
        layers.Rescaling(0.5, offset=-1.0),
        NORMALIZED,
        layers.BatchNormalization(),
        layers.Dropout(0.5),
        layers.GaussianNoise(0.5),
        layers.Flatten(),
        layers.Dense(1),
        layers.Activation("sigmoid"),
    ],
    "scaled between": [
        layers.Reshape((2, -1)),
        layers.Rescaling([1.0, 2.0, -3.0]),
        layers.Reshape((6,)),
        layers.Dense(5),
        layers.BatchNormalization(scale=False),
        layers.Dense(4, use_bias=False),
        layers.BatchNormalization(center=False),
        layers.Dense(3),
        layers.Rescaling(0.1),
        layers.Softmax(),
    ],
    "within one another": [
        layers.Flatten(),
        keras.Sequential([layers.Input((6,)), layers.Dense(3), layers.Dropout(0.1)]),
        layers.Dense(1, activation="sigmoid"),
    ],
}
REFUSED: dict[str, tuple[str, str, Sequence[layers.Layer]]] = {
    "a hidden activation": (
        "FS-222",
        "layer 'hidden' has the activation tanh",
        [layers.Flatten(), layers.Dense(3, "tanh", name="hidden"), layers.Dense(1)],
    ),
    "an activation as a layer": (
        "FS-222",
        "layer 'bend' has the activation relu",
        [layers.Flatten(), layers.Dense(3), layers.Activation("relu", name="bend")],
    ),
    "a sigmoid that is not the last": (
        "FS-222",
        "layer 'late' comes after sigmoid",
        [
            layers.Flatten(),
            layers.Dense(3, activation="sigmoid"),
            layers.Dense(1, name="late"),
        ],
    ),
    "a convolution": (
        "FS-221",
        "layer 'seen' is a Conv1D",
        [layers.Conv1D(2, 2, name="seen"), layers.Flatten(), layers.Dense(1)],
    ),
    "a layer of its own activation": (
        "FS-221",
        "layer 'bent' is a ReLU",
        [layers.Flatten(), layers.Dense(2), layers.ReLU(name="bent")],
    ),
    "a Dense along the last axis": (
        "FS-221",
        "layer 'along' is a Dense over the shape (3, 2): put a Flatten before it",
        [layers.Dense(2, name="along")],
    ),
    "a scale along another axis": (
        "FS-221",
        "layer 'norm' is a BatchNormalization along axis 1",
        [layers.BatchNormalization(axis=1, name="norm"), layers.Flatten()],
    ),
    "no Dense": ("FS-221", "the model has no Dense layer", [layers.Flatten()]),
}


def built(stack: Sequence[layers.Layer], seed: int = 1) -> keras.Model:
    """Return a model of these layers with arrays as training may leave them."""
    model = keras.Sequential([layers.Input(SHAPE), *stack])
    rand = np.random.default_rng(seed)
    model.set_weights(
        [
            rand.uniform(0.1, 2.0, weight.shape).astype(weight.dtype)
            * (1 if "variance" in weight.path else rand.choice([-1, 1]))
            for weight in model.weights
        ]
    )
    return model


def lowered(model: keras.Model) -> LinearModel:
    return lower(model.to_json(), model.get_weights())


@pytest.mark.parametrize("name", SERVED)
def test_a_lowered_model_says_what_keras_says(name: str) -> None:
    model = built(SERVED[name])
    rows = np.random.default_rng(2).normal(0, 2, (40, *SHAPE))
    ours, flat = lowered(model), rows.reshape(40, -1)
    logits = flat @ ours.weights + ours.bias
    np.testing.assert_allclose(ours.logits(flat), logits, rtol=1e-12, atol=1e-12)
    theirs = np.asarray(model(rows.astype(np.float32), training=False))
    np.testing.assert_allclose(
        scores(ours.activation, logits), theirs, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", SERVED)
def test_the_shapes_of_its_arrays_are_known_without_keras(name: str) -> None:
    model = built(SERVED[name])
    found = [array.shape for array in model.get_weights()]
    assert array_shapes(model.to_json()) == found


def test_an_adapted_normalization_is_folded() -> None:
    normal = layers.Normalization()
    normal.adapt(np.random.default_rng(4).normal(3, 2, (50, *SHAPE)))
    model = keras.Sequential(
        [layers.Input(SHAPE), normal, layers.Flatten(), layers.Dense(1)]
    )
    rows = np.random.default_rng(5).normal(3, 2, (7, *SHAPE))
    logits = lowered(model).logits(rows.reshape(7, -1))
    np.testing.assert_allclose(logits, model(rows), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("outputs", "activation"), [(1, "sigmoid"), (3, "softmax")])
def test_a_loss_from_logits_says_the_activation(outputs: int, activation: str) -> None:
    model = built([layers.Flatten(), layers.Dense(outputs)])
    assert lowered(model).activation == "linear"
    loss = (
        keras.losses.BinaryCrossentropy(from_logits=True)
        if outputs == 1
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.compile(optimizer="sgd", loss=loss)
    assert lowered(model).activation == activation


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_served_is_refused_by_its_name(name: str) -> None:
    code, said, stack = REFUSED[name]
    with pytest.raises(OperatorError) as caught:
        lowered(built(stack))
    assert caught.value.code == code
    assert said in caught.value.detail


def test_a_functional_model_is_refused() -> None:
    entry = keras.Input((3,))
    model = keras.Model(entry, layers.Dense(1)(entry))
    with pytest.raises(OperatorError, match="Functional"):
        lowered(model)


def test_weights_that_are_not_finite_are_refused() -> None:
    model = built(SERVED["logistic"])
    arrays = model.get_weights()
    arrays[0][2, 0] = np.nan
    with pytest.raises(OperatorError) as caught:
        lower(model.to_json(), arrays)
    assert caught.value.code == "FS-220"


@pytest.mark.parametrize("change", ["fewer", "more", "transposed"])
def test_arrays_of_another_model_are_refused(change: str) -> None:
    model = built(SERVED["logistic"])
    kernel, bias = model.get_weights()
    arrays = {
        "fewer": [kernel],
        "more": [kernel, bias, bias],
        "transposed": [kernel.T, bias],
    }[change]
    with pytest.raises(OperatorError) as caught:
        lower(model.to_json(), arrays)
    assert caught.value.code == "FS-221"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", json.dumps({"class_name": "Functional"}), "[" * 100_000]
)
def test_what_is_no_model_is_refused(text: str) -> None:
    with pytest.raises(OperatorError) as caught:
        lower(text, [])
    assert caught.value.code == "FS-221"
