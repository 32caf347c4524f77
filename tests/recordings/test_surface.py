"""What others rely on stays as it is, unless the recording is changed with it."""

import json

import pytest

from tests.recordings import surface

RECORDED = json.loads(surface.RECORDING.read_text("utf-8"))
FOUND = surface.surface()


@pytest.mark.parametrize("part", sorted(RECORDED))
def test_the_surface_is_as_recorded(part: str) -> None:
    assert FOUND[part] == RECORDED[part]


def test_nothing_of_the_surface_is_left_out_of_the_recording() -> None:
    assert set(FOUND) == set(RECORDED)
