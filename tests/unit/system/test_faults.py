"""The points at which a process may die: all there, each once, and harmless."""

import ast
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from fedsecure.system import crash_points
from fedsecure.system.crash_points import VARIABLE, Point, crash_point

ROOT = Path(__file__).parents[3]
FILES = {
    "aggregator": ("aggregator",),
    "aggregator-job": ("aggregator/fedsecure_aggregator/jobs",),
    "job": ("fedsecure/compute",),
    "owner": ("fedsecure/owner",),
    "agent": (
        "clients",
        "fedsecure/contributor/contribution.py",
        "fedsecure/frameworks/flower/mod.py",
    ),
}
MARK = "from fedsecure.system.crash_points import Point, crash_point; "


def marks() -> list[tuple[Point, str]]:
    """Return every point that the programs mark, with its file."""
    found = []
    for folder in ("fedsecure", "clients", "aggregator", "bench"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and _is_mark(node.func):
                    names = list(ast.walk(node.args[0]))
                    found += [
                        (Point[one.attr], path.relative_to(ROOT).as_posix())
                        for one in names
                        if isinstance(one, ast.Attribute)
                    ]
    return found


def _is_mark(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id == "crash_point"


def test_every_point_is_marked_once_where_its_party_is() -> None:
    found = marks()
    assert Counter(point for point, _ in found) == dict.fromkeys(Point, 1)
    for point, file in found:
        party = point.partition(":")[0]
        assert file.startswith(FILES[party]), (point, file)


def test_nothing_happens_without_the_variable() -> None:
    assert VARIABLE not in os.environ
    assert crash_points._fault is None
    for point in Point:
        crash_point(point)


@pytest.mark.parametrize(("turn", "passed"), [("", 0), ("@1", 0), ("@3", 2)])
def test_a_process_kills_itself_at_the_point_and_turn_that_were_named(
    turn: str, passed: int
) -> None:
    program = (
        MARK + "[print(i, flush=True) or crash_point(Point.SCRUBBED) for i in '0123']"
    )
    child = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, VARIABLE: f"{Point.SCRUBBED}{turn}"},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert child.stdout.split() == [b"0", b"1", b"2", b"3"][: passed + 1]


def test_a_process_waits_at_the_point_while_its_file_is_there(tmp_path: Path) -> None:
    file = tmp_path / "here"
    child = subprocess.Popen(
        [sys.executable, "-c", MARK + "crash_point(Point.TRAINED)"],
        env={**os.environ, VARIABLE: f"{Point.TRAINED}={file}"},
        cwd=ROOT,
    )
    pause = threading.Event()
    while not file.exists():
        assert child.poll() is None
        pause.wait(0.02)
    file.unlink()
    assert child.wait(30) == 0


@pytest.mark.parametrize("written", ["owner:nowhere", "owner:trained@x", "@1"])
def test_a_point_that_does_not_exist_is_an_error(written: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", MARK],
        env={**os.environ, VARIABLE: written},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert child.returncode == 1
    assert b"ValueError" in child.stderr
