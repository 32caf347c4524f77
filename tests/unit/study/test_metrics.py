import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from fedsecure.study.metrics import (
    MeanMetrics,
    Metrics,
    auc_from_histograms,
    declare,
    read_means,
    score_histogram,
)

BINS = 8
ROWS = st.lists(
    st.tuples(st.integers(0, BINS - 1), st.booleans()), min_size=2, max_size=60
)


@given(ROWS)
def test_the_auc_from_histograms_is_the_auc_of_the_binned_scores(
    rows: list[tuple[int, bool]],
) -> None:
    places = np.array([place for place, _ in rows])
    positive = np.array([is_positive for _, is_positive in rows])
    assume(positive.any() and not positive.all())
    up = np.bincount(places[positive], minlength=BINS)
    down = np.bincount(places[~positive], minlength=BINS)
    ahead = places[positive][:, None] - places[~positive][None, :]
    pairs_won = np.mean((ahead > 0) + (ahead == 0) / 2)
    assert auc_from_histograms(up, down) == pytest.approx(pairs_won)


@pytest.mark.parametrize(("up", "down"), [([0, 1], [0, 0]), ([0, 0], [1, 0])])
def test_the_auc_of_one_class_is_not_applicable(up: list[int], down: list[int]) -> None:
    assert auc_from_histograms(up, down) is None


def test_histograms_hold_fractions_of_all_rows_and_both_ends_of_the_scale() -> None:
    scores = np.array([0.0, 1.0, 0.5, 0.49, -1.0], dtype=np.float32)
    positive = np.array([True, True, True, False, True])
    up = score_histogram(scores, positive, 2)
    down = score_histogram(scores, ~positive, 2)
    assert up == [0.4, 0.4]
    assert down == [0.2, 0.0]


@pytest.mark.parametrize("score", [np.nan, np.inf, -np.inf])
def test_there_is_no_histogram_of_scores_that_are_not_finite(score: float) -> None:
    scores = np.array([0.0, score, 0.5], dtype=np.float32)
    for chosen in (np.array([True, False, True]), np.array([False, True, False])):
        assert np.isnan(score_histogram(scores, chosen, 8)).all()


def test_metrics_that_nobody_could_measure_are_none_and_not_zero() -> None:
    nothing = dict.fromkeys(("loss", "accuracy", "scores-positive", "scores-negative"))
    assert read_means(nothing) == MeanMetrics(None, None, None)


def test_a_study_of_two_classes_declares_histograms_and_one_of_more_does_not() -> None:
    two = declare(Metrics(score_bins=16), classes=2)
    assert [(scalar.name, scalar.size) for scalar in two] == [
        ("loss", 1),
        ("accuracy", 1),
        ("scores-positive", 16),
        ("scores-negative", 16),
    ]
    assert [scalar.name for scalar in declare(Metrics(), classes=3)] == [
        "loss",
        "accuracy",
    ]


def test_the_owner_reads_loss_accuracy_and_auc_from_opened_means() -> None:
    means = {"loss": [0.4], "accuracy": [0.8]}
    histograms = {"scores-positive": [0.1, 0.4], "scores-negative": [0.4, 0.1]}
    read = read_means(means | histograms)
    assert (read.loss, read.accuracy) == (0.4, 0.8)
    assert read.auc == pytest.approx(0.8)
    assert read_means(means).auc is None
