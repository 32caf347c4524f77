"""A study of another app, by the commands that people type before its first round."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedsecure.demo.provision import OWNER, DemoFolder, provision
from fedsecure.frameworks.flower.doctor import checks
from fedsecure.study.app_study import AppStudy, load_any_study
from tests.e2e.federation import change_toml
from tests.unit.study.test_app_study import DIGITS

SITES = ("owner-01", "owner-02", "owner-03")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFolder:
    """A federation of three data owners who approve studies; nobody runs."""
    sites = {name: DIGITS / "data" / f"{name}.csv" for name in SITES}
    folder = provision(tmp_path_factory.mktemp("app") / "demo", DIGITS, sites)
    for name in SITES:
        policy = {"studies": "approved", "max_clip": 1.0}
        change_toml(folder.config(name), {"policy": policy})
    return folder


def fedsecure(*arguments: str | Path) -> str:
    """Run the user's own command; return what it printed."""
    command = [sys.executable, "-m", "fedsecure", *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_is_exported_reviewed_and_approved_before_its_first_round(
    demo: DemoFolder, tmp_path: Path
) -> None:
    study = load_any_study(DIGITS)
    assert isinstance(study, AppStudy)
    file, agent = tmp_path / "digits.study.json", demo.config("owner-01")
    told = fedsecure("study", "export", "--config", demo.config(OWNER), "-o", file)
    assert f"study {study.request.digest}" in told

    shown = fedsecure("agent", "review", file, "--config", agent)
    assert "only the app that you installed knows" in " ".join(shown.split())
    review: dict[str, Any] = json.loads(
        fedsecure("agent", "review", file, "--config", agent, "--json")
    )
    assert review["digest"] == study.request.digest
    assert review["parameters"] == 650
    assert review["state"] == "waits for you"
    assert {"FS-412", "FS-418"} <= set(review["refused_by"])  # clip, no decision

    said = fedsecure("agent", "approve", file, "--config", agent)
    assert f"approved {study.request.digest}" in said
    review = json.loads(fedsecure("agent", "review", "--config", agent, "--json"))
    (one,) = review["studies"]
    assert "FS-412" in one["refused_by"]
    assert "FS-418" not in one["refused_by"]


def test_the_doctor_builds_its_model(demo: DemoFolder) -> None:
    found = {check.name: check.look for check in checks(demo.config(OWNER), None)}
    assert found["study"]() == "Handwritten digits at fifty data owners"
    assert found["model"]() == "650 parameters"
