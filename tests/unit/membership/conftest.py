"""Everybody with keys, before and after the first version of a federation."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.membership.parties import EVERYBODY, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Everybody has keys; nobody is in a federation yet."""
    world = World(tmp_path)
    for wanted in EVERYBODY:
        world.make(wanted)
    return world


@pytest.fixture
def federation(world: World) -> World:
    """Version 1 was made, and everybody accepted it."""
    world.issuer.start("heart", world.files("north", "south", "basel", "bern"))
    world.hand_over("study", "north", "south", "basel", "bern")
    return world


@pytest.fixture
def change_line() -> Callable[[Path, str, str], None]:
    def change(path: Path, old: str, new: str) -> None:
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    return change
