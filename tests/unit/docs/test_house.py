"""The limits of the house: how many modules a room holds, how long a module is."""

import ast
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from setuptools import find_packages

from tests.unit.docs import page

ROOT: Final = page.ROOT
MEMBERS: Final = ("", "aggregator", "clients", "bench")
PACKAGES: Final = (
    "fedsecure",
    "aggregator/fedsecure_aggregator",
    "clients/fedsecure_clients",
    "bench/fedsecure_bench",
)
MODULES: Final = 15
LINES: Final = 350
DATA: Final = ("fedsecure/errors/", "/migrations/")
"""Tables, however long: problems by code, and the schema as its revision makes it."""


def modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def test_no_room_holds_more_than_fifteen_modules_at_one_level() -> None:
    rooms = {path.parent for path in modules()}
    held = {room: len(list(room.glob("[!_]*.py"))) for room in rooms}
    assert {room: count for room, count in held.items() if count > MODULES} == {}


def test_no_module_is_longer_than_350_lines_but_tables_of_data() -> None:
    long = {
        name: lines
        for path in modules()
        if (lines := len(path.read_text("utf-8").splitlines())) > LINES
        and not any(part in (name := str(path.relative_to(ROOT))) for part in DATA)
    }
    assert long == {}


def test_half_of_all_functions_have_less_than_ten_lines() -> None:
    lengths = [
        node.end_lineno - node.lineno + 1
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
    ]
    assert median(lengths) < 10


def test_nothing_is_installed_but_names_that_begin_with_fedsecure() -> None:
    tops = {name.split(".")[0] for member in MEMBERS for name in installed(member)}
    assert tops == {Path(package).name for package in PACKAGES}


def installed(member: str) -> Sequence[str]:
    """Return the packages that a member's wheel holds."""
    settings = tomllib.loads((ROOT / member / "pyproject.toml").read_text("utf-8"))
    include = settings["tool"]["setuptools"]["packages"]["find"]["include"]
    return find_packages(str(ROOT / member), include=include)


def test_what_the_mutations_name_is_there() -> None:
    groups = tomllib.loads((ROOT / "tests/mutation/steps.toml").read_text("utf-8"))
    named = [
        path for one in groups["group"] for path in (*one["modules"], *one["tests"])
    ]
    places = [ROOT / member for member in MEMBERS]
    gone = [
        name
        for name in named
        if not any((place / name.split("::")[0]).exists() for place in places)
    ]
    assert named
    assert gone == []
