"""The demo as people use it: interrupted, then run again in the same folder."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.federation import PYTHONPATH, ROOT, wait_until

pytestmark = pytest.mark.e2e

PATIENCE = 180.0  # seconds


def start(
    folder: Path, rounds: int, output: Path, *more: str
) -> "subprocess.Popen[bytes]":
    with output.open("wb") as file:
        return subprocess.Popen(
            [
                *(sys.executable, "-m", "fedsecure", "demo"),
                *("--folder", str(folder), "--rounds", str(rounds), *more),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": PYTHONPATH},
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def typed(line: str) -> Any:
    """Type a line as it was printed, in another terminal; return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", *line.split(), "--json"],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    return json.loads(done.stdout)


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of all processes that name the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue  # it has just ended
            if str(folder).encode() in command:
                found.append(command.replace(b"\0", b" ").decode())
    return found


@pytest.mark.timeout(500)
def test_demo_leaves_nothing_running_when_interrupted_and_then_runs_again(
    tmp_path: Path,
) -> None:
    folder, output = tmp_path / "demo", tmp_path / "output.txt"
    first = start(folder, rounds=500, output=output)
    try:
        wait_until(lambda: "4/4" in output.read_text(encoding="utf-8"), "round 1")
        assert len(processes_of(folder)) >= 8
        first.send_signal(signal.SIGINT)
        assert first.wait(60) == 130
    finally:
        first.kill()
        first.wait()
    assert processes_of(folder) == []

    second = start(folder, rounds=1, output=output)
    try:
        assert second.wait(PATIENCE) == 0, output.read_text(encoding="utf-8")
    finally:
        second.kill()
        second.wait()
    assert processes_of(folder) == []
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert result["rounds"] == 1
    assert result["bytes_up"] > 0
    sites = ("cleveland", "hungary", "switzerland", "va-long-beach")
    auc = result["auc"]
    figures = [auc["federated"], auc["pooled"], *(auc["alone"][one] for one in sites)]
    assert all(0.0 < one <= 1.0 for one in (*figures, result["auc_histogram"]))


@pytest.mark.timeout(300)
def test_demo_that_stays_serves_its_clinic_until_it_is_stopped(tmp_path: Path) -> None:
    folder, output = tmp_path / "demo", tmp_path / "output.txt"
    demo = start(folder, 1, output, "--stay", "--study", "studies/heart-logistic")
    try:
        wait_until(lambda: "run on" in output.read_text(encoding="utf-8"), "the end")
        assert (folder / "result.json").exists()
        running = processes_of(folder)
        assert sum(" aggregator --config" in one for one in running) == 2
        assert not [one for one in running if " agent " in one or " train " in one]
        wait_until(lambda: "predict" in output.read_text(encoding="utf-8"), "its lines")
        told = output.read_text(encoding="utf-8").partition("run on")[2]
        doctor, serve, predict = re.findall(r"^  (fedsecure .*)$", told, re.M)
        rows = {row["check"]: row["state"] for row in typed(doctor)["checks"]}
        assert set(rows.values()) == {"ok"}, rows
        assert {"aggregator-a federation", "aggregator-b TLS", "receivers"} <= {*rows}
        typed(serve)
        typed(predict)
        asked = (ROOT / "studies/heart-logistic/patients.csv").read_text("utf-8")
        found = (folder / "predictions.csv").read_text("utf-8")
        assert len(found.splitlines()) == len(asked.splitlines()) > 20
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    finally:
        demo.kill()
        demo.wait()
    assert processes_of(folder) == []


def test_demo_deletes_no_folder_that_it_did_not_make(tmp_path: Path) -> None:
    precious = tmp_path / "thesis.txt"
    precious.write_text("ten years of work", encoding="utf-8")
    output = tmp_path.parent / "refused.txt"
    demo = start(tmp_path, rounds=1, output=output)
    assert demo.wait(60) == 1
    assert precious.read_text(encoding="utf-8") == "ten years of work"
    assert "FS-870" in output.read_text(encoding="utf-8")
