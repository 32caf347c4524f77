import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import pytest

from fedsecure.errors import OperatorError
from fedsecure.study.config import Study, declared_scalars, load_study
from fedsecure.study.keras.architecture import flat_weights
from fedsecure.study.keras.building import build_model
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.study.task import parse_task


@pytest.fixture
def folder(heart: Study, tmp_path: Path) -> Path:
    copy = tmp_path / "heart"
    shutil.copytree(heart.folder, copy, ignore=shutil.ignore_patterns("data", "__py*"))
    return copy


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_heart_study_is_what_its_folder_says(heart: Study) -> None:
    assert (heart.name, heart.training.rounds) == ("heart", 20)
    assert (heart.aggregation.weighting, heart.aggregation.min_cohort) == ("equal", 3)
    assert isinstance(heart.features, TableSchema)
    assert {"slope", "ca", "thal"}.isdisjoint(heart.features.names)
    assert [scalar.size for scalar in declared_scalars(heart)] == [1, 1, 64, 64]


def test_the_heart_model_fits_its_schema_and_starts_the_same_every_time(
    heart: Study,
) -> None:
    first, data = build_model(heart)
    second, _ = build_model(heart)
    assert (flat_weights(first) == flat_weights(second)).all()
    task = heart.task(data)
    assert parse_task(task.text) == task
    assert task.scalars == declared_scalars(heart)


def test_other_first_weights_are_the_same_study(folder: Path) -> None:
    """A study that begins anew after the roster changed needs no new approval."""
    change(
        folder / "model.py",
        "keras.layers.Dense(1, ",
        'keras.layers.Dropout(0.1, name="drop"),\n            keras.layers.Dense(1, ',
    )
    study = load_study(folder)
    other = dataclasses.replace(study, weights_seed=8)
    keras.utils.clear_session()  # a process of its own: Keras counts names
    first, data = build_model(study)
    keras.utils.clear_session()
    second, same = build_model(other)
    assert (flat_weights(first) != flat_weights(second)).any()
    assert other.request(same).digest == study.request(data).digest


@pytest.mark.filterwarnings(
    # Keras' own, of Keras' own variables, while it saves them.
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_a_built_model_is_saved_and_loaded_without_a_warning(
    folder: Path, tmp_path: Path
) -> None:
    change(folder / "model.py", "SGD(0.1)", "Adam(0.1)")
    model, _ = build_model(load_study(folder))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # warnings are errors
    assert (flat_weights(loaded) == flat_weights(model)).all()


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("rounds = 20", "rounds = 0", "training.rounds"),
        ("rounds = 20", "rounds = 20.5", "training.rounds"),
        ("clip = 2.0", "clip = inf", "aggregation.clip"),
        ("clip = 2.0", "clip = -1", "aggregation.clip"),
        ("min_cohort = 3", "min_cohort = 1", "aggregation.min_cohort"),
        ('weighting = "equal"', 'weighting = "fair"', "aggregation.weighting"),
        ("holdout = 0.25", "holdout = 1", "training.holdout"),
        ("[metrics]", "[metric]", "metric"),
        ('name = "heart"', 'name = "../heart"', "name"),
        ('model = "model:build"', 'model = "os.path:join"', "model"),
    ],
)
def test_a_wrong_setting_is_named_with_its_line(
    folder: Path, old: str, new: str, key: str
) -> None:
    change(folder / "study.toml", old, new)
    text = (folder / "study.toml").read_text(encoding="utf-8")
    line = text[: text.index(new)].count("\n") + 1
    with pytest.raises(OperatorError) as caught:
        load_study(folder)
    assert caught.value.code == "FS-840"
    assert f"study.toml, line {line}, {key}:" in caught.value.detail


def test_weights_that_are_all_capped_to_one_are_no_weights(folder: Path) -> None:
    change(folder / "study.toml", 'weighting = "equal"', 'weighting = "rounded"')
    with pytest.raises(OperatorError, match="weight_cap") as caught:
        load_study(folder)
    assert caught.value.code == "FS-840"
    change(folder / "study.toml", "min_cohort", "weight_cap = 256\nmin_cohort")
    assert load_study(folder).aggregation.weight_cap == 256


def test_a_step_down_the_gradient_has_no_local_epochs(folder: Path) -> None:
    path = folder / "study.toml"
    change(path, "local_epochs = 2", 'step = "gradient"\nlocal_epochs = 2')
    with pytest.raises(OperatorError, match=r"line 7, training: .*one pass") as caught:
        load_study(folder)
    assert caught.value.code == "FS-840"
    change(path, "\nlocal_epochs = 2", "")
    study = load_study(folder)
    _, data = build_model(study)
    assert (study.task(data).step, study.task(data).local_epochs) == ("gradient", 1)
    change(path, '"FedAvg"', '"FedProx"')
    with pytest.raises(OperatorError, match=r"FS-840.*FedProx.*FedAvgM"):
        load_study(folder)


def test_only_a_step_of_single_rows_refuses_a_model_that_mixes_them(
    folder: Path,
) -> None:
    last = "keras.layers.Dense(1, "
    both = f"keras.layers.BatchNormalization(),\n            {last}"
    change(folder / "model.py", last, both)
    build_model(load_study(folder))
    change(folder / "study.toml", "local_epochs = 2", 'step = "gradient"')
    with pytest.raises(OperatorError, match=r"FS-432.*BatchNormalization"):
        build_model(load_study(folder))


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as caught:
        load_study(tmp_path)
    assert caught.value.code == "FS-801"


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("import keras", "import kerass", "FS-841", "kerass"),
        ("def build", "def built", "FS-841", "no function or class build"),
        ("return model", "raise ValueError('no')", "FS-841", "ValueError: no"),
        ("return model", "return 3", "FS-842", "int"),
        ("(21,)", "(20,)", "FS-843", "21"),
        ("SGD(0.1)", "Ftrl(0.1)", "FS-420", "Ftrl"),
        ('"binary_c', '"sparse_categorical_c', "FS-425", "one output"),
        (', activation="sigmoid"', "", "FS-845", "from_logits=False"),
    ],
)
def test_a_model_that_will_not_do_is_refused_before_the_first_round(
    folder: Path, old: str, new: str, code: str, says: str
) -> None:
    change(folder / "model.py", old, new)
    with pytest.raises(OperatorError) as caught:
        build_model(load_study(folder))
    assert caught.value.code == code
    assert says in caught.value.detail


def test_a_study_without_its_model_file_is_refused(folder: Path) -> None:
    (folder / "model.py").unlink()
    with pytest.raises(OperatorError) as caught:
        build_model(load_study(folder))
    assert caught.value.code == "FS-841"
    assert "model.py" in caught.value.detail


def test_importing_and_checking_a_study_needs_neither_tensorflow_nor_flower(
    heart: Study,
) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from fedsecure.study import config, metrics, task\n"
        "from fedsecure.study.keras import allowlist, architecture, building\n"
        "config.load_study(Path(sys.argv[1]))\n"
        "print(*sorted({'tensorflow', 'keras', 'flwr'} & sys.modules.keys()))\n"
    )
    command = [sys.executable, "-c", program, str(heart.folder)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ended.stdout.strip() == ""
