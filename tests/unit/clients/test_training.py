"""Local training: what must carry over between rounds does, and nothing else."""

import logging
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from fedsecure.errors import PeerError
from fedsecure.study.config import Study, load_study
from fedsecure.study.keras.architecture import model_to_data
from fedsecure.study.keras.building import build_model
from fedsecure.study.metrics import read_means
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.study.task import Task
from fedsecure_clients.data.dataset import Dataset, load, split
from fedsecure_clients.keras_app.learners import learner_of
from fedsecure_clients.keras_app.steps import Steps
from fedsecure_clients.keras_app.training import Learner, Weights

SITES = ("cleveland", "hungary", "switzerland", "va-long-beach")
FOLDER = Path(__file__).parents[3] / "studies" / "heart"


@pytest.fixture(scope="session")
def heart() -> Study:
    return load_study(FOLDER)


@pytest.fixture(scope="session")
def rows(heart: Study) -> dict[str, Dataset]:
    return {
        site: load(FOLDER / "data" / f"{site}.csv", heart.features) for site in SITES
    }


def compiled(optimizer: object, *stack: layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential([layers.Input((21,)), *stack])
    model.compile(optimizer=optimizer, loss="binary_crossentropy")
    return model


def with_memory() -> keras.Model:
    """Return a model all of whose parts remember: Adam, dropout, moving averages."""
    return compiled(
        keras.optimizers.Adam(0.02),
        layers.Dense(8, activation="relu"),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.Dense(1, activation="sigmoid"),
    )


def linear(optimizer: object) -> keras.Model:
    return compiled(optimizer, layers.Dense(1, activation="sigmoid"))


def learner(
    study: Study, model: keras.Model, rows: Dataset, **changes: object
) -> Learner:
    task = study.task(model_to_data(model)).model_copy(update=changes)
    return learner_of(task, rows)


def norm(one: Weights, other: Weights) -> float:
    squares = [np.sum((a - b) ** 2) for a, b in zip(one, other, strict=True)]
    return float(np.sqrt(np.sum(squares)))


def same(one: Weights, other: Weights) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_round_three_still_moves_the_weights_as_far(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    model = linear(keras.optimizers.SGD(0.05, momentum=0.9))
    site, start = learner(heart, model, rows["cleveland"]), model.get_weights()
    moved = [norm(site.train(start, number).weights, start) for number in (1, 2, 3)]
    assert min(moved) > 0.5 * max(moved) > 0


def test_a_round_depends_on_nothing_that_happened_before(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    model = with_memory()
    warm = learner(heart, model, rows["hungary"])
    weights = model.get_weights()
    for number in (1, 2):
        warm.evaluate(weights)
        weights = warm.train(weights, number).weights
    fresh = learner(heart, model, rows["hungary"])
    assert same(fresh.train(weights, 3).weights, warm.train(weights, 3).weights)
    assert fresh.evaluate(weights).metrics == warm.evaluate(weights).metrics


def test_augmentation_is_for_training_alone_and_the_same_in_every_agent(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    model = compiled(
        keras.optimizers.SGD(0.1),
        layers.Reshape((7, 3, 1)),
        layers.RandomFlip(),
        layers.RandomTranslation(0.2, 0.2),
        layers.Flatten(),
        layers.Dense(1, activation="sigmoid"),
    )
    start = model.get_weights()
    one, other = (learner(heart, model, rows["hungary"]) for _ in range(2))
    assert (
        one.evaluate(start).metrics
        == one.evaluate(start).metrics
        == other.evaluate(start).metrics
    )
    assert same(one.train(start, 1).weights, one.train(start, 1).weights)
    assert same(one.train(start, 1).weights, other.train(start, 1).weights)
    plain = compiled(keras.optimizers.SGD(0.1), *model.layers[:1], *model.layers[3:])
    plain.set_weights(start)
    bare = learner(heart, plain, rows["hungary"])
    assert bare.evaluate(start).metrics == one.evaluate(start).metrics
    assert not same(bare.train(start, 1).weights, one.train(start, 1).weights)


def test_large_examples_are_scored_a_few_at_a_time(
    heart: Study, rows: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = linear(keras.optimizers.SGD(0.1))
    site = learner(heart, model, rows["cleveland"])
    start = model.get_weights()
    together = site.evaluate(start).metrics
    sizes: list[int] = []
    score = Steps.score

    def spy(self: Steps, features: np.ndarray, labels: np.ndarray) -> object:
        sizes.append(len(features))
        return score(self, features, labels)

    monkeypatch.setattr(Steps, "score", spy)
    monkeypatch.setattr(
        "fedsecure_clients.keras_app.training.EVALUATION_NUMBERS", 21 * 20
    )
    apart = site.evaluate(start).metrics
    assert max(sizes) == 20
    assert sum(sizes) == 76
    for name in together:
        assert apart[name] == pytest.approx(together[name], rel=1e-5), name


def test_rounds_and_seeds_shuffle_differently(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    model = linear(keras.optimizers.SGD(0.1))
    start = model.get_weights()
    one = learner(heart, model, rows["hungary"])
    assert not same(one.train(start, 1).weights, one.train(start, 2).weights)


def test_our_step_is_keras_own_step(heart: Study, rows: dict[str, Dataset]) -> None:
    dense = layers.Dense(1, activation="sigmoid", kernel_regularizer="l2")
    model = compiled(keras.optimizers.Adam(0.1), dense)
    whole = rows["cleveland"]
    site = learner(heart, model, whole, batch_size=512, local_epochs=1)
    start = model.get_weights()
    trained = site.train(start, 1).weights
    training, held_out = split(whole, heart.training.holdout, heart.training.seed)
    expected = model.evaluate(held_out.features, held_out.labels, verbose=0)
    assert site.evaluate(start).metrics["loss"] == pytest.approx(expected, rel=1e-5)
    model.train_on_batch(training.features, training.labels[:, None])
    for ours, theirs in zip(trained, model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_every_epoch_shuffles_the_whole_of_a_file_that_is_sorted_by_label(
    heart: Study, rows: dict[str, Dataset], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rows["cleveland"]
    by_label = whole.take(np.argsort(whole.labels, kind="stable"))
    model = linear(keras.optimizers.SGD(0.1))
    orders: list[list[int]] = []
    epoch = Steps.epoch

    def spy(self: Steps, order: np.ndarray, *rest: object) -> float:
        orders.append(order.tolist())
        return epoch(self, order, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Steps, "epoch", spy)
    learner(heart, model, by_label, local_epochs=3).train(model.get_weights(), 1)
    training, _ = split(by_label, heart.training.holdout, heart.training.seed)
    assert len(set(map(tuple, orders))) == len(orders) == 3
    for order in orders:
        assert sorted(order) == list(range(len(training)))
        first = training.labels[order[: len(order) // 4]]
        assert 0.25 < first.mean() < 0.75


def test_training_logs_no_warning(
    heart: Study, rows: dict[str, Dataset], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        model = with_memory()
        site = learner(heart, model, rows["hungary"])
        site.evaluate(site.train(model.get_weights(), 1).weights)
    assert caplog.messages == []


def test_the_proximal_term_holds_the_weights_near_the_global_model(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    model = linear(keras.optimizers.SGD(0.1))
    site, start = learner(heart, model, rows["cleveland"]), model.get_weights()
    free, near, nearer = (
        norm(site.train(start, 1, mu).weights, start) for mu in (0, 1, 5)
    )
    assert free > 1.2 * near > 1.2 * 1.2 * nearer > 0


def test_one_proximal_step_is_the_formula(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    # Two epochs of one batch: the first step feels no pull, the second -lr * mu * move.
    model = linear(keras.optimizers.SGD(0.1))
    one = {"batch_size": 512, "local_epochs": 1}
    two = {"batch_size": 512, "local_epochs": 2}
    start = model.get_weights()
    site = learner(heart, model, rows["cleveland"], **one)
    first = site.train(start, 1, 0.5).weights
    assert same(first, site.train(start, 1).weights)
    second = site.train(first, 1).weights
    far = learner(heart, model, rows["cleveland"], **two)
    pulled = far.train(start, 1, 0.5).weights
    for at_start, after_one, free, got in zip(
        start, first, second, pulled, strict=True
    ):
        expected = free - 0.1 * 0.5 * (after_one - at_start)
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_training_that_leaves_the_finite_numbers_sends_nothing(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    # Without a sigmoid the squared error grows without bound.
    model = compiled(keras.optimizers.SGD(1e3), layers.Dense(1))
    model.compile(optimizer=model.optimizer, loss="mean_squared_error")
    site = learner(heart, model, rows["cleveland"])
    with pytest.raises(PeerError) as caught:
        site.train(model.get_weights(), 4)
    assert caught.value.code == "FS-230"
    assert "round 4" in caught.value.detail


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_global_model_that_is_not_finite_is_refused(
    heart: Study, rows: dict[str, Dataset], bad: float
) -> None:
    model = linear(keras.optimizers.SGD(0.1))
    weights = model.get_weights()
    weights[0][3, 0] = bad
    site = learner(heart, model, rows["hungary"])
    with pytest.raises(PeerError) as caught:
        site.train(weights, 1)
    assert caught.value.code == "FS-231"


def test_a_loss_that_is_not_finite_is_reported_and_tells_the_owner_no_error(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    model = compiled(keras.optimizers.SGD(0.1), layers.Dense(4), layers.Dense(1))
    model.compile(optimizer=model.optimizer, loss="mean_squared_error")
    weights = [np.full_like(array, 3e38) for array in model.get_weights()]
    metrics = learner(heart, model, rows["hungary"]).evaluate(weights).metrics
    assert not np.isfinite(metrics["loss"])
    # No class is chosen and no score is low: there is no number at all.
    assert all(np.isnan(value).all() for value in metrics.values())
    assert np.shape(metrics["scores-positive"]) == (heart.metrics.score_bins,)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda weights: weights[:-1], "FS-424"),
        (lambda weights: [w.reshape(-1, 1) for w in weights], "FS-424"),
        (lambda weights: [w.astype(np.float64) for w in weights], "FS-422"),
    ],
)
def test_weights_of_another_model_are_refused(
    heart: Study, rows: dict[str, Dataset], spoil: object, code: str
) -> None:
    model = linear(keras.optimizers.SGD(0.1))
    site = learner(heart, model, rows["hungary"])
    with pytest.raises(PeerError) as caught:
        site.evaluate(spoil(model.get_weights()))  # type: ignore[operator]
    assert caught.value.code == code


def test_a_site_of_one_class_trains_and_its_histograms_say_so(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    swiss = rows["switzerland"]
    ill = swiss.take(np.flatnonzero(swiss.labels == 1))
    model = linear(keras.optimizers.SGD(0.1))
    site = learner(heart, model, ill)
    metrics = site.evaluate(site.train(model.get_weights(), 1).weights).metrics
    assert np.sum(metrics["scores-positive"]) == pytest.approx(1)
    assert np.sum(metrics["scores-negative"]) == 0
    means = {name: np.atleast_1d(value).tolist() for name, value in metrics.items()}
    assert read_means(means).auc is None


def test_three_rows_are_enough(heart: Study, rows: dict[str, Dataset]) -> None:
    model = linear(keras.optimizers.SGD(0.1))
    few = learner(heart, model, rows["cleveland"].take(np.arange(3)))
    assert few.examples == 2
    start = model.get_weights()
    assert norm(few.train(start, 1).weights, start) > 0
    assert np.isfinite(few.evaluate(start).metrics["loss"])


def test_a_duplicate_row_is_harmless(heart: Study, rows: dict[str, Dataset]) -> None:
    twice = rows["hungary"].take(np.repeat(np.arange(293), 2))
    training, held_out = split(twice, 0.25, 5)
    seen = set(map(bytes, training.features))
    assert not seen & set(map(bytes, held_out.features))
    model = linear(keras.optimizers.SGD(0.1))
    start = model.get_weights()
    trained = learner(heart, model, twice).train(start, 1).weights
    assert norm(trained, start) > 0


def test_two_outputs_and_logits_score_like_one_probability(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    single = linear(keras.optimizers.SGD(0.1))
    kernel, bias = single.get_weights()
    double = compiled(keras.optimizers.SGD(0.1), layers.Dense(2))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    double.compile(optimizer=keras.optimizers.SGD(0.1), loss=loss)
    weights = [np.hstack([0 * kernel, kernel]), np.hstack([0 * bias, bias])]
    one = learner(heart, single, rows["cleveland"]).evaluate([kernel, bias]).metrics
    two = learner(heart, double, rows["cleveland"]).evaluate(weights).metrics
    assert two.keys() == one.keys()
    for name in one:
        assert two[name] == pytest.approx(one[name], rel=1e-4), name


def federated_means(
    study: Study, rows: dict[str, Dataset]
) -> tuple[dict[str, list[float]], Task]:
    """Train by plain averages with equal weights; return the last mean metrics."""
    model, data = build_model(study)
    task = study.task(data)
    sites = [learner_of(task, rows[site]) for site in SITES]
    weights = model.get_weights()
    for number in range(1, study.training.rounds + 1):
        trained = [site.train(weights, number).weights for site in sites]
        weights = [
            np.mean(layer, axis=0, dtype=np.float32)
            for layer in zip(*trained, strict=True)
        ]
    metrics = [site.evaluate(weights).metrics for site in sites]
    means = {
        name: np.mean([np.atleast_1d(m[name]) for m in metrics], axis=0).tolist()
        for name in metrics[0]
    }
    return means, task


def test_the_heart_study_reaches_an_auc_of_085_on_rows_held_out(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    means, task = federated_means(heart, rows)
    assert list(means) == [scalar.name for scalar in task.scalars]
    assert [len(entries) for entries in means.values()] == [
        scalar.size for scalar in task.scalars
    ]
    read = read_means(means)
    assert read.auc is not None
    assert read.auc >= 0.85
    assert read.loss < 0.5


def test_a_schema_of_three_classes_shares_loss_and_accuracy_alone(
    heart: Study, rows: dict[str, Dataset]
) -> None:
    label = {"column": "num", "classes": ("none", "mild", "severe")}
    content = heart.features.model_dump() | {"label": label}
    features = TableSchema.model_validate(content, strict=False)
    model = compiled(keras.optimizers.SGD(0.1), layers.Dense(3, activation="softmax"))
    model.compile(optimizer=model.optimizer, loss="sparse_categorical_crossentropy")
    labels = np.arange(304, dtype=np.int32) % 3
    three = Dataset(rows["cleveland"].features, labels, ("none", "mild", "severe"))
    site = learner(heart, model, three, features=features)
    start = model.get_weights()
    assert set(site.evaluate(site.train(start, 1).weights).metrics) == {
        "loss",
        "accuracy",
    }
