"""docs/benchmarks.md is what its report gives, and no target is left unmeasured."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fedsecure_bench import core
from fedsecure_bench.compute import private_rows
from fedsecure_bench.results import Result, load
from fedsecure_bench.rounds import whole_rounds
from fedsecure_bench.rounds.model import NODES
from fedsecure_bench.servers import scale, service
from tools import benchmarks

REPORT, RESULTS = load(benchmarks.FILE)
README = benchmarks.PAGE.parents[1] / "README.md"


def test_the_page_is_what_the_report_gives() -> None:
    assert benchmarks.PAGE.read_text("utf-8") == benchmarks.page(), (
        "type: PYTHONPATH=. .venv/bin/python tools/benchmarks.py"
    )


def test_a_bench_that_is_in_the_report_has_measured_all_its_targets() -> None:
    lines = benchmarks.Lines(RESULTS)
    there = {line.bench for line in RESULTS}
    of_benches = {
        core.NAME: (benchmarks.core_targets, benchmarks.peer_targets),
        service.NAME: (benchmarks.service_targets,),
        whole_rounds.NAME: (benchmarks.round_targets,),
        scale.NAME: (benchmarks.scale_targets,),
        private_rows.NAME: (benchmarks.compute_targets,),
    }
    assert core.NAME in there
    assert there <= set(of_benches)
    unmeasured = [
        target.what
        for name in there
        for targets in of_benches[name]
        for target in targets()
        if target.look(lines) is None
    ]
    assert not unmeasured


def test_the_report_says_where_and_at_which_commit_it_was_measured() -> None:
    assert REPORT["machine"]["cores"] >= 1
    assert REPORT["versions"]["commit"]
    assert REPORT["versions"]["flwr"].startswith("1.41.")


def test_a_target_is_missed_when_the_measured_number_says_so(tmp_path: Path) -> None:
    def page_with(mebibytes: float) -> str:
        changed = [
            replace(line, median=mebibytes) if line.step == core.EXTRA_MEMORY else line
            for line in RESULTS
        ]
        return page_of(changed, tmp_path)

    row = "| data owner, extra memory | 1,000,000 | <= 16 MiB |"
    assert f"{row} 15.9 MiB | met |" in page_with(15.9)
    assert f"{row} 16.1 MiB | **missed** |" in page_with(16.1)


def test_readme_compares_rounds_as_they_were_measured() -> None:
    lines = benchmarks.Lines(RESULTS)
    ours, size = (whole_rounds.SECURE, 10**6, NODES), "1,000,000 parameters"
    plain = lines.ratio(*ours, whole_rounds.PLAIN)
    secagg = lines.ratio(*ours, whole_rounds.SECAGG)
    assert plain
    assert secagg
    (row,) = (line for line in README.read_text("utf-8").splitlines() if size in line)
    assert f"| {plain:.1f} x | {plain / secagg:.1f} x |" in row


@pytest.mark.parametrize("bench", [core.NAME, whole_rounds.NAME, scale.NAME])
def test_what_is_not_in_a_report_is_said_to_be_missing(
    bench: str, tmp_path: Path
) -> None:
    rest = [line for line in RESULTS if line.bench != bench]
    assert "| not measured |" in page_of(rest, tmp_path)


def page_of(results: list[Result], folder: Path) -> str:
    file = folder / "report.json"
    content = {**REPORT, "results": [asdict(line) for line in results]}
    file.write_text(json.dumps(content), encoding="utf-8")
    return benchmarks.page(file)
