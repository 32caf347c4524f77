"""Each room's docstring says what is in it, module by module."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from tests.unit.docs import page

PACKAGES: Final = (
    "fedsecure",
    "aggregator/fedsecure_aggregator",
    "clients/fedsecure_clients",
    "bench/fedsecure_bench",
)
OTHERWISE: Final = {
    "fedsecure/cli",  # each module is the command of its name
    "fedsecure/cli/rounds",
}
ROOMS: Final = sorted(
    str(init.parent.relative_to(page.ROOT))
    for package in PACKAGES
    for init in (page.ROOT / package).glob("*/**/__init__.py")
    if "migrations" not in init.parts
)


def modules_of(room: str) -> list[str]:
    return sorted(path.stem for path in (page.ROOT / room).glob("[!_]*.py"))


def missing_in(docstring: str, modules: list[str]) -> list[str]:
    return [name for name in modules if not re.search(rf"\b{name}\b", docstring)]


@pytest.mark.parametrize("room", [one for one in ROOMS if one not in OTHERWISE])
def test_a_room_says_what_each_of_its_modules_is(room: str) -> None:
    text = (page.ROOT / room / "__init__.py").read_text("utf-8")
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring is not None
    assert missing_in(docstring, modules_of(room)) == []


def test_the_rooms_that_say_it_otherwise_are_there() -> None:
    assert set(ROOMS) >= OTHERWISE


def test_a_module_that_is_not_said_is_seen(tmp_path: Path) -> None:
    for name in ("__init__", "one", "other"):
        (tmp_path / f"{name}.py").touch()
    assert missing_in("The room.\n\n    one  this", modules_of(str(tmp_path))) == [
        "other"
    ]
