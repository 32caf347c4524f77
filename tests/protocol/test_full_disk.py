"""The model owner's disk becomes full in the middle of a round."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from fedsecure.errors import OperatorError
from fedsecure.system import crash_points
from fedsecure.system.crash_points import Point
from tests.protocol.federation import MemoryFederation, federate
from tests.protocol.test_resume import Owner, Stub

SIZE: Final = 2**20  # bytes


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path], Path]]:
    """Mount a disk of `SIZE` on a folder."""
    mounted: list[Path] = []

    def mount(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"NOT TESTED: no tmpfs can be mounted here: {done.stderr!r}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)  # noqa: S607


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    with federate(tmp_path_factory.mktemp("undisturbed")) as memory:
        return Owner(memory).run()


# The mean cannot be saved, or a share that came.
@pytest.mark.parametrize("part", ["models", "rounds"])
def test_a_full_disk_stops_the_run_and_it_goes_on_when_there_is_room(
    memory: MemoryFederation,
    small_disk: Callable[[Path], Path],
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: bytes,
    part: str,
) -> None:
    folder = small_disk(memory.folder / part)
    turns = iter(range(1, 100))

    def fill() -> None:
        if next(turns) == 2:  # in the second round
            with suppress(OSError), (folder / "filler").open("wb", 0) as file:
                while True:
                    file.write(b"x" * 4096)

    monkeypatch.setattr(crash_points, "_fault", Stub(Point.OPENING_RECORDED, fill))
    owner = Owner(memory)
    with pytest.raises(OperatorError, match=f"FS-606.*{folder}"):
        owner.run()
    assert list(folder.rglob("*.part")) == []
    monkeypatch.setattr(crash_points, "_fault", None)
    (folder / "filler").unlink()
    assert owner.resume() == undisturbed
