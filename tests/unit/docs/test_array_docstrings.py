"""Public functions on arrays say of which shape and dtype; those on bytes, how many."""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Final

import pytest

from tests.unit.docs import page

ROOMS: Final = (
    "fedsecure/core",
    "fedsecure/contributor",
    "fedsecure/study",
    "clients/fedsecure_clients/data",
    "clients/fedsecure_clients/keras_app",
)
ARRAYS: Final = re.compile(
    r"\b(NDArray|ndarray|Words|Numbers|Memory|Update|MeanUpdate|Weights)\b"
)
BYTES: Final = re.compile(r"\bBuffer\b")
SHAPE: Final = re.compile(r"\bshapes?\b", re.IGNORECASE)
DTYPE: Final = re.compile(r"\b(u?int\d+|float\d+|bool|dtype)\b")
LENGTH: Final = re.compile(r"\bbytes\b")


def public(
    body: Sequence[ast.stmt], of: str = ""
) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node.body, f"{of}{node.name}.")
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield f"{of}{node.name}", node


def types_of(function: ast.FunctionDef) -> str:
    arguments = [*function.args.args, *function.args.kwonlyargs]
    annotations = [function.returns, *(one.annotation for one in arguments)]
    return " ".join(ast.unparse(one) for one in annotations if one is not None)


def lacks(function: ast.FunctionDef) -> list[str]:
    """Return what a function's docstring does not say of its arrays and bytes."""
    docstring, types = ast.get_docstring(function) or "", types_of(function)
    wanted = {"shape": SHAPE, "dtype": DTYPE} if ARRAYS.search(types) else {}
    if BYTES.search(types) and not wanted:
        wanted = {"bytes": LENGTH}
    return [what for what, pattern in wanted.items() if not pattern.search(docstring)]


@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_on_arrays_state_shape_and_dtype(room: str) -> None:
    silent = {
        f"{path.relative_to(page.ROOT)} {name}": missing
        for path in sorted((page.ROOT / room).rglob("*.py"))
        for name, function in public(ast.parse(path.read_text("utf-8")).body)
        if (missing := lacks(function))
    }
    assert silent == {}


def test_the_core_has_functions_on_arrays_and_on_bytes() -> None:
    modules = [path.read_text("utf-8") for path in (page.ROOT / ROOMS[0]).glob("*.py")]
    types = [
        types_of(one) for text in modules for _, one in public(ast.parse(text).body)
    ]
    assert len([one for one in types if ARRAYS.search(one)]) > 10
    assert len([one for one in types if BYTES.search(one)]) > 5


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("def f(a: Words) -> None:\n    'Add.'", ["shape", "dtype"]),
        ("def f(a: Words) -> None:\n    'Add shape (n,).'", ["dtype"]),
        ("def f(a: Words) -> None:\n    'Add shape (n,), uint32.'", []),
        ("def f() -> NDArray[np.float32]: ...", ["shape", "dtype"]),
        ("def f(a: Buffer) -> None:\n    'Read it.'", ["bytes"]),
        ("def f(a: int) -> None:\n    'Add.'", []),
    ],
)
def test_what_a_docstring_lacks_is_seen(text: str, missing: list[str]) -> None:
    ((_, function),) = public(ast.parse(text).body)
    assert lacks(function) == missing
