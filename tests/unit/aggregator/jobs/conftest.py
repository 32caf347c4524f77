import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from fedsecure.protocol.framing import offset_after
from fedsecure.protocol.jobs.statements import (
    JobChannel,
    JobInput,
    JobQuery,
    JobSpec,
    JobStart,
    JobVoid,
)
from fedsecure.protocol.signing import Signed, verify
from fedsecure.protocol.statements import Statement
from fedsecure_aggregator.http.app import create_app
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.jobs import (
    grants,
    inputs,
    outputs,
    queries,
    recovery as jobs_recovery,
    running,
    services,
    standing,
    starts,
    voids,
)
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.jobs.queries import Address
from fedsecure_aggregator.rounds import recovery
from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from fedsecure_aggregator.storage.folder_spool import FolderSpool
from fedsecure_aggregator.storage.jobs.folder_spool import FolderJobSpool
from tests.conftest import Databases
from tests.unit.aggregator.conftest import Server, start
from tests.unit.aggregator.jobs.world import A, Asked, B, Job, JobWorld, Upload
from tests.unit.aggregator.world import SERVERS, Clock

S = TypeVar("S", bound=Statement)


@dataclass
class JobServer:
    """One aggregator's jobs without HTTP: what arrives is verified, then done."""

    server: Server
    jobs: JobContext

    def verified(self, token: str, kind: type[S]) -> Signed[S]:
        return verify(token, kind, self.server.context.federation)

    def grant(self, job: Job) -> str:
        signed = self.verified(job.spec.token, JobSpec)
        return grants.grant(self.jobs, job.digest, signed)

    def start(self, job: Job, token: str) -> str:
        return starts.start(self.jobs, job.digest, self.verified(token, JobStart))

    def channel(self, job: Job, token: str) -> str:
        return starts.channel(self.jobs, job.digest, self.verified(token, JobChannel))

    def put(self, job: Job, upload: Upload[JobInput]) -> str:
        header = self.verified(upload.header.token, JobInput)
        expected = inputs.expect(self.jobs, job.digest, header.statement.name, header)
        with self.jobs.spool.uploading("an input") as file:
            file.write(upload.body)
            file.sync()
        offset = offset_after(upload.header.token)
        try:
            inputs.open_input(self.jobs, expected, file, offset)
            return inputs.accept(self.jobs, expected, file)
        finally:
            file.discard()

    def run(self) -> None:
        for digest in running.due(self.jobs):
            running.finish(self.jobs, running.compute(self.jobs, digest))

    def ask(self, job: Job, upload: Upload[JobQuery]) -> bytes:
        header = self.verified(upload.header.token, JobQuery)
        said = header.statement
        service = services.find(self.jobs, job.digest)
        address = Address(job.digest, said.client, said.query)
        asked = queries.expect(self.jobs, service, address, header)
        if not queries.is_new(self.jobs, asked):
            found = queries.find_answer(self.jobs, asked)
            if found is not None:
                return found.body
        made = queries.compute(self.jobs, asked, upload.payload)
        return queries.commit(self.jobs, asked, made).body

    def output(self, job: Job) -> bytes:
        receiver = str(job.spec.statement.receiver)
        return outputs.output(self.jobs, job.digest, receiver).body

    def void(self, job: Job, token: str) -> str:
        return voids.void(self.jobs, job.digest, self.verified(token, JobVoid))

    def standing(self, job: Job, reader: str = "") -> dict[str, Any]:
        who = reader or job.spec.statement.proposer
        return standing.standing(self.jobs, job.digest, who)

    def state(self, job: Job) -> str:
        return str(self.standing(job)["state"])

    def files(self, job: Job) -> set[str]:
        folder = self.server.folder / "jobs" / job.digest
        return {
            str(path.relative_to(folder))
            for path in folder.rglob("*")
            if path.is_file()
        }


@dataclass
class JobPair:
    """Both aggregators of a world, each with its jobs."""

    world: JobWorld
    servers: dict[str, JobServer]

    @property
    def north(self) -> JobServer:
        return self.servers["north"]

    @property
    def clock(self) -> Clock:
        return self.north.server.clock

    def policy(self, **changes: Any) -> None:
        for one in self.servers.values():
            policy = one.jobs.policy.model_copy(update=changes)
            one.jobs = replace(one.jobs, policy=policy)

    def granted(self, job: Job) -> dict[str, str]:
        return {name: one.grant(job) for name, one in self.servers.items()}

    def started(self, job: Job) -> dict[str, str]:
        """Bring a job to where it takes inputs; return the grants."""
        tokens = self.granted(job)
        begin = self.world.start(job, tokens)
        own = {name: one.start(job, begin) for name, one in self.servers.items()}
        for name, peer in (SERVERS, SERVERS[::-1]):
            self.servers[name].channel(job, own[peer])
        return tokens

    def put(self, job: Job, uploads: dict[str, Upload[JobInput]]) -> dict[str, str]:
        return {name: self.servers[name].put(job, uploads[name]) for name in SERVERS}

    def summed(self, job: Job) -> list[Upload[JobInput]]:
        """Bring a job of a sum to where it runs; return what went in."""
        tokens, used = self.started(job), []
        for name, values in (("a", A), ("b", B)):
            uploads = self.world.shared(job, tokens, name, values)
            self.put(job, uploads)
            used.append(uploads["north"])
        return used

    def served(self, job: Job) -> dict[str, str]:
        """Bring a service to where it answers; return the grants."""
        tokens = self.started(job)
        self.put(job, self.world.model(job, tokens))
        return tokens

    def ask(self, job: Job, asked: Asked) -> dict[str, bytes]:
        return {name: one.ask(job, asked[name]) for name, one in self.servers.items()}

    def restart(self, name: str) -> JobServer:
        """Stop one aggregator as if by a power cut, and start it again."""
        before = self.servers[name]
        old = before.server
        old.running.close()
        old.context.store.close()
        again = start(self.world, name, old.folder, old.place, old.clock)
        self.servers[name] = served_by(again, before.jobs.policy)
        recover(self.servers[name])
        return self.servers[name]


def served_by(server: Server, policy: ComputePolicy) -> JobServer:
    spool = server.context.spool
    assert isinstance(spool, FolderSpool)
    jobs = JobContext(server.context, policy, FolderJobSpool(spool))
    return JobServer(server, jobs)


def recover(one: JobServer) -> None:
    recovery.recover(one.server.context)
    jobs_recovery.recover(one.jobs)


@pytest.fixture
def both(tmp_path: Path, databases: Databases) -> Iterator[JobPair]:
    """Both aggregators of a federation with a clinic; both compute."""
    world, clock = JobWorld(), Clock()
    servers = {}
    for name in SERVERS:
        place = databases(tmp_path / name / "aggregator.db")
        server = start(world, name, tmp_path / name, place, clock)
        servers[name] = served_by(server, ComputePolicy(enabled=True))
        recover(servers[name])
    pair = JobPair(world, servers)
    yield pair
    for one in pair.servers.values():
        one.server.running.close()
        one.server.context.store.close()


@dataclass
class Http:
    """One aggregator over HTTP, in this process; outputs are computed meanwhile."""

    one: JobServer
    loop: asyncio.AbstractEventLoop
    client: httpx.AsyncClient = field(init=False)
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        self.worker = Worker()
        server = self.one.server.context
        app = create_app(server, self.worker, jobs=self.one.jobs)
        transport, url = httpx.ASGITransport(app), "https://north.test"
        self.client = httpx.AsyncClient(transport=transport, base_url=url)

    def send(
        self, method: str, path: str, body: str | bytes = b"", ticket: str = ""
    ) -> httpx.Response:
        return self.together((method, path, body, ticket))[0]

    def together(
        self, *requests: tuple[str, str, str | bytes, str]
    ) -> list[httpx.Response]:
        """Send requests at once, and wait until nothing is computed any more."""

        async def all_of_them() -> list[httpx.Response]:
            answers = await asyncio.gather(
                *(
                    self.client.request(
                        method,
                        path,
                        content=body,
                        headers={"Authorization": f"Bearer {ticket}"} if ticket else {},
                    )
                    for method, path, body, ticket in requests
                )
            )
            others = asyncio.all_tasks() - {asyncio.current_task()}
            await asyncio.gather(*others)
            return answers

        return self.loop.run_until_complete(all_of_them())

    def refused(
        self, method: str, path: str, body: str | bytes = b"", ticket: str = ""
    ) -> str:
        """Send what must be refused, and return with which code."""
        answer = self.send(method, path, body, ticket)
        assert answer.status_code >= 400, answer.text
        return str(answer.json()["code"])

    def put(self, job: Job, upload: Upload[JobInput], name: str = "") -> httpx.Response:
        said = upload.header.statement
        return self.send("PUT", f"{job.path}/inputs/{name or said.name}", upload.body)

    def ask(self, job: Job, upload: Upload[JobQuery]) -> httpx.Response:
        return self.send("POST", path_of(job, upload), upload.body)

    def ticket(self, world: JobWorld, reader: str, path: str) -> str:
        name, now = self.one.jobs.name, int(self.one.server.clock.now)
        return world.ticket(name, reader, path, now + 60)

    def read(self, world: JobWorld, reader: str, path: str) -> httpx.Response:
        return self.send("GET", path, ticket=self.ticket(world, reader, path))

    def close(self) -> None:
        self.loop.run_until_complete(self.client.aclose())
        self.worker.stop()


def path_of(job: Job, upload: Upload[JobQuery]) -> str:
    said = upload.header.statement
    return f"{job.path}/queries/{said.client}/{said.query}"


@pytest.fixture
def http(both: JobPair) -> Iterator[dict[str, Http]]:
    """Both aggregators over HTTP, by name."""
    loop = asyncio.new_event_loop()
    servers = {name: Http(one, loop) for name, one in both.servers.items()}
    yield servers
    for one in servers.values():
        one.close()
    loop.close()
