"""`fedsecure bench compute` measures every step, beside the peers that are there."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fedsecure_bench import peers
from fedsecure_bench.cli import app
from fedsecure_bench.compute import encrypted_rows, private_rows, shared_rows
from fedsecure_bench.compute.service import Waits
from fedsecure_bench.progress import headline
from fedsecure_bench.results import Result, load

WAITED = Waits(middle=4.0, slow=8.0, by_other=0.5, clinic=1.0, servers=2.0)
ENGINE = {
    "numpy, unprotected",
    "shares: client",
    "shares: server, seed",
    "shares: server, vector",
}
PRODUCT = {
    f"{product}: {what}"
    for product in ("whole product", "whole product, disk")
    for what in ("p50", "p90", "CPU of the clinic", "CPU of both servers")
}


def compute(file: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Result], str]:
    """Run it without aggregators; `tests/service/bench` asks real ones."""
    monkeypatch.setattr(private_rows.service, "waits", lambda *_: WAITED)
    monkeypatch.setattr(encrypted_rows, "BITS", 2048)
    command = ["compute", "--repeats", "1", "--queries", "10", "--json", str(file)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    _, lines = load(file)
    return lines, done.output


def test_peers_that_are_not_there_are_left_out_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str) -> Any:
        if name in {"tenseal", "phe.paillier"}:
            raise ModuleNotFoundError(name=name)
        return import_module(name)

    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setattr(peers, "import_module", without)
    lines, output = compute(tmp_path / "compute.json", monkeypatch)
    for peer in ("CKKS: tenseal", "Paillier: phe.paillier"):
        assert output.count(f"left out: {peer} is not installed") == 1
    steps = {(line.step, line.d, line.threads) for line in lines}
    assert steps == {
        ("AES-256-GCM", 30, 1),
        *((f"Paillier 3072: {step}", 30, 1) for step in ("client", "server", "key")),
        ("Paillier 3072: check of a key", 30, 1),
        *((step, 784, rows) for rows in (1, 100) for step in ENGINE | PRODUCT),
    }
    assert all(line.median > 0 for line in lines)
    assert "784 features, 100 rows" in output


def test_both_peers_are_measured_beside_ours() -> None:
    # In a process of its own: TenSEAL and TensorFlow do not get on in one.
    program = (
        "import sys\n"
        "from fedsecure_bench.compute import encrypted_rows, shared_rows\n"
        "found = [*encrypted_rows.by_phe().values()]\n"
        "found += [shared_rows.by_ckks()[1]]\n"
        "for work in found: work()\n"
        "sys.exit(len(found))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == 4


def test_a_row_is_answered_as_numpy_does() -> None:
    x, model = shared_rows.numbers(2), shared_rows.weights()
    steps = shared_rows.ours(2)
    expected = x @ model[:-1] + model[-1]
    assert (steps["numpy, unprotected"]() == expected).all()  # type: ignore[attr-defined]
    both = steps["shares: server, seed"](), steps["shares: server, vector"]()
    total = (both[0] + both[1]).view("<i8").reshape(2, 1) / 2.0**32  # type: ignore[operator]
    assert abs(total - expected).max() < 1e-2


def test_a_headline_says_rows_where_they_are_computed_on() -> None:
    assert headline(784, 1, "compute") == "784 features, 1 row"
    assert headline(784, 100, "compute") == "784 features, 100 rows"
    assert headline(784, 1) == "784 parameters, 1 at once"
