"""`fedsecure bench core` prints one table and writes the same numbers as JSON."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fedsecure_bench import peers
from fedsecure_bench.cli import app
from fedsecure_bench.results import Result, compare, in_turn, load, median_and_spread

OURS = {
    "cipher": None,
    "key stream": None,
    "decrypt": None,
    "sum": None,
    "data owner": "cipher + key stream",
    "aggregator seed": "key stream + sum",
    "aggregator vector": "decrypt + sum",
    "noise": "key stream",
    "owner": "sum",
    "both aggregators": "Flower FedAvg",
    "data owner: extra memory": None,
    "upload / float32 update": None,
}
PEERS = {"Flower FedAvg": "sum", "SecAgg+: client": "data owner"}


def core(file: Path, *options: str) -> tuple[dict[str, Any], list[Result], str]:
    command = ["core", *options, "--repeats", "2", "--json", str(file)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return *load(file), done.output


def test_every_step_is_reported_with_its_ratio(tmp_path: Path) -> None:
    report, lines, output = core(tmp_path / "core.json", "--dimension", "3000")
    one_thread = {line.step: line for line in lines if line.threads == 1}
    assert {name: line.ratio_to for name, line in one_thread.items()} == {
        **OURS,
        **PEERS,
    }
    two_threads = {line.step for line in lines if line.threads == 2}
    assert {"data owner", "aggregator seed", "owner"} <= two_threads
    assert all(line.d == 3000 and line.median > 0 for line in lines)
    assert all((line.ratio is None) == (line.ratio_to is None) for line in lines)
    assert report["machine"]["cores"] >= 1
    assert set(report["versions"]) >= {"commit", "python", "numpy", "cryptography"}
    assert set(json.loads((tmp_path / "core.json").read_text())["results"][0]) == {
        *("bench", "step", "d", "threads", "unit", "median", "spread"),
        *("ratio_to", "ratio"),
    }
    for step in one_thread:
        assert step in output


def test_homomorphic_peers_are_measured_at_a_million(tmp_path: Path) -> None:
    # In a process of its own: TenSEAL and TensorFlow do not get on in one.
    file = tmp_path / "core.json"
    command = [sys.executable, "-m", "fedsecure", "bench", "core", "--repeats", "2"]
    command += ["--dimension", "1000000", "--threads", "1", "--json", str(file)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    _, lines = load(file)
    ratios = {line.step: line.ratio for line in lines}
    for peer in ("CKKS 8192: client", "Paillier 2048: client"):
        assert (ratios[peer] or 0) > 1
    assert ratios["CKKS 8192: server"] is not None
    assert ratios["Paillier 2048: server"] is not None


def test_a_peer_that_is_not_installed_is_left_out_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str) -> Any:
        if name == "tenseal":
            raise ModuleNotFoundError(name=name)
        return import_module(name)

    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr("fedsecure_bench.core.PEERS", (peers.ckks,))
    monkeypatch.setattr(peers, "import_module", without)
    _, _, output = core(tmp_path / "core.json", "--dimension", "2000")
    assert "left out: CKKS: tenseal is not installed" in output
    assert "pip install 'fedsecure[bench]'" in output


def test_ckks_is_left_out_where_tensorflow_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    _, _, output = core(tmp_path / "core.json", "--dimension", "2000")
    assert "left out: CKKS: TenSEAL cannot run" in output


def test_a_size_that_does_not_fit_is_left_out_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fedsecure_bench.core.free_memory", lambda: 10**6)
    _, lines, output = core(tmp_path / "core.json", "--dimension", "20000")
    assert not lines
    assert "left out: 20,000 parameters, 1 thread(s): no memory" in output


def test_steps_take_turns_and_ratios_are_of_each_turn() -> None:
    order = []

    def step(name: str, values: list[float]) -> float:
        order.append(name)
        return values.pop(0)

    slow, fast = [8.0, 20.0, 4.0], [4.0, 10.0, 1.0]
    turns = in_turn(
        {"slow": lambda: step("slow", slow), "fast": lambda: step("fast", fast)}, 3
    )
    assert order == ["slow", "fast"] * 3
    assert compare(turns, "slow", ["fast"]) == 2.0
    assert compare(turns, "slow", ["fast", "slow"]) == pytest.approx(2 / 3)
    assert compare(turns, "slow", []) is None
    assert median_and_spread([1.0, 2.0, 3.0]) == (2.0, 0.5)
