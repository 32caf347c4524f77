"""The section `[privacy]`: what follows from a budget, and what it does not go with."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from fedsecure.core.dp.accountant import epsilon
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import OperatorError
from fedsecure.owner.rounds.proposal import RoundRequest
from fedsecure.owner.rounds.specs import params_for
from fedsecure.protocol.statements import PrivacyField, Purpose, ScalarField, Weighting
from fedsecure.study.app_study import load_any_study
from fedsecure.study.config import Study, load_study
from fedsecure.study.model_data import ModelData
from fedsecure.study.privacy import Privacy

HEART = Path(__file__).parents[3] / "studies" / "heart"
OWNER = '\n[privacy]\nunit = "data-owner"\nepsilon = 8.0\ndelta = 1e-5\n'
ROW = OWNER.replace("data-owner", "row") + "unit_clip = 0.5\n"
BY_ROW = {"local_epochs = 2": 'step = "gradient"'}
SCALARS = [ScalarField(name=name, low=0.0, high=1.0) for name in ("loss", "accuracy")]


def study_with(folder: Path, more: str, changes: Mapping[str, str] = {}) -> Study:
    text = (HEART / "study.toml").read_text("utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "study.toml").write_text(text + more, "utf-8")
    schema = (HEART / "schema.toml").read_text("utf-8")
    (folder / "schema.toml").write_text(schema, "utf-8")
    return load_study(folder)


def cost(field: PrivacyField, purpose: Purpose, dimension: int) -> int:
    request = RoundRequest(
        run="run-1",
        round=1,
        purpose=purpose,
        attempt=1,
        task="0" * 64,
        model="0" * 64,
        dimension=dimension,
        scalars=SCALARS,
        clip=2.0,
        weight_cap=1,
        weighting=Weighting.EQUAL,
        cohort=["basel", "bern", "chur", "genf"],
        min_cohort=3,
        seconds=60.0,
        privacy=field,
        study="0" * 64,
    )
    found = params_for(request).cost
    assert found is not None
    return found


@pytest.mark.parametrize("rounds", [1, 7, 30, 1000])
@pytest.mark.parametrize("every_round", [False, True])
@pytest.mark.parametrize("unit_clip", [None, 0.5])
def test_the_planned_openings_cost_the_budget_nearly_all_and_never_more(
    rounds: int, every_round: bool, unit_clip: float | None
) -> None:
    unit = Unit.DATA_OWNER if unit_clip is None else Unit.ROW
    section = Privacy(
        unit=unit,
        epsilon=2.0,
        delta=1e-5,
        unit_clip=unit_clip,
        every_round=every_round,
    )
    field = section.planned(rounds, clip=2.0)
    train = cost(field, Purpose.TRAIN, 500)
    whole = rounds * train + cost(field, Purpose.EVALUATE, 0)
    assert 1.99 < epsilon(whole, 1e-5) <= 2.0


def test_the_share_of_scalars_goes_to_the_evaluation_unless_rounds_carry_metrics() -> (
    None
):
    section = Privacy(unit=Unit.DATA_OWNER, epsilon=2.0, delta=1e-5, share=0.2)
    apart = section.planned(30, clip=1.0)
    every = replace_every(section).planned(30, clip=1.0)
    assert apart.noise == every.noise
    # a quarter of a fifth over 30 rounds; three quarters of it in one
    ratio = (apart.scalar_noise / apart.evaluation_noise) ** 2
    assert ratio == pytest.approx(90, rel=1e-6)
    assert every.scalar_noise == pytest.approx(every.evaluation_noise, rel=1e-6)
    assert (apart.scalar_noise / apart.noise) ** 2 == pytest.approx(16, rel=1e-6)
    assert apart.unit_clip == 1.0


def test_a_study_of_rows_has_its_own_clip_in_its_noise_and_in_its_task(
    tmp_path: Path,
) -> None:
    study = study_with(tmp_path, ROW, BY_ROW)
    field = study.noise()
    assert field is not None
    assert (field.unit, field.unit_clip) == (Unit.ROW, 0.5)
    layers = ModelData("{}", "{}", (), ())
    assert study.task(layers).unit_clip == 0.5
    with pytest.raises(OperatorError, match=r"unit_clip is above `clip`.*, 2$"):
        study_with(tmp_path, ROW.replace("0.5", "2.1"), BY_ROW)


def replace_every(section: Privacy) -> Privacy:
    return section.model_copy(update={"every_round": True})


def test_a_budget_too_small_for_the_rounds_is_refused_in_words() -> None:
    section = Privacy(unit=Unit.DATA_OWNER, epsilon=1e-9, delta=1e-5)
    with pytest.raises(OperatorError, match=r"FS-200.*epsilon 1e-09 over 30 rounds"):
        section.planned(30, clip=1.0)


def test_a_study_with_noise_says_so_in_its_terms_and_has_another_digest(
    tmp_path: Path,
) -> None:
    study = study_with(tmp_path, OWNER)
    field = study.noise()
    assert field is not None
    assert (field.unit, field.unit_clip) == (Unit.DATA_OWNER, study.aggregation.clip)
    assert study.settings()["privacy"]["epsilon"] == 8.0
    assert "privacy" not in load_study(HEART).settings()
    longer = replace(
        study, training=study.training.model_copy(update={"rounds": 10_000})
    )
    more = longer.noise()
    assert more is not None
    rounds = study.training.rounds
    expected = field.noise * math.sqrt(10_000 / rounds)
    assert more.noise == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("section", "changes", "where", "words"),
    [
        (OWNER + "unit_clip = 1.0\n", {}, "privacy", 'unit_clip is for unit "row"'),
        (ROW, {}, "privacy", 'unit "row" needs step = "gradient" in [training]'),
        (
            OWNER.replace("data-owner", "row"),
            {},
            "privacy",
            'unit "row" needs unit_clip',
        ),
        (
            OWNER,
            {'weighting = "equal"': 'weighting = "rounded"\nweight_cap = 64'},
            "privacy",
            'noise needs weighting = "equal" and weight_cap = 1',
        ),
        (
            OWNER,
            {'weighting = "equal"': 'weighting = "equal"\nweight_cap = 2'},
            "privacy",
            'noise needs weighting = "equal" and weight_cap = 1',
        ),
        (OWNER.replace("8.0", "0.0"), {}, "epsilon", "more than 0"),
        (OWNER.replace("1e-5", "1.0"), {}, "delta", "less than 1"),
        (OWNER.replace("data-owner", "patient"), {}, "unit", "row"),
        (OWNER + "shares = 0.1\n", {}, "shares", "did you mean 'share'"),
    ],
)
def test_what_noise_does_not_go_with_is_refused_with_its_line(
    tmp_path: Path, section: str, changes: dict[str, str], where: str, words: str
) -> None:
    with pytest.raises(OperatorError) as caught:
        study_with(tmp_path, section, changes)
    text = (tmp_path / "study.toml").read_text("utf-8")
    sought = "[privacy]" if where == "privacy" else f"\n{where} ="
    line = text[: text.index(sought) + 1].count("\n") + 1
    assert caught.value.code == "FS-840"
    assert f"study.toml, line {line}, privacy" in caught.value.detail
    assert words in caught.value.detail


def test_an_apps_study_protects_data_owners_and_no_single_rows(tmp_path: Path) -> None:
    text = """
version = 1
name = "digits"
title = "Digits"
model = "model:build"

[app]
client = "client:app"

[training]
rounds = 5

[aggregation]
clip = 1.0
"""
    (tmp_path / "study.toml").write_text(text + OWNER, "utf-8")
    field = load_any_study(tmp_path).noise()
    assert field is not None
    assert field.unit_clip == 1.0
    (tmp_path / "study.toml").write_text(text + ROW, "utf-8")
    with pytest.raises(OperatorError, match=r"FS-840.*of a Keras model"):
        load_any_study(tmp_path)
