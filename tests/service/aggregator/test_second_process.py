"""A second process on an aggregator's store stops, and harms no round."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Databases
from tests.service.aggregator.conftest import Federation, Process
from tests.unit.aggregator.world import HOSPITALS

pytestmark = pytest.mark.service


@pytest.fixture
def one(
    start_federation: Callable[..., Federation], databases: Databases, tmp_path: Path
) -> Iterator[Federation]:
    """Aggregators whose stores are not in their data folders."""
    names = iter(("north", "south"))
    places = {name: databases(tmp_path / f"{name}.db") for name in names}
    kind = "server" if "://" in places["north"] else "file"
    federation = start_federation(f"second-{kind}")
    for name, server in federation.servers.items():
        server.stop()
        shutil.rmtree(server.data)
        place = places[name]
        url = place if "://" in place else f"sqlite:///{place}"
        settings = server.folder / "aggregator.toml"
        settings.write_text(f"database = {url!r}\n{settings.read_text()}")
        server.start()
    yield federation
    for server in federation.servers.values():
        server.stop()


def second(server: Process, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Start the same aggregator again, with a data folder of its own."""
    ignored = shutil.ignore_patterns("data", "log")
    shutil.copytree(server.folder, folder, ignore=ignored)
    return subprocess.run(
        [sys.executable, "-m", "fedsecure_aggregator", "--config", "aggregator.toml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_second_process_says_so_and_the_round_goes_on(
    one: Federation, tmp_path: Path
) -> None:
    asked = one.propose()
    receipts = one.collect(asked, *HOSPITALS[:3])
    ended = second(one.north, tmp_path / "second")
    assert ended.returncode == 1
    assert ended.stderr.startswith("FS-547")
    assert f"process {one.north.child.pid} on" in ended.stderr
    assert "Traceback" not in ended.stderr
    receipts |= one.collect(asked, HOSPITALS[3])
    one.require_mean(asked, receipts, *HOSPITALS)
    one.north.restart()  # killed, and started again at once
    assert one.north.standing(asked)["state"] == "opened"


def test_neither_is_a_store_replaced_under_a_process_of_another_data_folder(
    one: Federation, tmp_path: Path
) -> None:
    folder = tmp_path / "second"
    ignored = shutil.ignore_patterns("data", "log")
    shutil.copytree(one.north.folder, folder, ignore=ignored)
    asked = one.propose()
    one.grant(asked)

    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "fedsecure_aggregator", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    assert command("backup", "now.db").returncode == 0
    refused = command("restore", "now.db", "--yes")
    assert refused.stderr.startswith("FS-547"), refused
    assert one.north.standing(asked)["state"] == "granted"
