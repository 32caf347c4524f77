"""A federation of containers, started and disturbed.

Said here and not on the pages: each organisation has a machine of its own. Here it is a
project of its own under one engine, and the network between the machines is one more
network, in which every server has the name that it has in the federation.
"""

import json
import os
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from fedsecure.demo.provision import HOST, free_ports
from tests.compose.engine import Engine
from tests.compose.pages import CONTAINERS, HOSPITALS, PARTIES, SERVICES
from tests.compose.parties import Images, Parties
from tests.organisations import PATIENCE, shell

TRAINING: Final = "study.example"  # the container, and so its name in the networks
Models = list[tuple[Any, ...]]
QUERY: Final = (  # the rounds of a run: their sets, the digests of means and models
    "SELECT r.round, r.purpose, r.set_size, m.sha256 AS mean, n.sha256 AS model, "
    "r.total_weight, r.clipped FROM rounds r LEFT JOIN models m ON m.path = r.mean "
    "LEFT JOIN models n ON n.path = r.model "
    "WHERE r.run = :run AND r.state = 'opened' ORDER BY r.entry"
)


@dataclass
class Containers(Parties):
    """Parties whose programs run in containers, each in a project of its own."""

    # --- the engine --------------------------------------------------------------

    @property
    def outside(self) -> str:
        """The network between the machines."""
        return f"{self.project}-outside"

    def compose(self, party: str, *arguments: str) -> str:
        """Run `docker compose` as a party, with what it printed as the result."""
        done = self.try_compose(party, *arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def try_compose(
        self, party: str, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `docker compose` as a party, whatever comes of it."""
        return subprocess.run(
            ["docker", "compose", "--env-file", f"{party}.env", *arguments],  # noqa: S607
            check=False,
            cwd=self.home(party),
            env=self.of(party),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def container(self, party: str, service: str | None = None) -> str:
        """Return the id of a service's container."""
        name = service or self.service(party)
        return self.compose(party, "ps", "--all", "--quiet", name).strip()

    def plug_in(self, party: str) -> None:
        """Connect a party's container to the outside, under its name there."""
        name = f"{party}.example"
        container = self.container(party)
        self.engine.docker(
            "network", "connect", "--alias", name, self.outside, container
        )

    def unplug(self, party: str) -> None:
        """Cut a party's container off from the outside."""
        container = self.container(party)
        self.engine.docker("network", "disconnect", self.outside, container)

    def start_service(self, party: str) -> None:
        """Start a server or an agent as the page says, on the outside network."""
        self.compose(party, "create", "--no-build", self.service(party))
        self.plug_in(party)
        try:
            self.type_page(party, "start")
        except AssertionError as failed:
            failed.add_note(self.compose(party, "logs"))
            raise

    def start_everybody(self) -> None:
        """Start all but the model owner's command; hospitals approve before."""
        self.provide_sudo()
        for party in PARTIES:
            self.type_page(party, "prepare")
        self.type_page("north", "postgresql")
        owner = self.home("study") / "owner.toml"
        text = owner.read_text()
        # Four agents that start at once on two processors take their time.
        owner.write_text(text.replace("join_seconds = 60.0", "join_seconds = 300.0"))
        self.type_page("study", "export")
        for hospital in HOSPITALS:
            self._give("study", hospital, "heart.study.json")
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(self.start_service, ("north", "south")))
            list(threads.map(lambda one: self.type_page(one, "approve"), HOSPITALS))
            list(threads.map(self.start_service, HOSPITALS))

    def everybody_down(self) -> None:
        """Everybody takes down what runs, the model owner first."""
        self.down("study")
        self.engine.run("rm", "--force", TRAINING)
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(self.down, (*HOSPITALS, "north", "south")))
        assert (
            self.engine.docker("ps", "--quiet", "--filter", f"name={self.project}")
            == ""
        )

    def everybody_up(self) -> None:
        """And starts it again."""
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(self.start_service, ("north", "south", *HOSPITALS)))

    def is_under_way(self, training: "Training") -> bool:
        """Tell whether a command of the model owner is still at work."""
        form = ("--format", "{{.State.Running}}")
        return "true" in self.engine.docker("inspect", *form, training.container)

    def down(self, party: str, *options: str) -> None:
        self.compose(party, "down", *options)

    def kill(self, party: str) -> None:
        """End a server as a power cut does."""
        self.engine.docker("kill", self.container(party))

    def logs(self, party: str) -> str:
        """Return all that a party's server or agent has written."""
        done = self.engine.run("logs", self.container(party))
        return done.stdout + done.stderr

    def log_lines(self, party: str) -> list[dict[str, Any]]:
        lines = self.logs(party).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def metric(self, party: str, name: str) -> float:
        """Return one number of an aggregator's page of metrics."""
        url = f"https://{HOST}:{self.ports[party]}/metrics"
        trust = str(self.home(party) / "authorities.pem")
        with httpx.Client(verify=_tls(trust), trust_env=False) as client:
            page = client.get(url).text
        for line in page.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        msg = f"{party} has no {name}: {page}"
        raise AssertionError(msg)

    # --- trainings ---------------------------------------------------------------

    def train(self, *arguments: str) -> "Training":
        """Start the model owner's command; it runs on."""
        (command,) = CONTAINERS["study", "train"]
        begin = command.partition(" owner train")[0]
        words = begin.replace(" run --rm ", f" run --detach --name {TRAINING} ").split()
        self.engine.run("rm", "--force", TRAINING)
        done = subprocess.run(
            [*words, "owner", "train", *arguments],
            check=False,
            cwd=self.home("study"),
            env=self.of("study"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        container = done.stdout.split()[-1]
        self.engine.docker("network", "connect", self.outside, container)
        return Training(self.engine, container)

    def rounds(self, run: str) -> Models:
        """Return the rounds that a run has opened."""
        return [tuple(row.values()) for row in self.ask(QUERY, {"run": run})]

    def newest_run(self) -> str:
        (row,) = self.ask("SELECT run FROM runs ORDER BY entry DESC LIMIT 1")
        return str(row["run"])

    def ask(
        self, query: str, values: Mapping[str, object] | tuple[()] = ()
    ) -> list[dict[str, Any]]:
        """Read the model owner's round store."""
        connection = sqlite3.connect(
            f"file:{self.home('study') / 'rounds.db'}?mode=ro", uri=True
        )
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(query, values)]
        finally:
            connection.close()


@dataclass(frozen=True)
class Training:
    """One `fedsecure train` in a container."""

    engine: Engine
    container: str

    def output(self) -> str:
        done = self.engine.run("logs", self.container)
        return done.stdout + done.stderr

    def wait(self) -> int:
        """Wait for the end of the command and return its exit code."""
        return int(self.engine.docker("wait", self.container))


def wait_until(ready: Callable[[], object], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline, what()
        time.sleep(0.1)


def _tls(trust: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=trust)
    context.check_hostname = False  # its name leads elsewhere out here
    return context


@contextmanager
def federation(
    folder: Path, engine: Engine, images: Images, project: str
) -> Iterator[Containers]:
    """Give the parties their folders; nothing of them is left in the engine."""
    ports = dict(zip(SERVICES, free_ports(3), strict=True))
    with ExitStack() as stack:
        everybody = Containers(
            folder,
            shell(),
            {},
            stack,
            engine=engine,
            images=images,
            project=project,
            ports=ports,
        )
        for party in PARTIES:
            everybody.move_in(party)
        engine.docker("network", "create", everybody.outside)
        try:
            yield everybody
        finally:
            _clean(everybody)


def _clean(everybody: Containers) -> None:
    engine, images = everybody.engine, everybody.images
    engine.run("rm", "--force", TRAINING)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda party: _remove(everybody, party), PARTIES))
    engine.run("network", "rm", everybody.outside)
    engine.run("image", "rm", images.aggregator, images.owner, images.agent)


def _remove(everybody: Containers, party: str) -> None:
    """Remove what a party has in the engine, and give its files back to this user."""
    if not (everybody.home(party) / f"{party}.env").exists():
        return
    everybody.try_compose(party, "--profile", "*", "kill")
    everybody.down(party, "--volumes", "--remove-orphans")
    everybody.type(party, f"sudo chown -R {os.geteuid()} .")
