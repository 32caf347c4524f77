"""One row moves an update by at most its cut, and no other row's part of it."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from keras import layers
from numpy.typing import NDArray

from fedsecure.errors import PeerError
from fedsecure.study.config import Study, load_study
from fedsecure.study.keras.architecture import model_to_data
from fedsecure.study.schema.columns import Bounds
from fedsecure.study.task import Task
from fedsecure_clients.data.dataset import Dataset, load, split_by_row
from fedsecure_clients.keras_app.learners import learner_of, learner_over
from fedsecure_clients.keras_app.row_gradients import RowLearner
from fedsecure_clients.keras_app.row_steps import RowSteps, Sums
from fedsecure_clients.keras_app.training import Weights

FOLDER = Path(__file__).parents[3] / "studies" / "heart"
WIDTH = 21
CLASSES = ("healthy", "ill")


@pytest.fixture(scope="module")
def heart() -> Study:
    study = load_study(FOLDER)
    changes = {"step": "gradient", "local_epochs": 1}
    training = study.training.model_copy(update=changes)
    return dataclasses.replace(study, training=training)


@pytest.fixture(scope="module")
def hungary(heart: Study) -> Dataset:
    return load(FOLDER / "data" / "hungary.csv", heart.features)


def compiled(*stack: layers.Layer, loss: object = "binary_crossentropy") -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([layers.Input((WIDTH,)), *stack])
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
    return model


def logistic() -> keras.Model:
    return compiled(layers.Dense(1, activation="sigmoid"))


def task_of(study: Study, model: keras.Model, **changes: object) -> Task:
    return study.task(model_to_data(model)).model_copy(update=changes)


def flat(arrays: Sums | Weights) -> NDArray[np.float64]:
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64)


def without(rows: Dataset, row: int) -> Dataset:
    return rows.take(np.delete(np.arange(len(rows)), row))


def rows_of(features: NDArray[np.float32], labels: NDArray[np.int32]) -> Dataset:
    return Dataset(features, labels, CLASSES)


LOGITS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
MODELS: Mapping[str, Callable[[], keras.Model]] = {
    "logistic": logistic,
    "hidden": lambda: compiled(
        layers.Dense(7, activation="relu"), layers.Dense(1, activation="sigmoid")
    ),
    "normalized, one output a class": lambda: compiled(
        layers.Reshape((7, 3)),
        layers.Conv1D(4, 3, activation="tanh"),
        layers.GroupNormalization(2),
        layers.Flatten(),
        layers.Dense(2),
        loss=LOGITS,
    ),
    "squares, without bound": lambda: compiled(layers.Dense(1), loss="mse"),
}
_WARM: dict[str, RowSteps] = {}


def steps_of(name: str) -> RowSteps:
    """Return the compiled steps of a model, made once: tracing takes a second."""
    if name not in _WARM:
        _WARM[name] = RowSteps(MODELS[name]())
    return _WARM[name]


@pytest.mark.parametrize("name", MODELS)
@given(data=st.data())
@settings(max_examples=15)
def test_taking_a_row_away_moves_the_sum_by_its_cut_at_most(
    name: str, data: st.DataObject
) -> None:
    rand = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    count = data.draw(st.sampled_from([1, 2, 9, 256, 257]))
    scale = data.draw(st.sampled_from([0.01, 1.0, 1e3, 1e18]))
    clip = data.draw(st.sampled_from([1e-3, 0.5, 20.0]))
    features = scale * rand.standard_normal((count, WIDTH))
    labels = rand.integers(0, 2, count, dtype=np.int32)
    rows = rows_of(features.astype(np.float32), labels)
    gone = data.draw(st.integers(0, count - 1))
    whole, of_whole = steps_of(name).gradient_sum(rows, clip)
    rest, of_rest = steps_of(name).gradient_sum(without(rows, gone), clip)
    alone, of_alone = steps_of(name).gradient_sum(rows.take(np.array([gone])), clip)
    moved = flat(whole) - flat(rest)
    assert np.linalg.norm(moved) <= clip * (1 + 1e-12)
    # The others are what they were, but for the order of a float64 sum.
    np.testing.assert_allclose(moved, flat(alone), rtol=0, atol=1e-11 * clip)
    assert of_whole == of_rest + of_alone


@pytest.mark.parametrize("name", MODELS)
def test_a_row_s_gradient_has_the_same_bits_wherever_it_stands(name: str) -> None:
    # Rows of NaN count in nothing: what is left is the one row's own gradient, and
    # would be NaN as well if anything of the others came into it.
    row = np.random.default_rng(3).standard_normal(WIDTH).astype(np.float32)
    sums, counts = [], []
    for rows, place in ((1, 0), (256, 0), (256, 255), (300, 77), (300, 256)):
        features = np.full((rows, WIDTH), np.nan, np.float32)
        features[place] = row
        found = steps_of(name).gradient_sum(rows_of(features, ones(rows)), np.inf)
        sums.append(flat(found[0]))
        counts.append(found[1])
    assert np.linalg.norm(sums[0]) > 0
    assert all((one == sums[0]).all() for one in sums)
    assert counts == [1] * 5


def ones(count: int) -> NDArray[np.int32]:
    return np.ones(count, np.int32)


def test_the_sum_is_the_formula_of_logistic_regression(hungary: Dataset) -> None:
    model = logistic()
    kernel, bias = model.get_weights()
    logits = (hungary.features @ kernel + bias)[:, 0].astype(np.float64)
    errors = 1 / (1 + np.exp(-logits)) - hungary.labels
    gradients = np.c_[hungary.features, np.ones(len(hungary))] * errors[:, None]
    norms = np.linalg.norm(gradients, axis=1)
    clip = float(np.median(norms))
    cut = gradients * np.minimum(1, clip / norms)[:, None]
    sums, count = RowSteps(model).gradient_sum(hungary, clip)
    assert count == len(hungary)
    np.testing.assert_allclose(flat(sums), cut.sum(axis=0), atol=1e-4)


@pytest.mark.parametrize("weight", [0.1, 1e7])
def test_an_answer_is_minus_the_sum_and_a_row_moves_it_by_unit_clip_at_most(
    heart: Study, hungary: Dataset, weight: float
) -> None:
    # Large weights would round "weights less the sum" to whole numbers.
    model = logistic()
    task = task_of(heart, model, unit_clip=0.5)
    start = [np.full_like(array, weight) for array in model.get_weights()]
    learners = [
        learner_over(task, rows, hungary)
        for rows in (hungary, *(without(hungary, row) for row in range(0, 290, 50)))
    ]
    answers = [flat(one.train(start, 1).weights) for one in learners]
    clip = 0.5 * (1 - 2**-10)
    sums, count = RowSteps(loaded(model, start)).gradient_sum(hungary, clip)
    np.testing.assert_allclose(answers[0], -flat(sums), atol=1e-5)
    assert learners[0].train(start, 7).rows == count == len(hungary)
    # Without a tolerance: float32 is in the part that is left to rounding.
    moved = [np.linalg.norm(answers[0] - other) for other in answers[1:]]
    assert 0.4 < max(moved) <= 0.5


def loaded(model: keras.Model, weights: Weights) -> keras.Model:
    model.set_weights(weights)
    return model


def test_without_unit_clip_the_step_is_that_of_gradient_descent(
    heart: Study, hungary: Dataset
) -> None:
    model = compiled(
        layers.Dense(4, activation="tanh", kernel_regularizer="l2"),
        layers.Dense(1, activation="sigmoid"),
    )
    start = model.get_weights()
    learner = learner_of(task_of(heart, model), hungary)
    training, _ = split_by_row(hungary, 0.25, heart.training.seed)
    trained = learner.train(start, 1)
    assert trained.rows == learner.examples == len(training)
    # One step of SGD with rate 1 on all rows; its loss has the regulariser once.
    model.train_on_batch(training.features, training.labels[:, None])
    for ours, theirs in zip(trained.weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_frozen_layer_stays_as_it_is(heart: Study, hungary: Dataset) -> None:
    model = compiled(
        layers.Dense(4, trainable=False), layers.Dense(1, activation="sigmoid")
    )
    start = model.get_weights()
    after = learner_of(task_of(heart, model, unit_clip=1.0), hungary).train(start, 1)
    assert [bool(array.any()) for array in after.weights] == [False, False, True, True]
    plain = learner_of(task_of(heart, model), hungary).train(start, 1).weights
    same = [np.array_equal(a, b) for a, b in zip(plain, start, strict=True)]
    assert same == [True, True, False, False]


def test_rows_that_overflow_count_in_nothing(heart: Study, hungary: Dataset) -> None:
    # The squared error of all rows but those that are 0 leaves float32.
    model = compiled(layers.Dense(1), loss="mse")
    features = hungary.features.copy()
    features[::3] = 0
    rows = rows_of(features, hungary.labels)
    learner = learner_over(task_of(heart, model, unit_clip=1.0), rows, rows)
    start = [np.full((WIDTH, 1), 1e25, np.float32), np.zeros(1, np.float32)]
    after, evaluated = learner.train(start, 1), learner.evaluate(start)
    assert after.rows == evaluated.rows == len(features[::3])
    assert not after.weights[0].any()  # their features are 0
    assert abs(after.weights[1][0]) > 0
    fraction = hungary.labels[::3].mean()
    assert evaluated.metrics["accuracy"] == pytest.approx(1 - fraction)
    assert evaluated.metrics["loss"] == pytest.approx(fraction)


def test_a_metric_is_the_mean_of_numbers_that_are_each_in_its_range(
    heart: Study, hungary: Dataset
) -> None:
    model = logistic()
    bounds = heart.metrics.model_copy(update={"loss": Bounds(low=0.3, high=0.6)})
    learner = learner_of(task_of(heart, model, metrics=bounds), hungary)
    start = [array * 5 for array in model.get_weights()]
    got = learner.evaluate(start)
    losses, outputs = RowSteps(loaded(model, start)).scores(learner.held_out)
    assert losses.min() < 0.3
    assert losses.max() > 0.6
    assert got.metrics["loss"] == pytest.approx(losses.clip(0.3, 0.6).mean())
    assert got.rows == len(learner.held_out) > 50
    labels = learner.held_out.labels
    right = (outputs[:, 0] > 0.5) == (labels == 1)
    assert got.metrics["accuracy"] == pytest.approx(right.mean())
    assert np.sum(got.metrics["scores-positive"]) == pytest.approx(labels.mean())


@pytest.mark.parametrize("side", ["training", "held out"])
def test_a_side_without_rows_is_told_by_counts_alone(
    heart: Study, hungary: Dataset, side: str
) -> None:
    model, none = logistic(), hungary.take(np.arange(0))
    sides = (none, hungary) if side == "training" else (hungary, none)
    learner = learner_over(task_of(heart, model, unit_clip=1.0), *sides)
    start = model.get_weights()
    trained, evaluated = learner.train(start, 1), learner.evaluate(start)
    assert (trained.rows, evaluated.rows) == tuple(map(len, sides))
    if side == "training":
        assert not flat(trained.weights).any()
    else:
        assert np.isnan(
            flat([np.atleast_1d(v) for v in evaluated.metrics.values()])
        ).all()


def test_a_proximal_term_is_refused(heart: Study, hungary: Dataset) -> None:
    model = logistic()
    learner = learner_of(task_of(heart, model), hungary)
    learner.train(model.get_weights(), 1, 0.0)
    with pytest.raises(PeerError, match="proximal") as caught:
        learner.train(model.get_weights(), 1, 0.5)
    assert caught.value.code == "FS-423"


def test_a_model_that_mixes_rows_is_refused_at_the_agent(
    heart: Study, hungary: Dataset
) -> None:
    model = compiled(layers.BatchNormalization(), layers.Dense(1, activation="sigmoid"))
    with pytest.raises(PeerError, match="BatchNormalization") as caught:
        learner_of(task_of(heart, model), hungary)
    assert caught.value.code == "FS-432"


def test_rows_are_kept_apart_by_the_step_alone(heart: Study, hungary: Dataset) -> None:
    assert isinstance(learner_of(task_of(heart, logistic()), hungary), RowLearner)
    epochs = learner_of(task_of(heart, logistic(), step="epochs"), hungary)
    assert not isinstance(epochs, RowLearner)
