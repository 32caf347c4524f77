"""A rehearsal gets the very model, and the very metrics, of the real run."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, Message

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.frameworks.flower.secure_aggregation import SecureAggregation
from fedsecure.frameworks.flower.strategies import build_strategy
from fedsecure.frameworks.keras.model_source import parts_of
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.run.soundness import DivergedError
from fedsecure.protocol.statements import PrivacyField, Weighting
from fedsecure.study.config import Study, load_study
from fedsecure.study.keras.building import build_model
from fedsecure.study.task import STUDY
from fedsecure.study.terms import StudyRequest
from fedsecure_clients.data.dataset import Dataset, load
from fedsecure_clients.keras_app.app import evaluated, trained
from fedsecure_clients.keras_app.learners import learner_of
from fedsecure_clients.keras_app.rehearsal import Rehearsal
from fedsecure_clients.keras_app.training import Learner
from tests.protocol.federation import HOSPITALS, MemoryFederation
from tests.protocol.test_secure_aggregation import Fleet, Training

HEART = Path(__file__).parents[2] / "studies" / "heart"
FILES = sorted((HEART / "data").glob("*.csv"))
NORMALIZED = """
import keras

def build():
    stack = [
        keras.layers.Input((21,)),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(4, "tanh", kernel_constraint="non_neg"),
        keras.layers.Dense(1, "sigmoid"),
    ]
    model = keras.Sequential(stack)
    model.compile(keras.optimizers.SGD(0.3), "binary_crossentropy")
    return model
"""

AGGREGATIONS: Mapping[str, dict[str, Any]] = {
    "as the study says": {},
    "a small clip, the server's own steps": {
        "strategy": "FedAdam",
        "options": {"eta": 0.05, "tau": 0.1},
        "clip": 0.05,
        "statistics_clip": 0.1,
    },
    "weights by numbers of examples": {
        "strategy": "FedProx",
        "options": {"proximal_mu": 0.5},
        "weighting": "rounded",
        "weight_cap": 256,
    },
}


@pytest.fixture(scope="module")
def sites() -> Mapping[str, Dataset]:
    schema = load_study(HEART).features
    pairs = zip(HOSPITALS, FILES, strict=True)
    return {name: load(path, schema) for name, path in pairs}


def study_with(aggregation: Mapping[str, Any], folder: Path) -> Study:
    study = load_study(HEART)
    changed = study.aggregation.model_copy(update=dict(aggregation))
    if "statistics_clip" in aggregation:
        (folder / "model.py").write_text(NORMALIZED, "utf-8")
        study = replace(study, folder=folder)
    return replace(study, aggregation=changed)


def really(memory: MemoryFederation, study: Study, learners: Any) -> Training:
    """Train as `train` does, but for Flower's network."""
    model, data = build_model(study)
    request = study.request(data)
    terms = request.terms

    def answer(message: Message, context: Context) -> Message:
        learner = learners[HOSPITALS[context.node_id - 100]]
        kind = message.metadata.message_type
        return (trained if kind == "train" else evaluated)(message, learner)

    training = Training(memory, Fleet(memory, answer))
    plan = Plan(
        run="run-1",
        rounds=2,
        config=request.config,
        scalars=terms.scalars,
        clip=terms.clip,
        weight_cap=terms.weight_cap,
        weighting=Weighting(terms.weighting),
        min_cohort=terms.min_cohort,
        round_seconds=60.0,
        join_seconds=5.0,
        statistics=terms.statistics,
    )
    secure = SecureAggregation(
        build_strategy(study),
        memory.owner,
        training.fleet,
        plan,
        record=training.record,
        clock=lambda: 0.0,
        sleep=lambda _seconds: None,
        parts=parts_of(model, data),
    )
    with task_identity(1):
        secure.run(ArrayRecord(model.get_weights()))
    return training


def rehearsal_of(study: Study, learners: Mapping[str, Learner]) -> Rehearsal:
    model, data = build_model(study)
    parts = parts_of(model, data)
    return Rehearsal(study, study.request(data), parts, learners, secrets.token_bytes)


@pytest.mark.parametrize("case", AGGREGATIONS)
def test_a_rehearsal_gets_the_model_of_the_real_run_bit_by_bit(
    memory: MemoryFederation, sites: Mapping[str, Dataset], tmp_path: Path, case: str
) -> None:
    study = study_with(AGGREGATIONS[case], tmp_path)
    model, data = build_model(study)
    task = study.task(data)
    learners = {name: learner_of(task, rows) for name, rows in sites.items()}
    rehearsal = rehearsal_of(study, learners)
    got = rehearsal.run(model.get_weights(), 2)
    real = really(memory, study, learners)
    last = real.outcomes[-1].model.arrays()
    for ours, theirs in zip(got, last, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert any(
        (ours != first).any()
        for ours, first in zip(got, model.get_weights(), strict=True)
    )
    for figures, outcome in zip(rehearsal.figures, real.outcomes, strict=True):
        assert outcome.opened is not None
        mean = outcome.opened.mean
        assert (figures.clip_rate or 0) * 4 == (mean.clipped if figures.train else 0)
        assert figures.clamped == mean.clamped
    if "statistics_clip" in AGGREGATIONS[case]:
        assert [one.clip_rate for one in rehearsal.figures] == [1.0, 1.0, None]
        assert any("clip" in note for note in rehearsal.notes)


def test_a_rehearsal_refuses_what_the_real_run_refuses(
    sites: Mapping[str, Dataset], tmp_path: Path
) -> None:
    study = study_with({"strategy": "Krum"}, tmp_path)
    with pytest.raises(OperatorError, match=r"FS-368.*Krum"):
        rehearsal_of(study, dict.fromkeys(sites)).run([], 1)  # type: ignore[arg-type]


def test_a_rehearsal_ends_where_the_real_run_diverges(
    sites: Mapping[str, Dataset], tmp_path: Path
) -> None:
    steps = {"server_learning_rate": 1e38}
    study = study_with({"strategy": "FedAvgM", "options": steps}, tmp_path)
    model, data = build_model(study)
    task = study.task(data)
    learners = {name: learner_of(task, rows) for name, rows in sites.items()}
    with np.errstate(over="ignore"), pytest.raises(DivergedError, match="FS-232"):
        rehearsal_of(study, learners).run(model.get_weights(), 3)


def test_fewer_sites_than_a_sum_needs_are_said(
    sites: Mapping[str, Dataset], tmp_path: Path
) -> None:
    study = study_with({}, tmp_path)
    model, data = build_model(study)
    task = study.task(data)
    two = {name: learner_of(task, sites[name]) for name in HOSPITALS[:2]}
    rehearsal = rehearsal_of(study, two)
    rehearsal.run(model.get_weights(), 1)
    assert "would open nothing: these are 2 sites" in next(iter(rehearsal.notes))


def test_a_rehearsal_with_noise_takes_the_step_on_the_mean_of_the_cut_gradients(
    sites: Mapping[str, Dataset], tmp_path: Path
) -> None:
    steps = {"server_learning_rate": 3.0}
    study = study_with(
        {"strategy": "FedAvgM", "options": steps, "clip": 100.0}, tmp_path
    )
    changes = {"step": "gradient", "local_epochs": 1}
    study = replace(study, training=study.training.model_copy(update=changes))
    model, data = build_model(study)
    task = study.task(data).model_copy(update={"unit_clip": 0.5})
    privacy = PrivacyField(
        unit=Unit.ROW,
        unit_clip=0.5,
        noise=0.1,
        scalar_noise=0.1,
        evaluation_noise=0.1,
        every_round=False,
        epsilon=1e9,
        delta=1e-5,
    )
    terms = study.terms(data).model_copy(update={"privacy": privacy})
    request = StudyRequest({STUDY: task.text}, terms)
    learners = {name: learner_of(task, rows) for name, rows in sites.items()}
    start = model.get_weights()
    rehearsal = Rehearsal(
        study, request, parts_of(model, data), learners, secrets.token_bytes
    )
    got = rehearsal.run(start, 1)
    answers = [one.train(start, 1) for one in learners.values()]
    rows = sum(one.rows for one in answers)
    assert rows > 600
    for place, (ours, first) in enumerate(zip(got, start, strict=True)):
        total = np.sum([one.weights[place] for one in answers], axis=0)
        np.testing.assert_allclose(ours, first + 3 * total / rows, atol=2e-3)
        assert np.abs(total).max() * 3 / rows > 1e-2
    trained, evaluated = rehearsal.figures
    assert (trained.undefined, evaluated.in_set) == (0, 4)
    assert any("Noise was drawn" in note for note in rehearsal.notes)
