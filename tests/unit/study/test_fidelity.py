"""What Keras' serialised form leaves out is found before anybody trains without it."""

import re
from collections.abc import Callable

import keras
import numpy as np
import pytest
from keras import layers

from fedsecure.errors import OperatorError
from fedsecure.study.keras.architecture import model_from_data, model_to_data
from fedsecure.study.keras.fidelity import require_same
from tests.unit.study.test_architecture import (
    compiled,
    over_volumes,
    recurrent,
    small_convolution,
)


def looked_at(model: keras.Model) -> None:
    data = model_to_data(model)
    require_same(model, model_from_data(data.model, data.compilation))


def dense(*stack: layers.Layer) -> keras.Model:
    return compiled(
        *stack, layers.Dense(4, "relu"), layers.Dense(1, activation="sigmoid")
    )


def weighted_loss() -> keras.Model:
    model = dense()
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", loss_weights=[5.0])
    return model


def partial_decay() -> keras.Model:
    model = dense()
    optimizer = keras.optimizers.AdamW(1e-4)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, "binary_crossentropy")
    return model


def changed_by_hand() -> keras.Model:
    model = dense()
    step = model.optimizer.update_step
    model.optimizer.update_step = lambda gradient, variable, rate: step(
        gradient * 2, variable, rate * 2
    )
    return model


def called_otherwise() -> keras.Model:
    model = dense()
    call = model.layers[0].call
    model.layers[0].call = lambda inputs, **_: call(inputs) * 3
    return model


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (weighted_loss, r"compile was given loss_weights=[5.0]"),
        (partial_decay, "the optimizer has exclude_from_weight_decay_pattern='bias'"),
        (changed_by_hand, "2 steps of training give other values of"),
        (called_otherwise, "2 steps of training give other values of"),
    ],
)
def test_what_the_data_lack_is_refused_by_name(
    make: Callable[[], keras.Model], said: str
) -> None:
    with pytest.raises(OperatorError, match=f"FS-236.*{re.escape(said)}"):
        looked_at(make())


@pytest.mark.parametrize(
    "make",
    [
        small_convolution,
        recurrent,
        over_volumes,
        lambda: dense(layers.Dropout(0.5), layers.GaussianNoise(0.3)),
        lambda: dense(layers.BatchNormalization(), layers.Dropout(0.5)),
    ],
)
def test_a_model_that_is_carried_whole_is_left_as_it_was(
    make: Callable[[], keras.Model],
) -> None:
    model = make()
    model.optimizer.build(model.trainable_variables)
    held = [*model.variables, *model.optimizer.variables]
    before = [variable.numpy() for variable in held]
    looked_at(model)
    for variable, value in zip(held, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


OPTIMIZERS = (
    *("Adadelta", "Adagrad", "Adam", "AdamW", "Adamax"),
    *("Lion", "Nadam", "RMSprop", "SGD"),
)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_that_may_travel_is_carried_whole(name: str) -> None:
    settings = {"weight_decay": 0.01, "clipnorm": 0.5, "use_ema": True}
    model = dense()
    optimizer = getattr(keras.optimizers, name)(0.05, **settings)
    model.compile(optimizer, keras.losses.BinaryCrossentropy(label_smoothing=0.1))
    looked_at(model)


def test_a_schedule_is_carried_whole() -> None:
    model = dense()
    rate = keras.optimizers.schedules.CosineDecay(0.0, 100, warmup_target=0.1)
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "binary_crossentropy")
    looked_at(model)


def test_a_model_of_many_classes_is_carried_whole() -> None:
    model = keras.Sequential([layers.Input((8,)), layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    looked_at(model)
