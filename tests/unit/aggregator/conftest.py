from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from fedsecure.protocol.framing import offset_after
from fedsecure.protocol.signing import Signed, verify
from fedsecure.protocol.statements import Opening, Statement, Void
from fedsecure_aggregator.rounds import grants, openings, recovery, reports, voids
from fedsecure_aggregator.rounds.accumulator import Accumulator
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules.policy import Policy
from fedsecure_aggregator.storage.folder_spool import open_spool
from fedsecure_aggregator.storage.store import open_store
from tests.conftest import Databases
from tests.unit.aggregator.world import (
    SERVERS,
    Clock,
    Entropy,
    Report,
    Round,
    World,
)

S = TypeVar("S", bound=Statement)


@dataclass
class Server:
    """One aggregator without HTTP, on a folder of its own."""

    context: Context
    folder: Path
    place: str  # of its database
    clock: Clock
    running: ExitStack

    def grant(self, asked: Round) -> str:
        return grants.grant(self.context, asked.digest, self.verified(asked.spec))

    def void(self, asked: Round, token: str) -> str:
        void = verify(token, Void, self.context.federation)
        return voids.void(self.context, asked.digest, void)

    def verified(self, signed: Signed[S]) -> Signed[S]:
        """What arrives: only the token is believed."""
        kind = type(signed.statement)
        return verify(signed.token, kind, self.context.federation)

    def report(self, report: Report) -> str:
        statement = report.header.statement
        expected = reports.expect(
            self.context,
            statement.spec,
            statement.reporter,
            self.verified(report.header),
        )
        with self.context.spool.uploading("a report") as upload:
            upload.write(report.body)
            upload.sync()
        return reports.accept(
            self.context, expected, upload, offset_after(report.header.token)
        )

    def open(self, asked: Round, opening: Signed[Opening]) -> bytes:
        statement = self.verified(opening)
        share = openings.open_round(self.context, asked.digest, statement)
        return b"".join(share.body())

    def key_file(self, asked: Round) -> Path:
        return self.folder / "rounds" / asked.digest / "key"

    def report_file(self, asked: Round, reporter: str) -> Path:
        return self.folder / "rounds" / asked.digest / "reports" / reporter

    def report_files(self, asked: Round) -> list[str]:
        return self.context.spool.reports(asked.digest)


@dataclass
class Pair:
    """Both aggregators of a world."""

    world: World
    servers: dict[str, Server]

    @property
    def north(self) -> Server:
        return self.servers["north"]

    def grant(self, asked: Round) -> dict[str, str]:
        return {name: server.grant(asked) for name, server in self.servers.items()}

    def collect(self, asked: Round, *reporters: str) -> dict[str, dict[str, str]]:
        """Let data owners report at both; receipts by reporter and aggregator."""
        tokens = self.grant(asked)
        receipts = {}
        for reporter in reporters:
            sealed = self.world.report(asked, tokens, reporter)
            receipts[reporter] = {
                name: self.servers[name].report(report)
                for name, report in sealed.items()
            }
        return receipts

    def restart(self, name: str) -> Server:
        """Stop one aggregator as if by a power cut, and start it again."""
        before = self.servers[name]
        before.running.close()
        before.context.store.close()
        self.servers[name] = start(
            self.world, name, before.folder, before.place, before.clock
        )
        recovery.recover(self.servers[name].context)
        return self.servers[name]


def start(world: World, name: str, folder: Path, place: str, clock: Clock) -> Server:
    running = ExitStack()
    spool = running.enter_context(open_spool(folder))
    author = world.author(name)
    context = Context(
        author=author,
        versions=world.known,
        policy=Policy(),
        store=open_store(place, author),
        spool=spool,
        accumulator=Accumulator(spool),
        clock=clock,
        monotonic=clock,
        rand=Entropy(f"{name} {folder.stat().st_mtime_ns}"),
    )
    return Server(context, folder, place, clock, running)


def with_policy(server: Server, **changes: int) -> None:
    server.context = replace(server.context, policy=Policy(**changes))


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def pair(world: World, tmp_path: Path, databases: Databases) -> Iterator[Pair]:
    clock = Clock()
    servers = {
        name: start(
            world,
            name,
            tmp_path / name,
            databases(tmp_path / name / "aggregator.db"),
            clock,
        )
        for name in SERVERS
    }
    for server in servers.values():
        recovery.recover(server.context)
    both = Pair(world, servers)
    yield both
    for server in both.servers.values():
        server.running.close()
        server.context.store.close()
