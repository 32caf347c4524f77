"""Federations of real processes for tests, by the users' own commands."""

import os
import shutil
import signal
import sqlite3
import subprocess
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import tomli_w

from fedsecure.demo.processes import Processes
from fedsecure.demo.provision import (
    AGGREGATORS,
    HOST,
    OWNER,
    DemoFolder,
    provision,
)
from fedsecure.study.sites import find_sites
from tests.e2e.rough_link import RoughLink, rough_link
from tests.organisations import ROLES
from tests.tap import Tap, any_tls, ended_tls, tapping

ROOT: Final = Path(__file__).parents[2]
HEART: Final = ROOT / "studies" / "heart"
PYTHONPATH: Final = f"{ROLES}{os.pathsep}{ROOT}"  # of parties, and of tests' apps
NOTES: Final = "FEDSECURE_TEST_NOTES"  # where the tests' own apps write
PATIENCE: Final = 240.0  # seconds

Changes = Mapping[str, Any]


@dataclass
class Federation:
    """Two aggregators and the sites' agents, running; the owner comes on demand."""

    folder: DemoFolder
    notes: Path
    processes: Processes
    tap: Tap | None = None
    link: RoughLink | None = None
    agents: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    servers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start_agent(self, site: str) -> None:
        config = self.folder.config(site)
        self.agents[site] = self.processes.start(
            site, ["agent", "--config", str(config)], config.parent / "log.txt"
        )

    def kill_agent(self, site: str) -> None:
        agent = self.agents.pop(site)
        agent.send_signal(signal.SIGKILL)
        agent.wait()

    def start_training(self, rounds: int) -> "subprocess.Popen[bytes]":
        config = self.folder.config(OWNER)
        arguments = ["train", "--config", str(config), "--rounds", str(rounds)]
        return self.processes.start(OWNER, arguments, self.owner_log)

    def train(self, rounds: int) -> None:
        training = self.start_training(rounds)
        assert training.wait(PATIENCE) == 0, self.output()

    @property
    def owner_log(self) -> Path:
        return self.folder.config(OWNER).parent / "log.txt"

    def output(self) -> str:
        """Return what the model owner's command has printed."""
        return self.owner_log.read_text(encoding="utf-8")

    @property
    def owner_db(self) -> Path:
        return self.folder.root / "owner" / "rounds.db"

    def aggregator_db(self, name: str) -> Path:
        return self.folder.store(name)

    def rows(self, database: Path, query: str, *values: object) -> list[dict[str, Any]]:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()

    def last_model(self) -> Path:
        query = "SELECT model FROM rounds WHERE model IS NOT NULL ORDER BY round"
        return self.folder.root / "owner" / self.rows(self.owner_db, query)[-1]["model"]


def wait_until(ready: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.1)


def change_toml(path: Path, changes: Changes) -> None:
    """Change keys of a TOML file; tables are merged."""

    def merged(old: Any, new: Any) -> Any:
        if not (isinstance(old, dict) and isinstance(new, Mapping)):
            return new
        return {**old, **{key: merged(old.get(key), new[key]) for key in new}}

    content = tomllib.loads(path.read_text(encoding="utf-8"))
    path.write_text(tomli_w.dumps(merged(content, changes)), encoding="utf-8")


@contextmanager
def federation(
    root: Path,
    *,
    app: str | None = None,
    agent: Changes | None = None,
    owner: Changes | None = None,
    study: Changes | None = None,
    source: Path = HEART,
    tapped: bool = False,
    rough: bool = False,
    policies: Mapping[str, Changes] | None = None,
) -> Iterator[Federation]:
    """Provision a study and start everybody but the model owner.

    Args:
        root: An empty folder.
        app: The ClientApp of every agent instead of their own.
        agent: Changes of every agent.toml.
        owner: Changes of owner.toml.
        study: Changes of study.toml, in a copy.
        source: The study folder that is copied, with one file or folder a site.
        tapped: Whether agents reach the SuperLink through a tap.
        rough: Whether they reach it through a link that a test can disturb.
        policies: Changes of the section [policy] of some sites' agent.toml.
    """
    notes, folder = root / "notes", root / "study"
    notes.mkdir()
    shutil.copytree(source, folder)
    change_toml(folder / "study.toml", study or {})
    demo = provision(root / "demo", folder, find_sites(folder))
    change_toml(demo.config(OWNER), owner or {})
    with (
        pytest.MonkeyPatch.context() as patch,
        ExitStack() as stack,
        Processes() as processes,
    ):
        patch.setenv(NOTES, str(notes))
        patch.setenv("PYTHONPATH", PYTHONPATH)
        tap = stack.enter_context(superlink_tap(demo)) if tapped else None
        port = superlink_port(demo)
        link = stack.enter_context(rough_link(port)) if rough else None
        running = Federation(demo, notes, processes, tap, link)
        for name in AGGREGATORS:
            config = demo.config(name)
            arguments = ["aggregator", "--config", str(config)]
            log = config.parent / "log.txt"
            running.servers[name] = processes.start(name, arguments, log)
        processes.wait_ready(demo.urls, demo.authority, PATIENCE)
        for site in demo.sites:
            changes = {**(agent or {}), **named(app), **through(tap or link)}
            change_toml(demo.config(site), changes)
            policy = (policies or {}).get(site, {})
            change_toml(demo.config(site), {"policy": policy})
            running.start_agent(site)
        yield running


@contextmanager
def superlink_tap(demo: DemoFolder) -> Iterator[Tap]:
    home = demo.config(OWNER).parent
    port = superlink_port(demo)
    inside = ended_tls(home / "tls.pem", home / "tls.key")
    with tapping(port, inside, any_tls()) as tap:
        yield tap


def superlink_port(demo: DemoFolder) -> int:
    content = tomllib.loads(demo.config(OWNER).read_text(encoding="utf-8"))
    return int(content["superlink"]["listen"].rpartition(":")[2])


def through(tap: Tap | RoughLink | None) -> dict[str, str]:
    return {} if tap is None else {"superlink": f"{HOST}:{tap.port}"}


def named(app: str | None) -> dict[str, str]:
    return {} if app is None else {"app": app}


def note(name: str) -> Path:
    """Return a file in the test's notes; for apps that run at the sites."""
    return Path(os.environ[NOTES]) / name
