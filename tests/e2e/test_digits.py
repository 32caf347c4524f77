"""The digits study through real processes: an app that data owners installed.

Six of the fifty data owners here, without noise; all of them in `make slow`, with
noise and without.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import tomli_w
from numpy.typing import NDArray

from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.owner.jobs.array_model import array_model
from fedsecure.study.app_study import AppStudy, load_any_study
from fedsecure_clients.agent.assembly import load_app
from tests.e2e.federation import PYTHONPATH, ROOT, change_toml
from tests.unit.clients.test_digits_app import added, first_model, update

pytestmark = pytest.mark.e2e

DIGITS: Final = ROOT / "studies" / "digits"
FEW, ROUNDS = 6, 2
PATIENCE = 400.0  # seconds


def demo(root: Path, study: str, *arguments: str, seconds: float = PATIENCE) -> str:
    """Run the user's own command to its end; return what it printed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fedsecure", "demo", "--study", study),
            *("--folder", str(root), *arguments),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def result(root: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads((root / "result.json").read_text("utf-8"))
    return found


def model_of(root: Path) -> Mapping[str, NDArray[np.float32]]:
    (path,) = (root / "owner" / "models").glob("*/model.npz")
    with np.load(path) as arrays:
        return dict(arrays)


def without_noise(root: Path) -> Path:
    """Copy the study, but for its section [privacy]."""
    folder = root / "digits"
    shutil.copytree(DIGITS, folder)
    path = folder / "study.toml"
    content = tomllib.loads(path.read_text("utf-8"))
    del content["privacy"]
    path.write_text(tomli_w.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> AppStudy:
    """The study with the first data owners alone, whose noise would drown it."""
    folder = without_noise(tmp_path_factory.mktemp("few"))
    for path in sorted((folder / "data").glob("*.csv"))[FEW:]:
        path.unlink()
    change_toml(folder / "study.toml", {"aggregation": {"min_cohort": FEW}})
    study = load_any_study(folder)
    assert isinstance(study, AppStudy)
    return study


@pytest.mark.timeout(500)
def test_data_owners_train_with_the_app_that_they_installed(
    few: AppStudy, tmp_path: Path
) -> None:
    root = tmp_path / "demo"
    said = demo(root, str(few.folder), "--rounds", str(ROUNDS))
    found, model = result(root), model_of(root)
    assert found["rounds"] == ROUNDS
    assert found["score"]["rows"] == 449
    assert f"{found['score']['accuracy']:.4g}" in said
    assert found["accuracy"] > 0.6
    expected = plainly(few)
    assert set(model) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(model[name], array, rtol=0, atol=1e-6)


def plainly(study: AppStudy) -> Mapping[str, NDArray[np.float32]]:
    """Train the study in this process: the mean of the clipped updates, each round."""
    assert array_model(study).initial().weights.size == 650
    model, clip = first_model(study), study.aggregation.clip
    files = sorted((study.folder / "data").glob("*.csv"))
    app = load_app(study.app.client, study.require_client())
    with task_identity(run_id=1):
        for _ in range(ROUNDS):
            updates = [update(app, study, model, path, clip) for path in files]
            mean = np.mean(updates, axis=0, dtype=np.float64)
            model = added(model, mean.astype(np.float32))
    return model


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_fifty_data_owners_without_noise_reach_the_accuracy_of_the_readme(
    tmp_path: Path,
) -> None:
    root = tmp_path / "demo"
    demo(root, str(without_noise(tmp_path)), seconds=2300)
    assert result(root)["score"]["accuracy"] >= 0.915


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_fifty_data_owners_at_epsilon_8_reach_the_accuracy_of_the_readme(
    tmp_path: Path,
) -> None:
    """Its mean is .90 and its standard deviation .013, over what noise is drawn."""
    root = tmp_path / "demo"
    demo(root, "digits", seconds=2300)
    found = result(root)
    assert found["rounds"] == load_any_study(DIGITS).training.rounds
    assert found["score"]["accuracy"] >= 0.85
    with sqlite3.connect(root / "owner" / "rounds.db") as store:
        (epsilon,) = store.execute("SELECT epsilon FROM v_run").fetchone()
    assert 7.9 < epsilon <= 8.0
