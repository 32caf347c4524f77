"""Who may know what of Flower: its internals are the runtime's alone.

The contracts of imports see a package from outside as a whole; so this is a test.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.unit.docs import page

PUBLIC: Final = frozenset(
    {"flwr.app", "flwr.clientapp", "flwr.serverapp", "flwr.serverapp.strategy"}
)
"""What Flower documents for those who write apps."""

RUNTIME: Final = "fedsecure/frameworks/flower/runtime/"
COMPARED: Final = "bench/fedsecure_bench/rounds/secagg.py"
"""Runs Flower's own SecAgg+, which lies below its public modules, to compare with."""

PACKAGES: Final = (
    "fedsecure",
    "aggregator/fedsecure_aggregator",
    "clients/fedsecure_clients",
    "bench/fedsecure_bench",
)
MODULES: Final = {
    str(path.relative_to(page.ROOT)): path
    for package in PACKAGES
    for path in (page.ROOT / package).rglob("*.py")
}


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def internals(path: Path) -> list[str]:
    names = imported(path.read_text("utf-8"))
    return [one for one in names if one.split(".")[0] == "flwr" and one not in PUBLIC]


def test_only_the_runtime_knows_the_internals_of_flower() -> None:
    known = {name for name, path in MODULES.items() if internals(path)}
    assert {name for name in known if not name.startswith(RUNTIME)} == {COMPARED}


@pytest.mark.parametrize(
    "text",
    [
        "from flwr.supercore.fab import Fab",
        "import flwr.proto.node_pb2",
        "import flwr",
        "def f():\n    from flwr.common import serde",
    ],
)
def test_an_import_from_below_is_seen(text: str, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(text)
    assert internals(tmp_path / "one.py")
