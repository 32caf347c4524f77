"""An agent's state folder that cannot be used has a code, whatever is wrong with it."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fedsecure.errors import OperatorError
from fedsecure.storage import database
from fedsecure_clients.state import storage
from fedsecure_clients.state.agent_state import AgentState
from fedsecure_clients.state.storage import DATABASE, alone
from fedsecure_clients.state.studies import Decision
from tests.protocol.federation import MemoryFederation, refused

LATIN_1 = b"Z\xfcrich"
USES: dict[str, Callable[[AgentState], Any]] = {
    "tidy": lambda state: state.tidy(0.0),
    "payload_path": lambda state: state.payload_path("ab" * 32, "north"),
    "replied": lambda state: state.replied("receipts", 1, 0.0),
    "joined": lambda state: state.joined("one:1", 7),
    "decide": lambda state: state.studies.decide("00", Decision.REFUSED, "", 0.0, {}),
    "refuse": lambda state: state.refusals.add(None, "train", "FS-100", "", 0.0),
}


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Mount a folder read-only, as a failing disk is."""
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        for options in ("bind", "remount,bind,ro"):
            command = ["mount", "-o", options, folder, folder]
            done = subprocess.run(command, capture_output=True, check=False)
            if done.returncode:
                pytest.skip(f"NOT TESTED: nothing can be mounted: {done.stderr!r}")
            mounted[:] = [folder]

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)  # noqa: S607


def test_a_state_folder_on_a_read_only_disk_is_refused_with_its_code(
    memory: MemoryFederation, tmp_path: Path, read_only: Callable[[Path], None]
) -> None:
    disk = tmp_path / "disk"
    with AgentState(disk / "state", memory.versions):
        pass
    read_only(disk)
    for folder in (disk / "state", disk / "new"):
        with refused("FS-383"):
            AgentState(folder, memory.versions).joined("one:1", 7)
        with refused("FS-383"):
            alone(folder)


@pytest.mark.parametrize("name", ["tidy", "payload_path"])
def test_a_disk_that_becomes_read_only_under_an_agent_has_its_code(
    memory: MemoryFederation,
    tmp_path: Path,
    read_only: Callable[[Path], None],
    name: str,
) -> None:
    """Of its files; for the database the file that was open stays writable here."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with AgentState(disk / "state", memory.versions) as state:
        read_only(disk)
        with refused("FS-383"):
            USES[name](state)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_locked_state_says_what_holds_it_and_not_that_the_disk_is_full(
    memory: MemoryFederation,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    use: Callable[[AgentState], Any],
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    with AgentState(tmp_path / "state", memory.versions) as state:
        browser = sqlite3.connect(tmp_path / "state" / DATABASE)
        browser.execute("BEGIN EXCLUSIVE")
        try:
            if use is USES["payload_path"]:  # asks for no row
                return
            with refused("FS-383") as caught:
                use(state)
        finally:
            browser.close()
    assert "database is locked: another program" in caught.value.detail


def test_a_folder_that_is_a_file_is_refused_with_its_code(
    memory: MemoryFederation, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("")
    with refused("FS-383"):
        AgentState(tmp_path / "state", memory.versions)
    with refused("FS-383"):
        alone(tmp_path / "state")


def test_a_state_that_is_no_database_is_refused_with_its_code(
    memory: MemoryFederation, tmp_path: Path
) -> None:
    (tmp_path / DATABASE).write_bytes(b"no database at all" * 1000)
    with refused("FS-383"):
        AgentState(tmp_path, memory.versions)


def test_a_path_that_is_not_utf_8_is_refused_for_each_store(
    memory: MemoryFederation, tmp_path: Path
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + LATIN_1))
    folder.mkdir()
    with refused("FS-607") as caught:
        AgentState(folder, memory.versions)
    assert caught.value.detail.endswith(
        "Z?rich/agent.db holds a name that is not UTF-8"
    )
    with refused("FS-607"):
        database.locate(folder / "rounds.db")


@pytest.mark.parametrize("file", ["agent.toml", "owner.toml", "aggregator.toml"])
def test_every_party_says_so_of_its_own_folder(tmp_path: Path, file: str) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + LATIN_1))
    folder.mkdir()
    mark = {"agent": "flower_key", "owner": "study", "aggregator": "listen"}
    (folder / file).write_text(
        'name = "one"\nfederation = "federation.toml"\nkey = "signing.pem"\n'
        f'{mark[file.removesuffix(".toml")]} = "x"\n'
    )
    command = [sys.executable, "-m", "fedsecure", "doctor", "--config", folder / file]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "FS-803" in ended.stderr
    assert "rename the folder: " in ended.stderr


def test_only_storage_opens_the_state() -> None:
    """Whoever adds a table cannot go around the guard."""
    folder = Path(storage.__file__).parent
    others = [
        path.name
        for path in sorted(folder.glob("*.py"))
        if "Session(" in path.read_text("utf-8") and path.name != "storage.py"
    ]
    assert others == []


def test_the_error_keeps_its_cause(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as caught, storage.guarded(tmp_path):
        raise OSError(28, "No space left on device", str(tmp_path / "x"))
    assert caught.value.detail == f"{tmp_path / 'x'}: No space left on device"
