import ast
import copy
import re
from itertools import pairwise
from pathlib import Path

import pytest

from fedsecure import errors
from fedsecure.errors import (
    PROBLEMS,
    FedsecureError,
    OperatorError,
    PeerError,
    Problem,
    RoundStateError,
)

ROOT = Path(__file__).parents[3]
SOURCE = Path(errors.__file__).read_text("utf-8")
CODE = re.compile(r"\bFS-[0-9]{3}\b")
GROUP = re.compile(r"# ([1-8])xx ")


def table() -> list[tuple[str, str]]:
    """Every row's code with the group whose comment it stands under, in order."""
    found, group = [], ""
    for line in SOURCE.splitlines():
        if comment := GROUP.search(line):
            group = comment[1]
        if row := re.fullmatch(r'\s+"(FS-[0-9]{3})",', line):
            found.append((row[1], group))
    return found


def rows_written() -> int:
    calls = [node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.Call)]
    return sum(ast.unparse(call.func) == "Problem" for call in calls)


def test_no_code_stands_twice_in_the_table() -> None:
    # A dictionary made of rows would keep the last one silently.
    assert rows_written() == len(PROBLEMS) == len(table())


def test_every_code_stands_under_its_group() -> None:
    assert [code for code, group in table() if code[3] != group] == []


def test_groups_come_in_order_and_are_in_the_docstring() -> None:
    groups = [group for _, group in table()]
    assert all(a <= b for a, b in pairwise(groups))
    assert set(groups) <= set(re.findall(r"([1-8])xx", errors.__doc__ or ""))


@pytest.mark.parametrize("code", PROBLEMS)
def test_a_row_reads_well(code: str) -> None:
    row = PROBLEMS[code]
    assert row.code == code
    assert CODE.fullmatch(code)
    assert 0 < len(row.title) <= 70
    assert row.title[0] == row.title[0].upper()
    assert not row.title.endswith((".", " "))
    assert row.remedy.endswith(".")
    assert "  " not in row.title + row.remedy
    assert (row.title + row.remedy).isprintable()
    assert 400 <= row.status < 600


def uses() -> dict[str, list[str]]:
    """Where the programs and their documents name codes."""
    found: dict[str, list[str]] = {}
    for folder in ("fedsecure", "clients", "aggregator", "studies", "docs"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".md", ".toml", ".html", ".js"}:
                for code in CODE.findall(path.read_text("utf-8")):
                    found.setdefault(code, []).append(str(path.relative_to(ROOT)))
    return found


def test_every_code_that_is_named_stands_in_the_table() -> None:
    named = uses()
    assert len(named) > 50
    assert {code: named[code] for code in named.keys() - PROBLEMS.keys()} == {}


@pytest.mark.parametrize("kind", [PeerError, RoundStateError, OperatorError])
def test_an_error_says_code_title_and_what_happened(kind: type[FedsecureError]) -> None:
    error = kind("FS-741", "'east' is not in federation heart")
    assert str(error) == "FS-741 Unknown party: 'east' is not in federation heart"
    assert (error.code, error.detail) == ("FS-741", "'east' is not in federation heart")
    assert isinstance(error.problem, Problem)


def test_an_error_can_be_copied() -> None:
    error = copy.copy(PeerError("FS-741", "'east'"))
    assert str(error) == "FS-741 Unknown party: 'east'"


def test_blames_exclude_each_other() -> None:
    kinds = (PeerError, RoundStateError, OperatorError)
    for kind in kinds:
        assert [other for other in kinds if issubclass(kind, other)] == [kind]


def test_a_code_that_is_not_in_the_table_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        PeerError("FS-000", "nothing")
