"""The model of a study that another app trains: named arrays in, an .npz file out."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from fedsecure.errors import OperatorError
from fedsecure.owner.jobs.array_model import array_model
from fedsecure.study.app_study import AppStudy, load_any_study
from fedsecure.study.round_task import GlobalModel
from tests.unit.study.test_app_study import DIGITS


@pytest.fixture
def study(tmp_path: Path) -> AppStudy:
    """The digits study, with a model.py in a folder of the test's."""
    loaded = load_any_study(DIGITS)
    assert isinstance(loaded, AppStudy)
    return dataclasses.replace(loaded, folder=tmp_path)


def write(study: AppStudy, body: str) -> None:
    text = f"import numpy as np\n\ndef build(seed):\n    {body}\n"
    (study.folder / "model.py").write_text(text, encoding="utf-8")


def test_the_first_weights_follow_from_the_seed() -> None:
    loaded = load_any_study(DIGITS)
    assert isinstance(loaded, AppStudy)
    first, again = array_model(loaded).initial(), array_model(loaded).initial()
    assert [layer.name for layer in first.layers] == ["weights", "bias"]
    assert first.weights.shape == (650,)
    assert first.digest == again.digest
    other = dataclasses.replace(loaded, weights_seed=2)
    assert array_model(other).initial().digest != first.digest
    assert array_model(other).request.digest == array_model(loaded).request.digest


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ("return [np.zeros(3, np.float32)]", "FS-842", "a list, not a dict"),
        ("return {}", "FS-842", "no weights"),
        ("return {'a': np.zeros(0, np.float32)}", "FS-842", "no weights"),
        ("return {'a': np.zeros(3)}", "FS-842", "'a' is float64, not float32"),
        ("return {'a': [1.0]}", "FS-842", "'a' is list, not float32"),
        ("return {1: np.zeros(3, np.float32)}", "FS-842", "1 is float32"),
        ("return {'a': np.full(3, np.nan, np.float32)}", "FS-842", "not finite"),
        ("raise KeyError('x')", "FS-841", "KeyError"),
    ],
)
def test_what_is_no_dict_of_float32_arrays_is_refused(
    study: AppStudy, body: str, code: str, says: str
) -> None:
    write(study, body)
    with pytest.raises(OperatorError) as caught:
        array_model(study)
    assert caught.value.code == code
    assert says in caught.value.detail
    assert "model:build" in caught.value.detail


def test_a_model_is_saved_under_the_names_of_its_arrays(study: AppStudy) -> None:
    # `numpy.savez` takes the first of these names for an argument of its own.
    write(
        study,
        "return {'file': np.ones((2, 3), np.float32), 'conv.weight': np.float32(1)"
        " * np.ones((), np.float32).reshape(())[None]}",
    )
    source = array_model(study)
    first = source.initial()
    trained = GlobalModel(first.layers, first.weights + np.float32(0.5))
    path = source.save(trained, study.folder)
    with np.load(path, allow_pickle=False) as saved:
        assert list(saved) == ["file", "conv.weight"]
        assert saved["file"].dtype == np.float32
        np.testing.assert_array_equal(saved["file"], np.full((2, 3), 1.5))
    assert path.name == "model.npz"
    assert not list(study.folder.glob("part*"))


def test_a_folder_that_cannot_be_written_is_named(study: AppStudy) -> None:
    write(study, "return {'a': np.zeros(3, np.float32)}")
    source = array_model(study)
    with pytest.raises(OperatorError, match=r"FS-606.*model\.npz"):
        source.save(source.initial(), study.folder / "gone")
