"""Studies of every kind of data learn, whatever single sites lack."""

from pathlib import Path

import numpy as np
import pytest

from fedsecure.contributor.contribution import weight_of
from fedsecure.protocol.statements import Weighting
from fedsecure.study.config import Study, load_study
from fedsecure.study.keras.building import build_model
from fedsecure.study.metrics import MeanMetrics, read_means
from fedsecure.study.sites import find_sites
from fedsecure_clients.data.dataset import Dataset, load
from fedsecure_clients.keras_app.learners import learner_of
from fedsecure_clients.keras_app.training import Learner, Weights
from tests.studies.sites import SITES, copy_study


def clipped_mean(updates: list[Weights], weights: list[int], clip: float) -> Weights:
    """Return the weighted mean of updates, each at most `clip` long."""
    norms = [np.sqrt(sum(np.sum(np.square(a)) for a in update)) for update in updates]
    factors = [
        weight * min(1, clip / norm) / sum(weights)
        for weight, norm in zip(weights, norms, strict=True)
    ]
    return [
        np.sum([f * layer for f, layer in zip(factors, layers, strict=True)], axis=0)
        for layers in zip(*updates, strict=True)
    ]


def train(study: Study, rows: dict[str, Dataset]) -> list[MeanMetrics]:
    """Return the mean metrics of the initial model and of that after each round."""
    model, data = build_model(study)
    sites = [learner_of(study.task(data), of_site) for of_site in rows.values()]
    aggregation = study.aggregation
    shares = [
        weight_of(
            site.examples, Weighting(aggregation.weighting), aggregation.weight_cap
        )
        for site in sites
    ]
    weights = model.get_weights()
    history = [mean_metrics(sites, weights)]
    for number in range(1, study.training.rounds + 1):
        updates = [
            [new - old for new, old in zip(trained, weights, strict=True)]
            for trained in (site.train(weights, number).weights for site in sites)
        ]
        mean = clipped_mean(updates, shares, aggregation.clip)
        weights = [old + move for old, move in zip(weights, mean, strict=True)]
        weights = [layer.astype(np.float32) for layer in weights]
        history.append(mean_metrics(sites, weights))
    return history


def mean_metrics(sites: list[Learner], weights: Weights) -> MeanMetrics:
    metrics = [site.evaluate(weights).metrics for site in sites]
    return read_means(
        {
            name: np.mean([np.atleast_1d(m[name]) for m in metrics], axis=0).tolist()
            for name in metrics[0]
        }
    )


def read(name: str, folder: Path) -> tuple[Study, dict[str, Dataset]]:
    study = load_study(copy_study(name, folder / name))
    sites = find_sites(study.folder)
    assert tuple(sites) == SITES
    rows = {site: load(path, study.features) for site, path in sites.items()}
    assert len(rows["one-class"].absent_classes) == len(study.features.class_names) - 1
    assert rows["lacks-one"].absent_classes == study.features.class_names[:1]
    assert (np.diff(rows["sorted"].labels) >= 0).all()
    return study, rows


@pytest.mark.parametrize(("name", "accuracy"), [("wine", 0.85), ("digits", 0.9)])
def test_a_study_of_more_than_two_classes_learns(
    tmp_path: Path, name: str, accuracy: float
) -> None:
    history = train(*read(name, tmp_path))
    first, last = history[0], history[-1]
    assert last.accuracy >= accuracy
    assert last.accuracy > first.accuracy + 0.3
    assert last.loss < first.loss / 3
    assert {metrics.auc for metrics in history} == {None}


def test_a_study_of_two_classes_has_an_auc_though_two_sites_have_none(
    tmp_path: Path,
) -> None:
    history = train(*read("parity", tmp_path))
    assert history[-1].auc is not None
    assert history[-1].auc >= 0.9
    assert history[-1].loss < history[0].loss
