"""One federation in which somebody is killed in every run, and what must hold after.

undisturbed   a run to which nothing happens: its models are what all others get
check         after a run: the same models, the same openings, nothing left over
"""

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from sqlalchemy import create_engine, text

from fedsecure.audit.verify import Progress, audit
from fedsecure.demo.processes import Processes
from fedsecure.demo.provision import AGGREGATORS, OWNER, provision
from fedsecure.protocol import identity
from fedsecure.protocol.federation_versions import Federations
from fedsecure.storage import database
from fedsecure.study.sites import find_sites
from fedsecure.system.crash_points import VARIABLE
from tests.e2e.federation import (
    HEART,
    NOTES,
    PATIENCE,
    PYTHONPATH,
    Federation,
    change_toml,
    wait_until,
)

ROUNDS: Final = 3
OWNER_SETTINGS: Final = {"round_seconds": 12.0, "join_seconds": 60.0}
STUDY: Final = {
    "aggregation": {
        "strategy": "FedAvgM",
        "min_cohort": 4,
        "options": {"server_momentum": 0.9},
    }
}
TRIES: Final = 3  # of `train --resume` that may be needed


@dataclass
class Scene:
    """A running federation, and runs of it that are disturbed one after the other."""

    running: Federation
    databases: Mapping[str, str]  # party > URL or file
    expected: list[tuple[Any, ...]] = field(default_factory=list)
    aggregators: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start_aggregator(self, name: str, fault: str = "") -> None:
        config = self.running.folder.config(name)
        arguments = ["aggregator", "--config", str(config)]
        with environment(fault):
            self.aggregators[name] = self.running.processes.start(
                name, arguments, config.parent / "log.txt"
            )
        self.wait_ready(name)

    def restart_aggregator(self, name: str, fault: str) -> None:
        """Stop one in good order, and start it with a fault."""
        self.aggregators[name].terminate()
        assert self.aggregators[name].wait(PATIENCE) == 0
        self.start_aggregator(name, fault)

    def wait_ready(self, name: str) -> None:
        folder = self.running.folder
        trust = ssl.create_default_context(cafile=folder.authority)
        with httpx.Client(verify=trust, trust_env=False, timeout=2.0) as client:

            def ready() -> bool:
                assert self.aggregators[name].poll() is None, f"{name} ended"
                try:
                    return client.get(f"{folder.urls[name]}/health/ready").is_success
                except httpx.HTTPError:
                    return False

            wait_until(ready, f"{name} to be ready")

    def restart_agent(self, site: str, fault: str) -> None:
        self.running.agents[site].terminate()
        self.running.agents[site].wait(PATIENCE)
        with environment(fault):
            self.running.start_agent(site)

    def train(
        self, fault: str = "", resume: str | None = None
    ) -> "subprocess.Popen[bytes]":
        """Start the model owner's command."""
        config = self.running.folder.config(OWNER)
        arguments = ["train", "--config", str(config)]
        if resume is None:
            arguments += ["--rounds", str(ROUNDS)]
        else:
            arguments += ["--resume", resume]
        with environment(fault):
            return self.running.processes.start(
                OWNER, arguments, self.running.owner_log
            )

    def finish(self, training: "subprocess.Popen[bytes]") -> None:
        """Let a run come to its end, resumed as often as it takes."""
        for _ in range(TRIES):
            if training.wait(PATIENCE) == 0:
                return
            training = self.train(resume=self.run())
        assert training.wait(PATIENCE) == 0, self.running.output()

    def superlink(self, training: "subprocess.Popen[bytes]") -> int:
        """Return the process id of the owner's SuperLink."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                command = (stat.parent / "cmdline").read_bytes()
            except (OSError, IndexError):
                continue
            if (
                parent == training.pid
                and b"fedsecure.frameworks.flower.runtime.child" in command
            ):
                return int(stat.parent.name)
        pytest.fail("no SuperLink runs")

    # --- what is on record ----------------------------------------------------

    def ask(self, party: str, query: str, **values: object) -> list[Any]:
        engine = create_engine(database.locate(self.databases[party]))
        try:
            with engine.connect() as connection:
                return [tuple(r) for r in connection.execute(text(query), values)]
        finally:
            engine.dispose()

    def run(self) -> str:
        query = "SELECT run FROM runs ORDER BY entry DESC LIMIT 1"
        return str(self.ask(OWNER, query)[0][0])

    def opened(self, run: str) -> list[tuple[Any, ...]]:
        """Return what a run has opened: rounds, sets, digests of means and models."""
        return self.ask(
            OWNER,
            "SELECT r.round, r.purpose, r.set_size, m.sha256, n.sha256, "
            "r.total_weight, r.clipped, r.clamped FROM rounds r "
            "LEFT JOIN models m ON m.path = r.model "
            "LEFT JOIN models n ON n.path = r.mean "
            "WHERE r.run = :run AND r.state = 'opened' ORDER BY r.entry",
            run=run,
        )

    def check(self) -> None:
        """Assert that the last run ended as if nobody had been killed."""
        run = self.run()
        # (1) The same rounds over the same sets, the same means, the same models.
        assert self.opened(run) == self.expected, self.running.output()
        (state,) = self.ask(OWNER, "SELECT state FROM runs WHERE run = :r", r=run)
        assert state == ("completed",)
        # (2) No row of the owner's store is anything but what its ledger says.
        self._audit()
        for name in AGGREGATORS:
            self._check_aggregator(name, run)

    def _check_aggregator(self, name: str, run: str) -> None:
        # (3) Every round was opened once, whatever the number of attempts.
        opened = self.ask(
            name,
            "SELECT round, purpose, COUNT(*), MAX(count) FROM openings "
            "WHERE run = :run GROUP BY round, purpose ORDER BY purpose DESC, round",
            run=run,
        )
        rounds = [(n, purpose, 1, size) for n, purpose, size, *_ in self.expected]
        assert opened == rounds
        # (4) Every receipt: its report is in the opened sum, or its round is void.
        undecided = self.ask(
            name,
            "SELECT r.round, r.attempt, r.state FROM rounds r WHERE r.run = :run "
            "AND r.state NOT IN ('opened', 'void')",
            run=run,
        )
        assert undecided == []
        left_out = self.ask(
            name,
            "SELECT p.reporter, p.report_id, o.members FROM reports p "
            "JOIN openings o ON o.spec = p.spec WHERE o.run = :run",
            run=run,
        )
        assert [one for one in left_out if f'"{one[1]}"' not in one[2]] == []
        # (5) Neither a key nor a report is left.
        spool = self.running.folder.store(name).parent / "rounds"
        wait_until(lambda: not _left(spool), f"{name} to scrub")

    def _audit(self) -> None:
        folder = self.running.folder
        known = identity.load_federation(folder.federation)
        quiet = Progress(lambda _what, _total: None, lambda _number: None)
        places = [str(self.databases[name]) for name in (OWNER, *AGGREGATORS)]
        home = folder.config(OWNER).parent
        report = audit(places[0], places[1:], Federations([known]), quiet, home)
        assert report.findings == []


def _left(spool: Path) -> list[Path]:
    return [*spool.glob("*/key"), *spool.glob("*/reports/*")]


@contextmanager
def environment(fault: str) -> Iterator[None]:
    """Name a fault for the processes that are started in the block."""
    before = os.environ.get(VARIABLE)
    if fault:
        os.environ[VARIABLE] = fault
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


@contextmanager
def scene(root: Path, place: Callable[[Path], str]) -> Iterator[Scene]:
    """Start a federation, and let it run once undisturbed.

    Args:
        root: An empty folder.
        place: Gives a database for a file's path.
    """
    notes, folder = root / "notes", root / "study"
    notes.mkdir()
    shutil.copytree(HEART, folder)
    change_toml(folder / "study.toml", STUDY)
    demo = provision(root / "demo", folder, find_sites(folder))
    databases = {}
    for party in (OWNER, *AGGREGATORS):
        own = demo.config(OWNER).parent / "rounds.db"
        databases[party] = place(own if party == OWNER else demo.store(party))
        if "://" in databases[party]:
            change_toml(demo.config(party), {"database": databases[party]})
    change_toml(demo.config(OWNER), OWNER_SETTINGS)
    with pytest.MonkeyPatch.context() as patch, Processes() as processes:
        patch.setenv(NOTES, str(notes))
        patch.setenv("PYTHONPATH", PYTHONPATH)
        made = Scene(Federation(demo, notes, processes), databases)
        for name in AGGREGATORS:
            made.start_aggregator(name)
        for site in demo.sites:
            change_toml(demo.config(site), {"app": "tests.kill.app:app"})
            made.running.start_agent(site)
        training = made.train()
        assert training.wait(PATIENCE) == 0, made.running.output()
        made.expected = made.opened(made.run())
        made.check()
        yield made
