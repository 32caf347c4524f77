"""The trained model of a run is read from files that belong together, or not at all."""

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from fedsecure.errors import OperatorError
from fedsecure.owner.jobs.recorded_model import MODEL_FILE, recorded_model
from fedsecure.owner.store.files import save_array
from fedsecure.owner.store.records import ModelKind
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.study.config import Study, load_study
from fedsecure.study.round_task import joined
from tests.unit.owner_store.round_story import RUN, open_store, run_started

STUDY: Final = load_study(Path(__file__).parents[3] / "studies" / "heart-logistic")
WEIGHTS: Final = np.arange(21, dtype=np.float32).reshape(21, 1)
BIAS: Final = np.array([0.5], np.float32)


def layers(units: int = 1, kind: str = "Dense") -> Mapping[str, Any]:
    stack = [
        ("InputLayer", {"batch_shape": [None, 21], "name": "input"}),
        (kind, {"units": units, "activation": "sigmoid", "name": "disease"}),
    ]
    content = [
        {"module": "keras.layers", "class_name": name, "config": config}
        for name, config in stack
    ]
    return {"class_name": "Sequential", "config": {"layers": content}}


def write_layers(folder: Path, content: Mapping[str, Any]) -> None:
    path = folder / "models" / RUN / MODEL_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(content))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RoundStore]:
    """A run of the logistic study, as `fedsecure train` leaves it."""
    model = joined([("0", WEIGHTS), ("1", BIAS)])
    name, kind = f"models/{RUN}/model-00000.npy", ModelKind.MODEL
    stored = save_array(tmp_path, name, model.weights, kind, model.digest)
    started = run_started(RUN, stored)
    write_layers(tmp_path, layers())
    with open_store(str(tmp_path / "rounds.db")) as opened:
        settings = STUDY.settings()
        opened.start_run(replace(started, study=STUDY.name, settings=settings))
        yield opened


def refused(
    store: RoundStore, folder: Path, code: str, study: Study = STUDY, run: str = RUN
) -> str:
    with pytest.raises(OperatorError) as caught:
        recorded_model(store, folder, study, run)
    assert caught.value.code == code
    return caught.value.detail


@pytest.mark.parametrize("name", [RUN, None])
def test_layers_and_weights_are_those_of_the_run(
    store: RoundStore, tmp_path: Path, name: str | None
) -> None:
    found = recorded_model(store, tmp_path, STUDY, name)
    assert json.loads(found.layers) == layers()
    kernel, bias = found.arrays
    np.testing.assert_array_equal(kernel, WEIGHTS)
    np.testing.assert_array_equal(bias, BIAS)
    assert found.run == RUN
    assert found.digest == joined([("0", WEIGHTS), ("1", BIAS)]).digest


def test_a_run_that_is_not_there_is_refused(store: RoundStore, tmp_path: Path) -> None:
    assert "heart-9" in refused(store, tmp_path, "FS-861", run="heart-9")


def test_an_empty_store_has_no_model(tmp_path: Path) -> None:
    with (
        open_store(str(tmp_path / "empty.db")) as store,
        pytest.raises(OperatorError, match="FS-863"),
    ):
        recorded_model(store, tmp_path, STUDY, None)


def test_another_study_or_schema_than_the_run_s_is_refused(
    store: RoundStore, tmp_path: Path
) -> None:
    other = replace(STUDY, name="wine")
    assert "owner.toml names wine" in refused(store, tmp_path, "FS-356", other)
    columns = STUDY.features.columns[::-1]
    turned = STUDY.features.model_copy(update={"columns": columns})
    changed = replace(STUDY, features=turned)
    assert "another schema.toml" in refused(store, tmp_path, "FS-356", changed)


def test_layers_that_are_not_the_weights_own_are_refused(
    store: RoundStore, tmp_path: Path
) -> None:
    write_layers(tmp_path, layers(units=2))
    refused(store, tmp_path, "FS-605")
    write_layers(tmp_path, layers(kind="Conv1D"))
    refused(store, tmp_path, "FS-221")


def test_a_run_without_a_saved_model_says_how_far_it_is(
    store: RoundStore, tmp_path: Path
) -> None:
    (tmp_path / "models" / RUN / MODEL_FILE).unlink()
    assert f"run {RUN} is running" in refused(store, tmp_path, "FS-606")


def test_a_file_that_is_no_model_is_refused(store: RoundStore, tmp_path: Path) -> None:
    path = tmp_path / "models" / RUN / MODEL_FILE
    path.write_bytes(b"PK no zip")
    refused(store, tmp_path, "FS-606")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.json", "{}")
    refused(store, tmp_path, "FS-606")


def test_weights_that_were_changed_are_refused(
    store: RoundStore, tmp_path: Path
) -> None:
    np.save(tmp_path / "models" / RUN / "model-00000.npy", np.zeros(22, np.float32))
    refused(store, tmp_path, "FS-605")
