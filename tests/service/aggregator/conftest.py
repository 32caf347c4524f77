import json
import os
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w

from fedsecure.membership.accepted import Accepted, save_accepted
from fedsecure.protocol.signing_keys import save_signing_key
from fedsecure.transport.certificates import Authority
from tests.unit.aggregator.world import OWNER, SERVERS, Report, Round, World

START_SECONDS = 60
CONFIG = ("--config", "aggregator.toml")


@dataclass
class Process:
    """One real aggregator process over TLS, on a free port of loopback."""

    name: str
    world: World
    folder: Path
    tls: ssl.SSLContext
    files: int | None = None  # descriptors that it may have
    child: subprocess.Popen[bytes] = field(init=False)
    http: httpx.Client = field(init=False)
    port: int = field(init=False)

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            begin = log.tell()
            self.child = subprocess.Popen(
                [
                    *self._limited(),
                    sys.executable,
                    "-m",
                    "fedsecure_aggregator",
                    *CONFIG,
                ],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.port = self._wait_for("listening", begin)["port"]
        self.http = httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}", verify=self.tls, timeout=60
        )

    def _limited(self) -> list[str]:
        if self.files is None:
            return []
        return ["sh", "-c", f'ulimit -n {self.files} && exec "$0" "$@"']

    def _wait_for(self, event: str, begin: int) -> dict[str, Any]:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.child.poll() is None:
            for line in self.log_lines(begin):
                if line.get("event") == event:
                    return line
            time.sleep(0.05)
        pytest.fail(f"{self.name} did not start: {(self.folder / 'log').read_text()}")

    def log_lines(self, begin: int = 0) -> list[dict[str, Any]]:
        text = (self.folder / "log").read_bytes()[begin:].decode()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End this process and return its exit code."""
        self.http.close()
        os.kill(self.child.pid, number)
        return self.child.wait(START_SECONDS)

    def restart(self, number: int = signal.SIGKILL) -> None:
        self.stop(number)
        self.start()

    def grant(self, asked: Round) -> httpx.Response:
        return self.http.put(f"/v1/rounds/{asked.digest}", content=asked.spec.token)

    def send(self, report: Report) -> httpx.Response:
        return self.send_body(report, report.body)

    def send_body(self, report: Report, body: bytes) -> httpx.Response:
        statement = report.header.statement
        return self.http.put(
            f"/v1/rounds/{statement.spec}/reports/{statement.reporter}", content=body
        )

    def open(self, asked: Round, token: str) -> httpx.Response:
        return self.http.post(f"/v1/rounds/{asked.digest}/open", content=token)

    def void(self, asked: Round) -> httpx.Response:
        return self.http.post(
            f"/v1/rounds/{asked.digest}/void", content=self.world.void(asked)
        )

    def read(self, path: str, reader: str) -> httpx.Response:
        expires = int(time.time()) + 60
        ticket = self.world.ticket(self.name, reader, path, expires)
        return self.http.get(path, headers={"Authorization": f"Bearer {ticket}"})

    def standing(self, asked: Round) -> dict[str, Any]:
        answer = self.read(f"/v1/rounds/{asked.digest}", OWNER)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """Everything in its store, by table."""
        tables = ("rounds", "reports", "openings", "events", "refusals")
        with closing(
            sqlite3.connect(f"file:{self.data / 'aggregator.db'}?mode=ro", uri=True)
        ) as database:
            return {
                table: database.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608
                for table in tables
            }

    def spool(self) -> dict[str, int]:
        """Every file in its data folder but the database's, with its size."""
        return {
            str(path.relative_to(self.data)): path.stat().st_size
            for path in self.data.rglob("*")
            if path.is_file() and not path.name.startswith("aggregator.db")
        }


@dataclass
class Federation:
    """Both aggregator processes, and everybody who talks to them."""

    world: World
    servers: dict[str, Process]
    authority: Authority

    @property
    def north(self) -> Process:
        return self.servers["north"]

    def propose(self, **changes: Any) -> Round:
        """A round of its own run, so that tests do not see each other's."""
        number = int.from_bytes(self.world.rand(6))
        fresh = {
            "run": f"run-{number}",
            "task": self.world.rand(32).hex(),
            "model": self.world.rand(32).hex(),
            "deadline": int(time.time()) + 300,
        }
        return self.world.propose(**{**fresh, **changes})

    def grant(self, asked: Round) -> dict[str, str]:
        answers = {name: server.grant(asked) for name, server in self.servers.items()}
        assert {a.status_code for a in answers.values()} == {200}, answers
        return {name: answer.text for name, answer in answers.items()}

    def collect(self, asked: Round, *reporters: str) -> dict[str, dict[str, str]]:
        grants = self.grant(asked)
        receipts = {}
        for reporter in reporters:
            sealed = self.world.report(asked, grants, reporter)
            answers = {name: self.servers[name].send(sealed[name]) for name in SERVERS}
            assert {a.status_code for a in answers.values()} == {200}, answers
            receipts[reporter] = {name: a.text for name, a in answers.items()}
        return receipts

    def require_mean(
        self, asked: Round, receipts: dict[str, dict[str, str]], *reporters: str
    ) -> None:
        """Open at both, and assert that the mean is exactly over these reporters."""
        opening = self.world.opening(
            asked, {name: receipts[name] for name in reporters}
        )
        shares = []
        for server in self.servers.values():
            answer = server.open(asked, opening.token)
            assert answer.status_code == 200, answer.text
            shares.append(self.world.unseal(asked, opening, answer.content))
        self.world.require_mean(asked, shares, reporters)


def prepare(
    world: World, name: str, folder: Path, authority: Authority, **changes: Any
) -> None:
    """Write what one aggregator's operator writes; `changes` are further settings."""
    folder.mkdir()
    now = datetime.now(UTC)
    certified = authority.certify(["127.0.0.1"], now, timedelta(days=1))
    (folder / "tls.pem").write_bytes(certified.certificate)
    (folder / "tls.key").write_bytes(certified.key)
    save_signing_key(folder / "key.pem", world.keys[name])
    (folder / "federation.toml").write_text(tomli_w.dumps(world.federation_content()))
    accepted = Accepted.of(world.federation, name, authorities=None)
    save_accepted(folder / "accepted.toml", accepted)
    settings = {
        "name": name,
        "federation": "federation.toml",
        "key": "key.pem",
        "listen": "127.0.0.1:0",
        "tls": {"certificate": "tls.pem", "key": "tls.key"},
        **changes,
        "policy": {
            "max_open_rounds": 1000,
            "requests_per_minute": 100_000,
            **changes.get("policy", {}),
        },
    }
    (folder / "aggregator.toml").write_text(tomli_w.dumps(settings))


@pytest.fixture(scope="session")
def start_federation(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Federation]]:
    """Start two aggregators of a federation of their own; with further settings."""
    started: list[Process] = []

    def start(
        seed: str,
        world: World | None = None,
        files: int | None = None,
        **changes: Any,
    ) -> Federation:
        world, folder = world or World(seed), tmp_path_factory.mktemp(seed)
        authority = Authority.create("test", datetime.now(UTC), timedelta(days=1))
        (folder / "ca.pem").write_bytes(authority.pem)
        tls = ssl.create_default_context(cafile=folder / "ca.pem")
        servers = {}
        for name in SERVERS:
            prepare(world, name, folder / name, authority, **changes)
            servers[name] = Process(name, world, folder / name, tls, files)
            servers[name].start()
            started.append(servers[name])
        return Federation(world, servers, authority)

    yield start
    for process in started:
        if process.child.poll() is None:
            process.stop()


@pytest.fixture(scope="session")
def federation(start_federation: Callable[..., Federation]) -> Federation:
    return start_federation("shared")
