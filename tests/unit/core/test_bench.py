"""`fedsecure bench core` prints one table and writes the same numbers as JSON."""

import json
from pathlib import Path

from typer.testing import CliRunner

from fedsecure.cli.bench import app


def test_bench_core_reports_every_step_with_its_ratio(tmp_path: Path) -> None:
    file = tmp_path / "core.json"
    done = CliRunner().invoke(
        app, ["core", "--dimension", "3000", "--repeats", "2", "--json", str(file)]
    )
    assert done.exit_code == 0, done.output
    report = json.loads(file.read_text("utf-8"))
    by_step = {line["step"]: line for line in report["results"]}
    assert set(by_step) == {
        "cipher",
        "sum",
        "data owner: protect",
        "aggregator: seed",
        "aggregator: vector",
        "owner: unshard",
        "data owner: memory",
    }
    assert by_step["aggregator: seed"]["ratio_to"] == "cipher + sum"
    assert by_step["data owner: memory"]["unit"] == "MiB"
    assert all(line["d"] == 3000 and line["median"] > 0 for line in report["results"])
    assert set(report["versions"]) >= {"python", "numpy", "cryptography"}
    for step in by_step:
        assert step in done.output
