import ast
import copy
import re
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
TABLE = Path(errors.__file__).parent
CODE = re.compile(r"\bFS-[0-9]{3}\b")
HUNDRED = re.compile(r"([1-8])xx, ")


def written() -> list[tuple[str, str]]:
    """Every row's code with the hundred of its module, in the order of writing."""
    found = []
    for path in TABLE.glob("*.py"):
        module = ast.parse(path.read_text("utf-8"))
        hundred = HUNDRED.match(ast.get_docstring(module) or "")
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Problem":
                code = ast.literal_eval(node.args[0])
                found.append((hundred[1] if hundred else "", code))
    return found


def test_no_code_stands_twice_in_the_table() -> None:
    # A dictionary made of rows would keep the last one silently.
    codes = [code for _, code in written()]
    assert len(codes) == len({*codes}) == len(PROBLEMS)


def test_every_code_stands_in_the_module_of_its_hundred() -> None:
    assert [code for hundred, code in written() if code[3] != hundred] == []


def test_codes_come_in_order_and_their_hundreds_are_in_the_docstring() -> None:
    assert list(PROBLEMS) == sorted(PROBLEMS)
    named = set(re.findall(r"([1-8])xx", errors.__doc__ or ""))
    assert {hundred for hundred, _ in written()} == named


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
    for folder in ("fedsecure", "clients", "aggregator", "bench", "studies", "docs"):
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
