"""The ClientApp as Flower calls it."""

import os
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from flwr.app import (
    ArrayRecord,
    ConfigRecord,
    Context,
    Message,
    MetricRecord,
    RecordDict,
)

from fedsecure.errors import FedsecureError
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.study.config import declared_scalars, load_study
from fedsecure.study.keras.building import build_model
from fedsecure_clients.data.dataset import load
from fedsecure_clients.keras_app.app import app
from tests.studies.sites import copy_study

FOLDER = Path(__file__).parents[3] / "studies" / "heart"
STUDY = load_study(FOLDER)
MODEL, DATA = build_model(STUDY)
TASK = STUDY.task(DATA)


@pytest.fixture(autouse=True)
def identity() -> Iterator[None]:
    with task_identity(run_id=1):
        yield


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "patients.csv"
    path.write_bytes((FOLDER / "data" / "hungary.csv").read_bytes())
    return path


def ask(
    kind: str, data: Path | None, model: keras.Model = MODEL, **config: object
) -> Message:
    task = {"study": TASK.text, "server-round": 1} | config
    given = {key: value for key, value in task.items() if value is not None}
    content = RecordDict(
        {
            "arrays": ArrayRecord(model.get_weights()),
            "config": ConfigRecord(given),
        }
    )
    context = Context(
        run_id=1,
        node_id=1,
        node_config={"data": str(data)} if data else {},
        state=RecordDict(),
        run_config={},
    )
    return app(Message(content, dst_node_id=1, message_type=kind), context)


def test_a_train_reply_holds_the_weights_and_the_received_model_s_metrics(
    data: Path,
) -> None:
    reply = ask("train", data).content
    arrays, metrics = reply["arrays"], reply["metrics"]
    assert list(arrays) == ["0", "1", "2", "3"]
    shapes = [array.numpy().shape for array in arrays.values()]
    assert shapes == [layer.shape for layer in DATA.layers]
    assert not np.array_equal(arrays["0"].numpy(), MODEL.get_weights()[0])
    assert isinstance(metrics, MetricRecord)
    declared = {scalar.name: scalar.size for scalar in declared_scalars(STUDY)}
    sizes = {name: np.size(value) for name, value in metrics.items()}
    assert sizes == {"num-examples": 1, "num-measured": 1, **declared}
    measured = round(106 / 4) + round(187 / 4)
    assert metrics["num-measured"] == measured
    assert metrics["num-examples"] == 293 - measured


def test_a_task_of_single_rows_is_one_step_down_their_gradients(data: Path) -> None:
    changes = {"step": "gradient", "local_epochs": 1, "unit_clip": 0.5}
    task = TASK.model_copy(update=changes)
    trained = ask("train", data, study=task.text).content
    metrics = trained["metrics"]
    assert metrics["num-examples"] + metrics["num-measured"] == 293
    parts = [array.numpy() for array in trained["arrays"].values()]
    assert [part.shape for part in parts] == [layer.shape for layer in DATA.layers]
    norm = np.sqrt(sum(np.sum(np.square(part)) for part in parts))
    assert 1 < norm < 0.5 * metrics["num-examples"]  # a sum of cut gradients
    evaluated = ask("evaluate", data, study=task.text).content["metrics"]
    assert evaluated == metrics
    with pytest.raises(FedsecureError, match=r"FS-423.*proximal"):
        ask("train", data, study=task.text, **{"proximal-mu": 0.1})


def test_evaluation_says_the_same_of_the_received_model_and_sends_no_arrays(
    data: Path,
) -> None:
    trained, evaluated = ask("train", data), ask("evaluate", data)
    assert list(evaluated.content) == ["metrics"]
    assert evaluated.content["metrics"] == trained.content["metrics"]


def test_fedprox_is_honoured(data: Path) -> None:
    free = ask("train", data).content["arrays"]["0"].numpy()
    near = ask("train", data, **{"proximal-mu": 2.0}).content["arrays"]["0"].numpy()
    start = MODEL.get_weights()[0]
    assert np.linalg.norm(near - start) < np.linalg.norm(free - start)


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"study": None}, "FS-423"),
        ({"study": "{}"}, "FS-421"),
        ({"study": TASK.text + " "}, "FS-421"),
        ({"server-round": None}, "FS-423"),
        ({"server-round": -1}, "FS-423"),
        ({"proximal-mu": float("nan")}, "FS-423"),
        ({"proximal-mu": -1.0}, "FS-423"),
        ({"dropout-rate": 0.5}, "FS-423"),
    ],
)
def test_a_task_that_the_app_does_not_understand_is_refused(
    data: Path, config: dict[str, object], code: str
) -> None:
    with pytest.raises(FedsecureError) as caught:
        ask("train", data, **config)
    assert caught.value.code == code


def test_a_model_with_foreign_code_is_refused_by_the_app(data: Path) -> None:
    model = TASK.model.replace('"class_name":"Dense"', '"class_name":"Lambda"', 1)
    evil = TASK.model_copy(update={"model": model})
    with pytest.raises(FedsecureError) as caught:
        ask("train", data, study=evil.text)
    assert caught.value.code == "FS-420"


def test_an_agent_without_data_says_so(tmp_path: Path) -> None:
    for path in (None, tmp_path / "absent.csv"):
        with pytest.raises(FedsecureError) as caught:
            ask("train", path)
        assert caught.value.code == "FS-100"


def test_a_file_that_changed_is_read_again(data: Path) -> None:
    before = ask("evaluate", data).content["metrics"]["num-examples"]
    lines = data.read_text(encoding="utf-8").splitlines(keepends=True)
    data.write_text("".join(lines[:101]), encoding="utf-8")
    changed = data.stat().st_mtime_ns + 1_000_000
    os.utime(data, ns=(changed, changed))
    after = ask("evaluate", data).content["metrics"]["num-examples"]
    assert after < before


def test_a_folder_in_which_anything_changed_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = load_study(copy_study("digits", tmp_path / "digits"))
    model, data = build_model(study)
    images = study.folder / "data" / "one-class"
    loads: list[Path] = []

    def spy(path: Path, *rest: object) -> object:
        loads.append(path)
        return load(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("fedsecure_clients.keras_app.app.load", spy)

    def trained_on() -> object:
        task = study.task(data).text
        reply = ask("evaluate", images, model, study=task)
        return reply.content["metrics"]["num-examples"]

    assert [trained_on(), trained_on(), len(loads)] == [38, 38, 1]  # of 50 nines
    one, other, *_ = sorted((images / "9").iterdir())
    other.write_bytes(one.read_bytes())
    assert [trained_on(), len(loads)] == [38, 2]
    one.unlink()
    assert [trained_on(), len(loads)] == [37, 3]
    (images / "1").mkdir()
    assert [trained_on(), len(loads)] == [37, 4]
    other.rename(images / "1" / "moved.png")
    assert [trained_on(), trained_on(), len(loads)] == [37, 37, 5]
