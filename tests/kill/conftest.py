"""Writes the kill matrix into docs/reliability.md, if `make slow` asks for it."""

import os
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"
WRITE: Final = "FEDSECURE_WRITE_KILL_MATRIX"
BEGIN: Final = "<!-- kill matrix: begin -->"
END: Final = "<!-- kill matrix: end -->"
VERDICT: Final = {"passed": "as undisturbed", "failed": "FAILED", "skipped": "not run"}

results: dict[str, dict[str, str]] = defaultdict(dict)  # point > party > verdict


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call" and report.outcome == "passed":
        return
    name = report.nodeid.rpartition("[")[2].rstrip("]")
    party, dash, point = name.partition("-")
    if ":" in point and dash:
        results[point][party] = VERDICT[report.outcome]


def pytest_sessionfinish() -> None:
    if os.environ.get(WRITE) and results:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, _, after = rest.partition(END)
        table = f"{BEGIN}\n{matrix()}\n{END}"
        PAGE.write_text(before + table + after, encoding="utf-8")


def matrix() -> str:
    """Return the results as a Markdown table, with the commit they are of."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    rows = [
        f"| `{point}` | {party} | {verdict} |"
        for point, parties in results.items()
        for party, verdict in parties.items()
    ]
    return "\n".join(
        [
            f"Measured at commit {commit}: {len(rows)} kills.",
            "",
            "| point | killed | rounds, models and stores afterwards |",
            "|---|---|---|",
            *rows,
        ]
    )
