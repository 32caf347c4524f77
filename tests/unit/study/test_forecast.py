"""`privacy plan` says what rounds will show: the same deviations as an opened round."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fedsecure.cli.privacy import app
from fedsecure.core import noisy_scalars
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.core.noisy_scalars import NoisyTotals
from fedsecure.core.params import Params
from fedsecure.core.shares import Deviations
from fedsecure.protocol.parameters import noise_of, scalars_of, sent_scalars
from fedsecure.protocol.statements import Purpose, ScalarField, Weighting
from fedsecure.study.forecast import Members, forecast
from fedsecure.study.metrics import (
    Metrics,
    auc_from_histograms,
    declare,
    read_deviations,
)
from fedsecure.study.privacy import Privacy
from fedsecure.study.terms import SUITE, Terms, scalar_fields

STUDIES = Path(__file__).parents[3] / "studies"
DIMENSION, ROUNDS, OWNERS = 650, 20, 50
ROW = Privacy(unit=Unit.ROW, epsilon=2.0, delta=1e-5, unit_clip=1.0)
WHOLE = Privacy(unit=Unit.DATA_OWNER, epsilon=8.0, delta=1e-5)


def terms_with(privacy: Privacy, scalars: tuple[ScalarField, ...]) -> Terms:
    return Terms(
        scalars=scalars,
        clip=1.5,
        privacy=privacy.planned(ROUNDS, 1.5),
        weight_cap=1,
        weighting=Weighting.EQUAL,
        min_cohort=3,
        suite=SUITE,
    )


def opened(terms: Terms, purpose: Purpose, divisor: int) -> Deviations:
    """Return what the core says of a round with so many rows, or reports."""
    dimension = DIMENSION if purpose is Purpose.TRAIN else 0
    params = Params.derive(
        dimension,
        sent_scalars(terms.scalars, terms.privacy, purpose),
        OWNERS,
        terms.clip,
        1,
        noise=noise_of(terms.privacy, purpose, Weighting.EQUAL),
    )
    sums = (0.0,) * sum(one.size for one in params.scalars)
    totals = NoisyTotals(divisor, 0.0, float(divisor), sums)
    mean = noisy_scalars.mean(params, np.zeros(dimension), totals, OWNERS)
    assert mean.deviations is not None
    return mean.deviations


@pytest.mark.parametrize(
    ("privacy", "members", "trained", "measured"),
    [
        (WHOLE, Members(OWNERS), OWNERS, OWNERS),
        (ROW, Members(OWNERS, rows=1000, holdout=0.25), 750, 250),
    ],
)
def test_what_is_forecast_is_what_an_opened_round_shows(
    privacy: Privacy, members: Members, trained: int, measured: int
) -> None:
    terms = terms_with(privacy, scalar_fields(declare(Metrics(), 3)))
    found = forecast(terms, DIMENSION, ROUNDS, members)
    assert found is not None
    train = opened(terms, Purpose.TRAIN, trained)
    assert found.coordinate == pytest.approx(train.update)
    assert found.length == pytest.approx(train.update * DIMENSION**0.5)
    last = opened(terms, Purpose.EVALUATE, measured)
    assert found.metrics == pytest.approx(dict(last.scalars))
    assert 0.99 * privacy.epsilon < found.spent.one_server_corrupt <= privacy.epsilon
    assert found.spent.outsider < found.spent.one_server_corrupt


def test_the_noise_of_the_auc_is_that_of_balanced_classes_and_even_scores() -> None:
    terms = terms_with(ROW, scalar_fields(declare(Metrics(), 2)))
    found = forecast(terms, DIMENSION, ROUNDS, Members(OWNERS, 10**6, 0.25))
    assert found is not None
    even = [0.5 / 64] * 64
    noise = dict.fromkeys(
        ("scores-positive", "scores-negative"), found.metrics["loss"] / 4
    )
    means = dict.fromkeys(noise, even)
    said = read_deviations(means, noise)
    assert found.metrics["auc"] == pytest.approx(said.auc, rel=1e-3)


def test_the_deviation_of_an_auc_is_that_of_many_noisy_histograms() -> None:
    rng = np.random.default_rng(5)
    centres = (np.arange(16) + 0.5) / 16
    up = np.exp(-(((centres - 0.7) / 0.2) ** 2))
    down = np.exp(-(((centres - 0.4) / 0.2) ** 2))
    up, down = 0.4 * up / up.sum(), 0.6 * down / down.sum()
    noise = {"scores-positive": 0.004, "scores-negative": 0.006}
    drawn = [
        auc_from_histograms(
            up + rng.normal(0, 0.004, 16), down + rng.normal(0, 0.006, 16)
        )
        for _ in range(4000)
    ]
    said = read_deviations({"scores-positive": up, "scores-negative": down}, noise)  # type: ignore[dict-item]
    spread = np.std([one for one in drawn if one is not None])
    assert said.auc == pytest.approx(float(spread), rel=0.1)


def test_noise_beyond_the_signal_is_warned_of_with_what_helps() -> None:
    terms = terms_with(WHOLE, scalar_fields(declare(Metrics(), 3)))
    few = forecast(terms, DIMENSION, ROUNDS, Members(4))
    many = forecast(terms, DIMENSION, ROUNDS, Members(5000))
    assert few is not None
    assert many is not None
    update, metrics = few.warnings()
    assert "more data owners" in update
    assert "little can be read from loss, accuracy" in metrics
    assert list(many.warnings()) == []


def test_a_study_without_noise_has_no_forecast() -> None:
    terms = terms_with(WHOLE, ()).model_copy(update={"privacy": None})
    assert forecast(terms, DIMENSION, ROUNDS, Members(4)) is None
    assert scalars_of(()) == ()


@pytest.fixture
def digits(tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(STUDIES / "digits", tmp_path / "digits")
    text = (tmp_path / "digits" / "study.toml").read_text("utf-8")
    if "[privacy]" not in text:
        text += '\n[privacy]\nunit = "data-owner"\nepsilon = 8.0\ndelta = 1e-5\n'
        (tmp_path / "digits" / "study.toml").write_text(text, "utf-8")
    return tmp_path / "digits"


def test_the_command_shows_both_epsilons_and_what_is_left(digits: Path) -> None:
    done = CliRunner().invoke(app, ["plan", str(digits), "--data-owners", "50"])
    assert done.exit_code == 0
    for words in (
        "all that one data owner holds",
        "if one server is corrupt",
        "for who sees no server's noise",
        "noise of length",
        "accuracy",
    ):
        assert words in done.stdout
    told = CliRunner().invoke(
        app, ["plan", str(digits), "--data-owners", "50", "--json"]
    )
    data = json.loads(told.stdout)
    assert data["spent"]["one_server_corrupt"] <= data["epsilon"]
    assert data["evaluation_deviations"].keys() >= {"loss", "accuracy"}


def test_a_study_without_the_section_is_refused_by_the_command() -> None:
    done = CliRunner().invoke(app, ["plan", str(STUDIES / "heart")])
    assert done.exception is not None
    assert "no section [privacy]" in str(done.exception)
