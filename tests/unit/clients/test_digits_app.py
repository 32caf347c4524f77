"""The digits study: its data, its ClientApp, and the agent that loads it."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.owner.jobs.array_model import array_model
from fedsecure.study.app_study import AppStudy, load_any_study
from fedsecure_clients.agent.assembly import load_app

FOLDER = Path(__file__).parents[3] / "studies" / "digits"
OWNERS = sorted((FOLDER / "data").glob("*.csv"))
ROUNDS = 20

Model = dict[str, NDArray[np.float32]]


@pytest.fixture(autouse=True)
def identity() -> Iterator[None]:
    with task_identity(run_id=1):
        yield


@pytest.fixture(scope="module")
def app() -> ClientApp:
    return load_app("digits_app:app", FOLDER / "client")


@pytest.fixture(scope="module")
def study() -> AppStudy:
    loaded = load_any_study(FOLDER)
    assert isinstance(loaded, AppStudy)
    return loaded


def ask(app: ClientApp, kind: str, data: Path, model: Model, **config: Any) -> Message:
    arrays = ArrayRecord({name: Array(array) for name, array in model.items()})
    seen = ConfigRecord({"server-round": 1, **config})
    content = RecordDict({"arrays": arrays, "config": seen})
    context = Context(1, 1, {"data": str(data)}, RecordDict(), {})
    return app(Message(content, dst_node_id=1, message_type=kind), context)


def first_model(study: AppStudy) -> Model:
    first = array_model(study).initial()
    return dict(zip(("weights", "bias"), first.arrays(), strict=True))


def own_module(name: str) -> Any:
    """Return a file of the study's as a module."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_the_published_set_cut_as_the_readme_says() -> None:
    published = load_digits()
    rows = np.c_[published.data, published.target].astype(np.int64)
    test = np.arange(len(rows)) % 4 == 3

    def read(path: Path) -> NDArray[np.int64]:
        return np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.int64)

    np.testing.assert_array_equal(read(FOLDER / "test.csv"), rows[test])
    parts = [read(path) for path in OWNERS]
    np.testing.assert_array_equal(np.concatenate(parts), rows[~test])
    assert len(parts) == 50
    assert {len(part) for part in parts} == {26, 27}


def test_the_app_trains_without_the_rows_that_it_measures(
    app: ClientApp, study: AppStudy, tmp_path: Path
) -> None:
    config, model = dict(study.app.config), first_model(study)
    whole = ask(app, "train", OWNERS[0], model, **config).content
    lines = OWNERS[0].read_text("utf-8").splitlines()
    without = tmp_path / "owner.csv"
    zeros = ",".join("0" * 65)  # instead of every fifth row, as the app counts them
    without.write_text(
        "\n".join(zeros if n and n % 5 == 0 else line for n, line in enumerate(lines)),
        encoding="utf-8",
    )
    part = ask(app, "train", without, model, **config).content
    for name in model:
        np.testing.assert_array_equal(
            whole["arrays"][name].numpy(), part["arrays"][name].numpy()
        )
    assert whole["metrics"]["num-examples"] == 27 - 5
    assert whole["metrics"]["loss"] != part["metrics"]["loss"]


def test_fifty_data_owners_reach_the_accuracy_of_the_readme_without_noise(
    app: ClientApp, study: AppStudy, tmp_path: Path
) -> None:
    model, clip = first_model(study), study.aggregation.clip
    for _ in range(ROUNDS):
        updates = [update(app, study, model, path, clip) for path in OWNERS]
        mean = np.mean(updates, axis=0, dtype=np.float64).astype(np.float32)
        model = added(model, mean)
    np.savez(tmp_path / "model.npz", **model)
    found = own_module("score").score(tmp_path / "model.npz")
    assert found["accuracy"] > 0.91
    assert found["rows"] == 449
    reply = ask(app, "evaluate", OWNERS[7], model, **study.app.config).content
    assert list(reply) == ["metrics"]
    assert reply["metrics"]["loss"] < 1.0


def update(
    app: ClientApp, study: AppStudy, model: Model, path: Path, clip: float
) -> NDArray[np.float32]:
    """Return one data owner's clipped update, flat."""
    reply = ask(app, "train", path, model, **study.app.config).content["arrays"]
    flat = np.concatenate([(reply[n].numpy() - model[n]).ravel() for n in model])
    return flat * min(1.0, clip / float(np.linalg.norm(flat)))


def added(model: Model, mean: NDArray[np.float32]) -> Model:
    cut = model["weights"].size
    return {
        "weights": model["weights"] + mean[:cut].reshape(64, 10),
        "bias": model["bias"] + mean[cut:],
    }


def test_a_setting_that_the_app_does_not_know_is_refused(
    app: ClientApp, study: AppStudy
) -> None:
    for kind in ("train", "evaluate"):
        with pytest.raises(Exception, match="momentum"):
            ask(app, kind, OWNERS[0], first_model(study), momentum=0.9)


AGENT = """
import sys
import fedsecure_clients.cli.agent
from pathlib import Path
from fedsecure.frameworks.flower.runtime import quiet
from fedsecure_clients.agent.assembly import load_app
load_app("digits_app:app", Path(sys.argv[1]))
print(*sorted({"tensorflow", "keras", "pandas", "pyarrow"} & set(sys.modules)))
"""


def test_an_agent_with_an_app_of_numpy_loads_no_tensorflow() -> None:
    command = [sys.executable, "-c", AGENT, str(FOLDER / "client")]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    ("reference", "text", "says"),
    [
        ("absent_app:app", "", "absent_app"),
        ("broken_app:app", "def", "SyntaxError"),
        ("raising_app:app", "1 / 0", "ZeroDivisionError"),
        ("other_app:app", "app = 1", "is a int"),
    ],
)
def test_an_app_that_cannot_be_loaded_from_its_folder_is_named(
    tmp_path: Path, reference: str, text: str, says: str
) -> None:
    if text:
        (tmp_path / f"{reference.split(':', maxsplit=1)[0]}.py").write_text(
            text, encoding="utf-8"
        )
    with pytest.raises(OperatorError, match="FS-822") as caught:
        load_app(reference, tmp_path)
    assert reference in caught.value.detail
    assert says in caught.value.detail


def test_a_folder_of_apps_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"FS-822 .*no folder .*gone"):
        load_app("digits_app:app", tmp_path / "gone")
