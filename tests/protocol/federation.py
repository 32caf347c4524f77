"""A whole federation in memory: real parties, real stores, no Flower, no sockets.

Both aggregators' applications answer through `Wire`, where a test can lose, repeat or
change what travels. One clock and one source of randomness serve everybody.
"""

import asyncio
import hashlib
import io
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from fedsecure.contributor.contribution import (
    Accepted,
    Contributor,
    Offer,
    ReceivedTask,
)
from fedsecure.contributor.settlement import Settlement
from fedsecure.core.scheme import Measurement
from fedsecure.errors import FedsecureError
from fedsecure.owner.rounds.proposal import Proposal, RoundRequest
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.owner.store.files import save_array
from fedsecure.owner.store.records import ModelKind, RunStarted, StoredModel
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author, Signed
from fedsecure.protocol.signing_keys import public_key_text
from fedsecure.protocol.statements import (
    Purpose,
    Receipt,
    RoundSpec,
    ScalarField,
    Weighting,
)
from fedsecure.storage import database
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.retries import Patience
from fedsecure_aggregator.http.app import create_app
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.jobs import recovery as jobs_recovery
from fedsecure_aggregator.jobs.context import JobContext
from fedsecure_aggregator.rounds import recovery
from fedsecure_aggregator.rounds.accumulator import Accumulator
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from fedsecure_aggregator.rules.policy import Policy as AggregatorPolicy
from fedsecure_aggregator.storage.folder_spool import open_spool
from fedsecure_aggregator.storage.jobs.folder_spool import FolderJobSpool
from fedsecure_aggregator.storage.store import open_store
from fedsecure_clients.agent.settling import Settling
from fedsecure_clients.consent.checks import Consent
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.state.agent_state import AgentState

OWNER: Final = "consortium"
SERVERS: Final = ("north", "south")
HOSPITALS: Final = ("basel", "bern", "chur", "genf")
NOW: Final = 1_800_000_000.0  # seconds since 1970
DIMENSION: Final = 500
TASK: Final = hashlib.sha256(b"task").hexdigest()
MODEL: Final = hashlib.sha256(b"model").hexdigest()
ANY_STUDY: Final = Policy(studies="any")
FIRST_WEIGHTS: Final = np.zeros(DIMENSION, np.float32)
SCALARS: Final = (ScalarField(name="loss", low=0.0, high=4.0),)


def _initial_model() -> StoredModel:
    file = io.BytesIO()
    np.save(file, FIRST_WEIGHTS)
    content = file.getvalue()
    sha256 = hashlib.sha256(content).hexdigest()
    name = "models/run-1/model-00000.npy"
    return StoredModel(name, sha256, len(content), ModelKind.MODEL, MODEL)


INITIAL: Final = _initial_model()
NO_KEYS: Final[Mapping[str, Ed25519PrivateKey]] = {}

Handler = Callable[[httpx.Request], httpx.Response]
Fault = Callable[[httpx.Request, Handler], httpx.Response]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Entropy:
    """Reproducible bytes, never the same twice."""

    def __init__(self, seed: str) -> None:
        self._seed, self._calls = seed, 0

    def __call__(self, size: int) -> bytes:
        self._calls += 1
        return hashlib.shake_256(f"{self._seed} {self._calls}".encode()).digest(size)


class Wire(httpx.BaseTransport):
    """Carries requests to one aggregator's application; `fault` comes in between.

    `carried` are all requests that reached the application, with their bodies.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asgi: httpx.ASGITransport | None = None
        self._loop = loop
        self.fault: Fault | None = None
        self.carried: list[httpx.Request] = []

    def connect(self, app: Any) -> None:
        """Deliver to an application; None: nobody listens."""
        self._asgi = None if app is None else httpx.ASGITransport(app)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.fault is None:
            return self.deliver(request)
        return self.fault(request, self.deliver)

    def deliver(self, request: httpx.Request) -> httpx.Response:
        """Deliver a request whatever `fault` is."""
        request.read()
        self.carried.append(request)
        return asyncio.run_coroutine_threadsafe(
            self._answer(request), self._loop
        ).result(120)  # tables of noise take seconds, on a busy machine many

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if self._asgi is None:
            msg = "[Errno 111] Connection refused"
            raise httpx.ConnectError(msg, request=request)
        copy = httpx.Request(
            request.method, request.url, headers=request.headers, content=request.read()
        )
        response = await self._asgi.handle_async_request(copy)
        return httpx.Response(
            response.status_code,
            headers=response.headers,
            content=await response.aread(),
        )


@dataclass
class Server:
    """One aggregator on its folder: it stops and starts as a process does."""

    author: Author
    folder: Path
    clock: Clock
    wire: Wire
    policy: AggregatorPolicy = field(default_factory=AggregatorPolicy)
    running: ExitStack = field(default_factory=ExitStack)
    starts: int = 0
    versions: Federations | None = None

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.starts += 1
        spool = self.running.enter_context(open_spool(self.folder))
        context = Context(
            author=self.author,
            policy=self.policy,
            store=open_store(self.folder / "aggregator.db", self.author),
            spool=spool,
            accumulator=Accumulator(spool),
            clock=self.clock,
            monotonic=self.clock,
            rand=Entropy(f"{self.author.name} {self.starts}"),
            versions=self.versions,
        )
        self.running.callback(context.store.close)
        jobs = JobContext(context, ComputePolicy(enabled=True), FolderJobSpool(spool))
        recovery.recover(context)
        jobs_recovery.recover(jobs)
        worker = Worker()
        self.running.callback(worker.stop)
        self.wire.connect(create_app(context, worker, jobs=jobs))

    def stop(self) -> None:
        self.wire.connect(None)
        self.running.close()

    def set_back(self, before: Path) -> None:
        """Take a copy of the folder instead of it, as a snapshot does, and start."""
        self.stop()
        shutil.rmtree(self.folder)
        shutil.copytree(before, self.folder)
        self.start()

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """Read the store as an auditor does."""
        engine = database.open_for_reading(
            database.locate(self.folder / "aggregator.db")
        )
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.exec_driver_sql(query)]
        finally:
            engine.dispose()


@dataclass
class Hospital:
    """A data owner's end, with its state folder."""

    contributor: Contributor
    state: AgentState
    running: ExitStack

    def answer(
        self, proposal: Proposal, measurement: Measurement, **changes: Any
    ) -> dict[str, Signed[Receipt]]:
        """Take part in a round as an agent does."""
        accepted = self.accept(proposal, **changes)
        if not self.contributor.has_contributed(accepted):
            self.contributor.contribute(accepted, measurement)
        return self.contributor.deliver(accepted)

    def accept(self, proposal: Proposal, **changes: Any) -> Accepted:
        spec = proposal.spec.statement
        facts = ReceivedTask(spec.purpose, spec.task, spec.model, spec.dimension)
        return self.contributor.accept(offer_of(proposal), replace(facts, **changes))


@dataclass
class MemoryFederation:
    """Everybody."""

    folder: Path
    federation: Federation
    keys: Mapping[str, Ed25519PrivateKey]
    clock: Clock
    servers: Mapping[str, Server]
    owner: RoundOwner
    store: RoundStore
    hospitals: dict[str, Hospital] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)
    past: list[Federation] = field(default_factory=list)
    clinics: Sequence[str] = ()  # its clients

    @property
    def wires(self) -> Mapping[str, Wire]:
        return {name: server.wire for name, server in self.servers.items()}

    @property
    def versions(self) -> Federations:
        """All versions of the federation so far."""
        return Federations([*self.past, self.federation])

    def author(self, name: str) -> Author:
        return Author(name, self.keys[name], self.federation)

    def clients(self) -> dict[str, AggregatorClient]:
        patience = Patience(seconds=0.0, sleep=self.slept.append)
        return {
            party.name: AggregatorClient(
                party,
                self.federation,
                None,
                patience=patience,
                transport=self.wires[party.name],
            )
            for party in self.federation.aggregators
        }

    def hospital(self, name: str, policy: Policy | None = None) -> Hospital:
        """Start a data owner's agent, or start it again after a crash."""
        if name in self.hospitals:
            self.hospitals[name].running.close()
        running = ExitStack()
        state = running.enter_context(AgentState(self.folder / name, self.versions))
        asking = Settlement(self.author(name), self.clients(), state, self.clock)
        consent = Consent(
            *(policy or ANY_STUDY, state, self.federation, self.clock),
            settle=Settling(asking, state).run,
        )
        contributor = Contributor(
            author=self.author(name),
            aggregators=self.clients(),
            outbox=state,
            require_policy=consent.require,
            clock=self.clock,
            rand=Entropy(name),
        )
        self.hospitals[name] = Hospital(contributor, state, running)
        return self.hospitals[name]

    def change(
        self, names: Sequence[str], new_keys: Mapping[str, Ed25519PrivateKey] = NO_KEYS
    ) -> None:
        """Take everybody to the next version: join, and start again with what it has.

        Args:
            names: The data owners of it.
            new_keys: Of parties whose signing key is another from now on.
        """
        before = self.federation
        self.keys = {**self.keys, **new_keys}
        history = {"number": before.number + 1, "previous": before.digest}
        content = {**_content(self.keys, names, self.clinics), **history}
        self.past.append(before)
        self.federation = Federation.model_validate(content)
        for name, server in self.servers.items():
            server.stop()
            server.author, server.versions = self.author(name), self.versions
            server.start()
        self.store.close()
        self.store = RoundStore(
            f"sqlite:///{self.folder / 'rounds.db'}", self.author(OWNER), self.clock
        )
        self.owner = replace(
            self.owner,
            author=self.author(OWNER),
            aggregators=self.clients(),
            log=self.store,
        )
        for hospital in self.hospitals.values():
            hospital.running.close()
        self.hospitals.clear()
        for name in names:
            self.hospital(name)

    def request(self, **changes: Any) -> RoundRequest:
        request = RoundRequest(
            run="run-1",
            round=1,
            purpose=Purpose.TRAIN,
            attempt=1,
            task=TASK,
            model=MODEL,
            dimension=DIMENSION,
            scalars=SCALARS,
            clip=2.0,
            weight_cap=1000,
            weighting=Weighting.ROUNDED,
            cohort=HOSPITALS,
            min_cohort=3,
            seconds=60.0,
        )
        return replace(request, **changes)

    def close(self) -> None:
        self.store.close()
        for hospital in self.hospitals.values():
            hospital.running.close()


class NoLog:
    """The record of a model owner that keeps none."""

    def propose(self, spec: Signed[RoundSpec]) -> None: ...

    def granted(self, spec_digest: str, grants: object) -> None: ...

    def opening(self, opening: object) -> None: ...


def refused(code: str) -> "pytest.RaisesExc[FedsecureError]":
    """Expect an error of this code."""
    return pytest.RaisesExc(FedsecureError, check=lambda error: error.code == code)


def offer_of(proposal: Proposal) -> Offer:
    return Offer(
        proposal.spec.token,
        [proposal.grants[name].token for name in sorted(proposal.grants)],
    )


def update_of(name: str, dimension: int = DIMENSION) -> NDArray[np.float32]:
    rng = np.random.default_rng(list(name.encode()))
    return rng.normal(scale=0.02, size=dimension).astype(np.float32)


def measurement_of(name: str, weight: int = 128) -> Measurement:
    return Measurement(update_of(name), weight, {"loss": 0.25 * len(name)})


@contextmanager
def federate(folder: Path, clinics: Sequence[str] = ()) -> Iterator[MemoryFederation]:
    """Start both aggregators and the model owner; hospitals start when asked."""
    names = (OWNER, *SERVERS, *HOSPITALS, *clinics)
    keys = {
        name: Ed25519PrivateKey.from_private_bytes(Entropy(f"key {name}")(32))
        for name in names
    }
    federation = Federation.model_validate(_content(keys, clinics=clinics))
    clock = Clock()
    with ExitStack() as stack:
        loop = stack.enter_context(_running_loop())
        servers = {
            name: Server(
                Author(name, keys[name], federation), folder / name, clock, Wire(loop)
            )
            for name in SERVERS
        }
        for server in servers.values():
            stack.callback(server.stop)
            server.start()
        author = Author(OWNER, keys[OWNER], federation)
        store = RoundStore(f"sqlite:///{folder / 'rounds.db'}", author, clock)
        rounds = folder / "rounds"
        rounds.mkdir()
        owner = RoundOwner(author, {}, store, rounds, clock, Entropy(OWNER))
        memory = MemoryFederation(
            folder, federation, keys, clock, servers, owner, store, clinics=clinics
        )
        memory.owner = replace(owner, aggregators=memory.clients())
        stack.callback(memory.close)
        save_array(folder, INITIAL.path, FIRST_WEIGHTS, ModelKind.MODEL, MODEL)
        store.start_run(run_started())
        for name in HOSPITALS:
            memory.hospital(name)
        yield memory


@contextmanager
def _running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _content(
    keys: Mapping[str, Ed25519PrivateKey],
    data_owners: Sequence[str] = HOSPITALS,
    clinics: Sequence[str] = (),
) -> dict[str, Any]:
    def party(name: str, **more: str) -> dict[str, str]:
        return {"name": name, "key": public_key_text(keys[name]), **more}

    return {
        "protocol": 1,
        "name": "memory",
        "model_owner": party(OWNER),
        "aggregators": [party(name, url=f"https://{name}.test") for name in SERVERS],
        "data_owners": [
            party(name, flower_key=f"ecdsa-sha2-nistp384 {name}")
            for name in data_owners
        ],
        "clients": [party(name) for name in clinics],
    }


def run_started(run: str = "run-1") -> RunStarted:
    return RunStarted(
        run=run,
        study="memory",
        title="A study in memory",
        strategy="FedAvg",
        weighting=Weighting.ROUNDED,
        planned_rounds=3,
        min_cohort=3,
        clip=2.0,
        settings={},
        initial_model=INITIAL,
    )
