"""Comparing hospitals alone, federated and pooled: the same rows, the same work."""

import dataclasses
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner

from fedsecure.errors import OperatorError
from fedsecure.study.config import Study, load_study
from fedsecure.study.keras.architecture import model_to_data
from fedsecure.study.keras.building import build_model
from fedsecure.study.task import Layer, Task
from fedsecure_clients.cli.agent import app
from fedsecure_clients.data.dataset import Dataset
from fedsecure_clients.keras_app.compare import (
    Everybody,
    compare,
    load_sites,
    load_weights,
    placements,
)
from fedsecure_clients.keras_app.comparison import Comparison, Kind, Scored, show
from fedsecure_clients.keras_app.learners import learner_of
from fedsecure_clients.keras_app.training import Weights

FOLDER = Path(__file__).parents[3] / "studies" / "heart"
FILES = sorted((FOLDER / "data").glob("*.csv"))
SEEDS = (1, 2, 3)
LAYERS = (Layer("kernel", (2, 3)), Layer("bias", (3,)))


@pytest.fixture(scope="module")
def heart() -> Study:
    return load_study(FOLDER)


@pytest.fixture(scope="module")
def sites(heart: Study) -> Mapping[str, Dataset]:
    return load_sites(FILES, heart)


@pytest.fixture(scope="module")
def task(heart: Study) -> Task:
    return heart.task(build_model(heart)[1])


def with_seed(study: Study, seed: int) -> Study:
    training = study.training.model_copy(update={"seed": seed})
    return dataclasses.replace(study, training=training)


def scored(
    kind: Kind, right: NDArray[np.float64], name: str = "", auc: float | None = None
) -> Scored:
    """Return a model of a study without AUC that is right about these rows."""
    accuracy = float(right.mean())
    return Scored(name or kind, kind, 10, 0.5, accuracy, auc, (right,))


def compared(*models: Scored) -> Comparison:
    best_first = sorted(models, key=lambda one: one.rank)
    return Comparison("heart", 1, 20, 2, {"north": 60, "south": 40}, tuple(best_first))


def rows(right: int, of: int = 100) -> NDArray[np.float64]:
    return np.repeat([1.0, 0.0], [right, of - right])


def test_federated_beats_a_hospital_alone_and_comes_close_to_pooled(
    heart: Study,
) -> None:
    # Three seeds: on 230 rows the AUC of one is known to about 0.02 only.
    lines: list[str] = []
    found = [
        compare(
            with_seed(heart, seed), FILES, None, simulate=True, progress=lines.append
        )
        for seed in SEEDS
    ]
    federated, pooled, alone = (
        float(np.mean([m.auc for one in found for m in one.models if m.kind == kind]))
        for kind in ("federated", "pooled", "alone")
    )
    assert federated >= 0.86
    assert abs(federated - pooled) <= 0.015
    assert federated - alone >= 0.02


def test_a_study_of_gradients_takes_the_strategy_s_step_everywhere(
    heart: Study,
) -> None:
    changes = {"step": "gradient", "local_epochs": 1, "rounds": 12}
    options = {"server_learning_rate": 2.0}
    study = dataclasses.replace(
        heart,
        training=heart.training.model_copy(update=changes),
        aggregation=heart.aggregation.model_copy(
            update={"strategy": "FedAvgM", "options": options, "clip": 10.0}
        ),
    )
    found = compare(study, FILES, None, simulate=True, progress=lambda _: None)
    federated, pooled = found.best("federated"), found.best("pooled")
    assert federated is not None
    assert pooled is not None
    for one in (federated, pooled):
        assert one.auc is not None
        assert one.auc > 0.8
    # The pooled model is that of gradient descent with rate 2 on all rows.
    sites = load_sites(FILES, study)
    model, data = build_model(study)
    everybody = Everybody(study.task(data), sites)
    weights = model.get_weights()
    for number in range(1, 13):
        trained = everybody.learner.train(weights, number).weights
        weights = [2 * t - w for t, w in zip(trained, weights, strict=True)]
    expected = everybody.score("pooled", "pooled", pooled.rows, weights)
    assert pooled.loss == pytest.approx(expected.loss, rel=1e-4)
    assert sum(found.held_out.values()) == len(everybody.learner.held_out)
    shown = io.StringIO()
    Console(width=80, file=shown).print(show(found))
    assert "12 steps down the mean gradient" in " ".join(shown.getvalue().split())


def test_every_model_is_scored_on_the_rows_that_the_agents_hold_out(
    sites: Mapping[str, Dataset], task: Task, heart: Study
) -> None:
    everybody = Everybody(task, sites)
    learners = {name: learner_of(task, rows) for name, rows in sites.items()}
    start = build_model(heart)[0].get_weights()
    got = everybody.score("x", "pooled", 1, start)
    there = [learner.evaluate(start).metrics for learner in learners.values()]
    counts = list(everybody.held_out.values())
    for name in ("loss", "accuracy"):
        mean = np.average([one[name] for one in there], weights=counts)
        assert getattr(got, name) == pytest.approx(mean, rel=1e-5)
    # And it trains on all others: no row is lost, none is on both sides.
    assert everybody.learner.examples == sum(one.examples for one in learners.values())
    assert everybody.learner.examples + sum(counts) == sum(map(len, sites.values()))


def test_a_model_without_numbers_has_no_figures_and_stands_last() -> None:
    nothing = Scored("federated", "federated", 9, math.nan, math.nan, None, ())
    others = [scored("alone", rows(70), "a"), scored("pooled", rows(80))]
    found = compared(nothing, *others)
    assert found.models[-1] is nothing
    shown = found.as_json()["models"][-1]
    assert (shown["loss"], shown["accuracy"], shown["auc"]) == (None, None, None)
    assert found.verdict == (
        "There is no verdict: the outputs of a model are no numbers."
    )
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(show(found))
    (line,) = (
        line for line in console.export_text().splitlines() if "federated  " in line
    )
    assert line.split()[1:] == ["9", "n/a", "n/a", "n/a"]


def test_a_model_scores_the_same_whatever_its_last_layer_is(
    sites: Mapping[str, Dataset], task: Task
) -> None:
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    rand = np.random.default_rng(1)
    kernel = rand.normal(0, 1, (21, 1)).astype(np.float32)
    bias = np.array([0.4], dtype=np.float32)
    one: Weights = [kernel, bias]
    two: Weights = [np.hstack([0 * array, array]) for array in one]
    found = []
    for outputs, activation, loss, weights in (
        (1, "sigmoid", "binary_crossentropy", one),
        (1, None, binary, one),
        (2, "softmax", "sparse_categorical_crossentropy", two),
        (2, None, sparse, two),
    ):
        last = keras.layers.Dense(outputs, activation=activation)
        model = keras.Sequential([keras.layers.Input((21,)), last])
        model.compile(optimizer="sgd", loss=loss)
        data = model_to_data(model)
        changes = {"model": data.model, "compilation": data.compilation}
        everybody = Everybody(task.model_copy(update=changes), sites)
        found.append(everybody.score("x", "alone", 1, weights))
    for other in found[1:]:
        assert other.loss == pytest.approx(found[0].loss, rel=1e-3)
        assert other.accuracy == found[0].accuracy
        # Probabilities next to 0 or 1 are equal where margins are not yet.
        assert other.auc == pytest.approx(found[0].auc, abs=1e-3)


def test_without_rows_of_both_classes_there_is_no_auc_but_accuracy(
    sites: Mapping[str, Dataset], task: Task, heart: Study
) -> None:
    ill = {
        name: table.take(np.flatnonzero(table.labels == 1))
        for name, table in sites.items()
    }
    start = build_model(heart)[0].get_weights()
    got = Everybody(task, ill).score("x", "alone", 1, start)
    assert got.auc is None
    assert got.figure == got.accuracy


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30),
)
def test_the_auc_is_the_share_of_pairs_in_the_right_order(
    drawn: list[tuple[int, bool]],
) -> None:
    scores = np.array([score for score, _ in drawn], dtype=np.float32)
    positive = np.array([label for _, label in drawn])
    pairs = [
        1.0 if up > down else 0.5 if up == down else 0.0
        for up in scores[positive]
        for down in scores[~positive]
    ]
    places = placements(scores, positive)
    if not pairs:
        assert places is None
        return
    assert places is not None
    for place in places:
        assert place.mean() == pytest.approx(np.mean(pairs))


def test_the_standard_error_is_the_spread_of_repeated_samples() -> None:
    rand = np.random.default_rng(1)
    positive = np.repeat([True, False], [60, 90])

    def sample() -> tuple[float, float]:
        # Two models with errors of their own and a common one.
        signal = positive + rand.normal(0, 1, 150)
        models = []
        for noise in (0.3, 1.0):
            own = signal + rand.normal(0, noise, 150)
            places = placements(own.astype(np.float32), positive)
            assert places is not None
            auc = float(places[0].mean())
            models.append(Scored("x", "alone", 1, 0.0, 0.0, auc, places))
        return models[0].minus(models[1])

    differences, errors = np.transpose([sample() for _ in range(2000)])
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.1)


def test_the_verdict_claims_no_more_than_the_rows_can_tell() -> None:
    pooled = scored("pooled", rows(80))
    federated = scored("federated", rows(80))
    worst = scored("alone", rows(50), "north")
    near = scored("alone", rows(79), "south")
    ahead = scored("alone", rows(82), "east")
    far_ahead = scored("alone", rows(99), "east")

    def verdict(*alone: Scored) -> str:
        verdict = compared(pooled, federated, *alone).verdict
        assert verdict is not None
        return verdict

    assert "is better than the best site alone (north" in verdict(worst)
    assert "ahead of the best site alone, though not clearly (so" in verdict(near)
    assert "not better than the best site alone (east" in verdict(worst, ahead)
    assert "is worse than the best site alone (east" in verdict(worst, far_ahead)
    assert "not clearly different from pooled" in verdict(worst)
    assert compared(pooled, worst).verdict is None


@pytest.mark.parametrize("auc", [None, 0.8])
def test_the_table_fits_eighty_columns(auc: float | None) -> None:
    names = ("cleveland", "hungary", "switzerland", "va-long-beach")
    alone = [scored("alone", rows(70), name, auc) for name in names]
    others = [
        scored("federated", rows(80), auc=auc),
        scored("pooled", rows(1), auc=auc),
    ]
    shown = io.StringIO()
    Console(width=80, file=shown).print(show(compared(*others, *alone)))
    text = shown.getvalue()
    assert ("AUC on the 100 rows" if auc else "accuracy on the 100 rows") in text
    assert ("n/a" in text) == (auc is None)
    lines = text.splitlines()
    assert [sum(name + " alone" in line for line in lines) for name in names] == [1] * 4


def test_a_stored_model_comes_back_layer_by_layer(tmp_path: Path) -> None:
    flat = np.arange(9, dtype=np.float32)
    np.save(tmp_path / "model.npy", flat)
    kernel, bias = load_weights(tmp_path / "model.npy", LAYERS)
    assert kernel.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert bias.tolist() == [6, 7, 8]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (np.zeros(8, np.float32), "FS-112"),
        (np.zeros(9, np.float64), "FS-112"),
        (np.zeros((3, 3), np.float32), "FS-112"),
        (np.array([{"a": 1}] * 9, dtype=object), "FS-111"),
        (b"rows, not weights", "FS-111"),
        (b"", "FS-111"),
        (None, "FS-111"),
    ],
)
def test_what_is_no_model_of_the_study_is_refused(
    tmp_path: Path, content: NDArray[np.float32] | bytes | None, code: str
) -> None:
    path = tmp_path / "model.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(OperatorError) as caught:
        load_weights(path, LAYERS)
    assert caught.value.code == code
    assert str(path) in caught.value.detail
    assert "rows" not in caught.value.detail.removeprefix(str(path))


@pytest.mark.parametrize(
    ("files", "code"), [(FILES[:1], "FS-113"), ([FILES[0], FILES[0]], "FS-114")]
)
def test_it_takes_two_sites_of_different_names(
    heart: Study, files: list[Path], code: str
) -> None:
    with pytest.raises(OperatorError) as caught:
        load_sites(files, heart)
    assert caught.value.code == code


def test_the_command_scores_a_stored_model_beside_those_that_it_trains(
    tmp_path: Path, heart: Study
) -> None:
    start = build_model(heart)[0].get_weights()
    model, output = tmp_path / "model-00000.npy", tmp_path / "found.json"
    np.save(model, np.concatenate([array.reshape(-1) for array in start]))
    arguments = ["compare", str(FOLDER), *map(str, FILES), "--model", str(model)]
    arguments += ["--rounds", "1", "--json", "--output", str(output)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found == json.loads(output.read_text(encoding="utf-8"))
    figures = {one["name"]: one["auc"] for one in found["models"]}
    assert set(figures) == {path.stem for path in FILES} | {"federated", "pooled"}
    assert list(figures.values()) == sorted(figures.values(), reverse=True)
    # The stored model is untrained; one round is enough to be better.
    assert figures["federated"] < figures["pooled"]


def test_a_stored_model_is_not_scored_under_another_seed(tmp_path: Path) -> None:
    # Under another seed it was trained on rows that would be scored.
    arguments = ["compare", str(FOLDER), *map(str, FILES), "--model", str(tmp_path)]
    done = CliRunner().invoke(app, [*arguments, "--seed", "2"])
    assert done.exit_code == 2
    assert "--seed" in done.output
