"""A machine that sleeps in the middle of a run: SIGSTOP, a while, SIGCONT.

The owner's command and its SuperLink sleep together, as a laptop does; an agent and an
aggregator each by themselves. In every case the run just goes on.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fedsecure.demo.provision import AGGREGATORS
from tests.e2e.federation import Federation, federation, wait_until

pytestmark = pytest.mark.e2e

LONG = 100.0  # seconds: the SuperLink gives up its own run
LONGER_THAN_A_LEASE = 40.0  # seconds: it counts an agent as gone after 30
SHORT = 15.0


def sleep_well(pids: Iterable[int], seconds: float) -> None:
    """Stop processes for a while, whatever they are doing."""
    stopped = list(pids)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)


def children(process: "subprocess.Popen[bytes]") -> list[int]:
    tasks = Path(f"/proc/{process.pid}/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def opened(running: Federation) -> int:
    query = "SELECT round FROM v_round WHERE state = 'opened'"
    return len(running.rows(running.owner_db, query))


def more_rounds(running: Federation) -> None:
    before = opened(running)
    wait_until(lambda: opened(running) > before + 1, "two more rounds")


@contextmanager
def training(root: Path) -> Iterator[tuple[Federation, "subprocess.Popen[bytes]"]]:
    """Run a federation whose training, in the end, was never interrupted."""
    settings = {"round_seconds": 60.0, "join_seconds": 60.0, "pause_seconds": 1.0}
    with federation(root, app="tests.e2e.slow_app:app", owner=settings) as running:
        training = running.start_training(rounds=10_000)
        wait_until(lambda: "accuracy" in running.output(), "a round")
        yield running, training
        assert training.poll() is None, running.output()
        assert "--resume" not in running.output()
        twice = running.rows(
            running.owner_db,
            "SELECT round FROM rounds WHERE state = 'opened' AND purpose = 'train' "
            "GROUP BY round HAVING COUNT(*) > 1",
        )
        assert twice == []
        training.terminate()
        assert training.wait(60) == 130


@pytest.mark.timeout(600)
def test_a_run_goes_on_by_itself_after_its_owners_machine_slept(
    tmp_path: Path,
) -> None:
    with training(tmp_path) as (running, process):
        sleep_well([*children(process), process.pid], LONG)
        more_rounds(running)
        assert "goes on after: FS-513" in running.output()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_goes_on_by_itself_after_an_agent_or_an_aggregator_slept(
    tmp_path: Path,
) -> None:
    with training(tmp_path) as (running, _):
        slept = running.folder.sites[0]
        sleep_well([running.agents[slept].pid], LONGER_THAN_A_LEASE)
        since = opened(running)
        everybody = "SELECT round FROM v_round WHERE in_set = 4 AND round > ?"
        wait_until(
            lambda: running.rows(running.owner_db, everybody, since), "all four again"
        )
        sleep_well([running.servers[AGGREGATORS[0]].pid], SHORT)
        more_rounds(running)
