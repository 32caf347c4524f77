"""A study that data owners train with an app of their own."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from fedsecure.errors import OperatorError
from fedsecure.study.app_study import AppStudy, load_any_study
from fedsecure.study.config import Study, load_study
from fedsecure.study.handover import StudyFile, read_study_file
from fedsecure.study.sites import find_sites
from fedsecure.study.terms import study_digest

DIGITS = Path(__file__).parents[3] / "studies" / "digits"


@pytest.fixture
def digits() -> AppStudy:
    study = load_any_study(DIGITS)
    assert isinstance(study, AppStudy)
    return study


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy = tmp_path / "digits"
    shutil.copytree(DIGITS, copy, ignore=shutil.ignore_patterns("data", "__py*"))
    return copy


def change(folder: Path, old: str, new: str) -> Path:
    path = folder / "study.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder


def test_what_data_owners_agree_to_is_what_the_app_sees_and_what_leaves(
    digits: AppStudy,
) -> None:
    request = digits.request
    assert request.config == {"local-epochs": 5, "learning-rate": 4.0}
    assert request.task is None
    assert request.terms.clip == digits.aggregation.clip
    said = [(one.name, one.low, one.high, one.size) for one in request.terms.scalars]
    assert said == [("loss", 0.0, 4.0, 1), ("accuracy", 0.0, 1.0, 1)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("local-epochs = 5", "local-epochs = 6"),
        ("learning-rate = 4.0", "learning-rate = 4"),  # another type is another study
        ("[app.config]", "[app.config]\nmore = true"),
        ("loss = [0, 4]", "loss = [0, 2]"),
        ("clip = 1.5", "clip = 1.0"),
        ("epsilon = 8.0", "epsilon = 4.0"),
    ],
)
def test_another_config_value_or_term_is_another_study(
    digits: AppStudy, folder: Path, old: str, new: str
) -> None:
    other = load_any_study(change(folder, old, new))
    assert isinstance(other, AppStudy)
    assert other.request.digest != digits.request.digest
    assert json.dumps(other.settings()) != json.dumps(digits.settings())


def test_other_first_weights_are_the_same_study(digits: AppStudy, folder: Path) -> None:
    other = load_any_study(change(folder, "seed = 1", "seed = 2"))
    assert isinstance(other, AppStudy)
    assert other.request.digest == digits.request.digest
    assert (digits.first_seed, other.first_seed) == (1, 2)
    assert dataclasses.replace(digits, weights_seed=8).first_seed == 8


def test_more_rounds_are_another_study_where_noise_is_planned_for_them(
    digits: AppStudy, folder: Path
) -> None:
    longer = load_any_study(change(folder, "rounds = 20", "rounds = 30"))
    assert isinstance(longer, AppStudy)
    assert longer.request.digest != digits.request.digest
    plain = [dataclasses.replace(one, privacy=None) for one in (longer, digits)]
    assert len({one.request.digest for one in plain}) == 1


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("[app]", 'schema = "schema.toml"\n[app]', "schema"),
        ("rounds = 20", "rounds = 20\nlocal_epochs = 2", "training.local_epochs"),
        ("[app.config]", '[app.config]\nstudy = "x"', "study cannot be set"),
        ("[app.config]", "[app.config]\nserver-round = 1", "server-round cannot"),
        ("[app.config]", "[app.config]\nlist = [1]", "app.config.list"),
        ('"digits_app:app"', '"digits_app.py"', "app.client"),
        ("loss = [0, 4]", "loss = [4, 0]", "metrics.loss"),
        ("loss = [0, 4]", '"a b" = [0, 4]', "metrics"),
    ],
)
def test_a_key_that_such_a_study_does_not_have_is_named(
    folder: Path, old: str, new: str, says: str
) -> None:
    with pytest.raises(OperatorError, match=r"FS-840.*study\.toml.*") as caught:
        load_any_study(change(folder, old, new))
    assert says in caught.value.detail


def test_only_a_keras_study_is_read_as_one(heart: Study) -> None:
    assert load_any_study(heart.folder) == heart
    with pytest.raises(OperatorError, match=r"FS-840.*\[app\]"):
        load_study(DIGITS)


def test_a_site_is_whatever_file_or_folder_the_app_may_read(folder: Path) -> None:
    assert len(find_sites(DIGITS)) == 50
    for name in ("north/", "south.bin", "README.md", ".hidden"):
        path = folder / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.mkdir() if name.endswith("/") else path.touch()
    assert list(find_sites(folder)) == ["north", "south"]


def test_the_file_that_is_handed_over_has_the_digest_of_the_study(
    digits: AppStudy, tmp_path: Path
) -> None:
    request, path = digits.request, tmp_path / "digits.study.json"
    file = StudyFile(
        kind="app", study=request.text, terms=request.terms, parameters=650
    )
    path.write_text(file.text, "utf-8")
    read = read_study_file(path)
    assert read.request.digest == request.digest
    assert read.request.digest == study_digest(request.config, request.terms).hex()
    assert read.request.config == request.config


@pytest.mark.parametrize(
    "text",
    [
        '{"learning-rate": 4.0,"local-epochs": 5}',  # another spelling
        '{"learning-rate": 4.0, "learning-rate": 4.0, "local-epochs": 5}',
        '{"rates": [1, 2]}',
        "[]",
        "x",
    ],
)
def test_a_file_that_could_be_read_in_two_ways_is_refused(
    digits: AppStudy, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "digits.study.json"
    terms = digits.request.terms
    file = StudyFile(kind="app", study=text, terms=terms, parameters=650)
    path.write_text(file.text, "utf-8")
    with pytest.raises(OperatorError, match="FS-429"):
        read_study_file(path)
    content = json.loads(file.text)
    path.write_text(json.dumps({**content, "kind": "keras"}), "utf-8")
    with pytest.raises(OperatorError, match="FS-429"):
        read_study_file(path)
