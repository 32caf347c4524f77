"""No code of an error that is spelled outside the table decides anything."""

import ast
import re
from collections.abc import Callable, Iterable, Set
from pathlib import Path
from typing import Final

import pytest

from fedsecure import errors

ROOT: Final = Path(__file__).parents[3]
PROGRAMS: Final = ("fedsecure", "clients", "aggregator", "bench")
TABLE: Final = Path(errors.__file__).parent
A_CODE: Final = re.compile(r"FS-[0-9]{3}")
LOOKED_INTO: Final = {"startswith", "endswith", "removeprefix", "partition", "find"}
NONE: Final[Set[str]] = frozenset()


def deciding(module: ast.Module, named: Set[str] = NONE) -> list[int]:
    """Return the lines that decide by a code: spelled out, an error's, or of a name.

    To raise, log or choose a code is no decision by it; to compare one, to look it up
    in a collection of codes, or to look into its text is.
    """
    return [
        getattr(node, "lineno", 0)
        for node in ast.walk(module)
        for kind, decides in DECISIONS.items()
        if isinstance(node, kind) and decides(node, named)
    ]


def _compares(node: ast.Compare, named: Set[str]) -> bool:
    sides = [node.left, *node.comparators]
    if any("PROBLEMS" in _names(side) for side in sides):
        return False  # whether it is in the table at all
    return any(
        (isinstance(side, ast.Attribute) and side.attr == "code")
        or any(map(_is_code, ast.walk(side)))
        or _names(side) & named
        for side in sides
    )


def _collects(node: ast.Set | ast.List | ast.Tuple, _: Set[str]) -> bool:
    found = [_is_code(one) for one in node.elts]
    return any(found) if isinstance(node, ast.Set) else bool(found) and all(found)


def _looks_up(node: ast.Dict, _: Set[str]) -> bool:
    return any(map(_is_code, node.keys))


def _matches(node: ast.MatchValue, _: Set[str]) -> bool:
    return _is_code(node.value)


def _looks_into(node: ast.Call, _: Set[str]) -> bool:
    method = node.func
    if not isinstance(method, ast.Attribute) or method.attr not in LOOKED_INTO:
        return False
    texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
    of_an_error = ast.unparse(method.value).endswith(".code")
    return of_an_error or any(str(text).startswith("FS-") for text in texts)


DECISIONS: Final[dict[type[ast.AST], Callable[..., bool]]] = {
    ast.Compare: _compares,
    ast.Set: _collects,
    ast.List: _collects,
    ast.Tuple: _collects,
    ast.Dict: _looks_up,
    ast.MatchValue: _matches,
    ast.Call: _looks_into,
}


def _is_code(node: ast.AST | None) -> bool:
    value = node.value if isinstance(node, ast.Constant) else None
    return isinstance(value, str) and A_CODE.fullmatch(value) is not None


def _names(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def constants(modules: Iterable[ast.Module]) -> set[str]:
    """Return the names of constants that are codes."""
    found = set()
    for module in modules:
        for node in ast.walk(module):
            if isinstance(node, ast.Assign) and _is_code(node.value):
                found |= set().union(*map(_names, node.targets))
            elif isinstance(node, ast.AnnAssign) and _is_code(node.value):
                found |= _names(node.target)
    return {name for name in found if name.isupper()}


@pytest.mark.parametrize(
    "decision",
    [
        'error.code == "FS-300"',
        "error.code != GONE",
        "code == GONE",
        "error.code in GONE_CODES",
        'code in {"FS-300", "FS-304"}',
        'GONE = frozenset({"FS-300"})',
        'GONE = ["FS-300", "FS-304"]',
        'GONE = {*("FS-300", "FS-304"), OTHER}',
        'SECONDS = {"FS-318": 5}',
        'error.code.startswith("FS-4")',
        "error.code.startswith(prefix)",
        'code.startswith("FS-4")',
        'match code:\n    case "FS-300":\n        pass',
    ],
)
def test_a_decision_by_a_code_is_seen(decision: str) -> None:
    assert deciding(ast.parse(decision), {"GONE"})


@pytest.mark.parametrize(
    "other",
    [
        'raise PeerError("FS-300", "never granted")',
        'code = "FS-108" if empty else "FS-110"',
        'code, what = "FS-621", str(error)',
        'CODES = {State.VOID: "FS-305"}',
        "code in PROBLEMS",
        'log.error("share lost", code="FS-329")',
        "status == ApiErrorCode.GONE",
    ],
)
def test_what_only_names_a_code_is_no_decision(other: str) -> None:
    assert deciding(ast.parse(other)) == []


def test_constants_are_known_by_their_names() -> None:
    text = 'GONE: Final = "FS-300"\nVOID = "FS-305"\nOTHER = 1\ncode = "FS-108"'
    assert constants([ast.parse(text)]) == {"GONE", "VOID"}


def test_no_code_outside_the_table_decides_anything() -> None:
    modules = {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
        for folder in PROGRAMS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not path.is_relative_to(TABLE)
    }
    assert len(modules) > 200
    named = constants(modules.values())
    lines = {where: deciding(module, named) for where, module in modules.items()}
    assert {where: found for where, found in lines.items() if found} == {}
