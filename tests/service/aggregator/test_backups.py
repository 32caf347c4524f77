"""Backups of a server that is at work, by the operator's own commands."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fedsecure.audit.findings import Report
from fedsecure.audit.verify import Progress, alone
from fedsecure.protocol.federation_versions import Federations
from fedsecure_aggregator.storage.audit import KIND
from tests.service.aggregator.conftest import Federation, Process
from tests.unit.aggregator.world import HOSPITALS, SERVERS

pytestmark = pytest.mark.service

QUIET = Progress(lambda _what, _total: None, lambda _number: None)
DIMENSION = 10**6  # 4 MB a report


@pytest.fixture(scope="module")
def saved(start_federation: Callable[[str], Federation]) -> Federation:
    return start_federation("saved")


def test_backups_made_while_uploads_come_in_are_sound_and_disturb_nobody(
    saved: Federation, tmp_path: Path
) -> None:
    backups: list[Path] = []
    for number in range(2):
        asked = saved.propose(dimension=DIMENSION)
        grants = saved.grant(asked)
        sealed = {name: saved.world.report(asked, grants, name) for name in HOSPITALS}

        def upload(who: tuple[str, str]) -> str:
            reporter, server = who
            answer = saved.servers[server].send(sealed[reporter][server])  # noqa: B023
            assert answer.status_code == 200, answer.text
            return answer.text

        each = [(name, server) for name in HOSPITALS for server in SERVERS]
        with ThreadPoolExecutor(len(each)) as pool:
            uploads = [pool.submit(upload, who) for who in each]
            backups.append(backup(saved.north, tmp_path / f"{number}-during.db"))
            texts = dict(zip(each, (one.result() for one in uploads), strict=True))
        backups.append(backup(saved.north, tmp_path / f"{number}-after.db"))
        receipts = {
            name: {server: texts[name, server] for server in SERVERS}
            for name in HOSPITALS
        }
        saved.require_mean(asked, receipts, *HOSPITALS)
    sizes = [entries(saved, place) for place in backups]
    assert sizes == sorted(sizes)
    assert sizes[0] > 0

    saved.north.stop()
    command(saved.north, "restore", backups[-1], "--yes")
    saved.north.start()
    # Opened before the restore, which the store has forgotten: never again.
    fewer = {name: receipts[name] for name in HOSPITALS[:3]}
    refused = saved.north.open(asked, saved.world.opening(asked, fewer).token)
    assert refused.json()["code"] == "FS-305"


def backup(server: Process, file: Path) -> Path:
    command(server, "backup", file)
    return file


def command(server: Process, name: str, file: Path, *more: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "fedsecure_aggregator", name, file, *more],
        cwd=server.folder,
        check=True,
        timeout=60,
    )


def entries(federation: Federation, place: Path) -> int:
    """Audit a backup by itself; return the length of its ledger."""
    report = Report()
    keys = Federations([federation.world.federation])
    with alone(str(place), KIND, keys, report, QUIET) as walked:
        assert walked.sound
    assert report.findings == []
    (store,) = report.stores
    return store.entries
