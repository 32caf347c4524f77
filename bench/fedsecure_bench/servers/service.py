"""Uploads to real aggregator processes over TLS on this machine's loopback.

Uploads are prepared before and sent at once, all by this process, so the servers share
the processors with whoever loads them: GB/s are a floor. Measured in turns:

    one server    every vector goes to one aggregator
    two servers   to each of both in turn; the other gets the seed
    unopened      the same bytes, to an ordinary server that only stores them
    streamed      to one that takes them off the wire as an aggregator does

Servers keep what they get in memory (a file system in memory), unless "disk" stands
beside. After each turn the round is opened, or voided, outside the time that counts.
"""

import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import numpy as np

from fedsecure.contributor.outbox import StoredReport
from fedsecure.core.scheme import Measurement
from fedsecure.demo.processes import Processes
from fedsecure.demo.provision import HOST, free_ports
from fedsecure.owner.rounds.proposal import Proposal
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure_bench.progress import Progress
from fedsecure_bench.results import Result, Turns, compare, median_and_spread
from fedsecure_bench.servers import unprotected
from fedsecure_bench.servers.federation import (
    READY_SECONDS,
    Many,
    accepted,
    in_memory,
    many,
    request,
    require_mean,
    serving,
    trust,
    update_of,
    warn_without_memory,
)
from fedsecure_bench.servers.outbox import Outbox
from fedsecure_bench.servers.uploads import Sent, Upload, of_report, send_all
from fedsecure_bench.usage import Usage

NAME: Final = "service"
GB: Final = 10**9
RATE: Final = "GB/s"
CPU: Final = "CPU s/GB"
P50: Final = "p50"
P99: Final = "p99"
PEAK: Final = "peak memory of a server"
TO_MEAN: Final = "10 data owners, first byte to opened mean"
UNITS: Final = {RATE: "GB/s", CPU: "s/GB", P50: "ms", P99: "ms", PEAK: "MB"}
ONE: Final = "one server"
TWO: Final = "two servers"
DISK: Final = "one server, disk"
UNOPENED: Final = "unopened"
STREAMED: Final = "unopened, streamed"
SMALL: Final = 10**6  # parameters; 4 MB
LARGE: Final = 10**7  # parameters; 40 MB
TEN: Final = 10


@dataclass(frozen=True, slots=True)
class Case:
    """So many uploads of one size, so many at once."""

    size: int
    number: int
    at_once: int


CASES: Final = (
    *(Case(SMALL, 64, at_once) for at_once in (1, 8, 32)),
    *(Case(LARGE, max(8, at_once), at_once) for at_once in (1, 8, 32)),
)
QUICK_CASES: Final = (Case(SMALL, 64, 8), Case(LARGE, 8, 8), Case(LARGE, 32, 32))


def run(
    cases: Sequence[Case], repeats: int, disk: Path, progress: Progress
) -> list[Result]:
    """Measure every case.

    Args:
        cases: What is sent.
        repeats: Turns of each.
        disk: A folder on the disk that spools are compared with.
        progress: Hears how it goes.
    """
    warn_without_memory(progress)
    most = max(TEN, *(case.number for case in cases))
    results: list[Result] = []
    with ExitStack() as stack:
        enter = stack.enter_context
        progress.stage("starting servers")
        fast, slow = (enter(_load(most, place)) for place in (None, disk))
        plain = enter(_unopened(fast.everybody, UNOPENED))
        streamed = enter(_unopened(fast.everybody, STREAMED, "streamed"))
        for case in cases:
            progress.stage(f"{case.size:,} parameters, {case.at_once} at once")
            steps = {
                ONE: partial(fast.measure, case, both=False),
                TWO: partial(fast.measure, case, both=True),
                UNOPENED: partial(plain.measure, case, fast),
                STREAMED: partial(streamed.measure, case, fast),
                DISK: partial(slow.measure, case, both=False),
            }
            results += _lines(case, _turns(steps, repeats, progress))
        progress.stage(TO_MEAN)
        seconds = [fast.first_byte_to_mean() for _ in range(repeats + 1)][1:]
        median, spread = median_and_spread([1000 * one for one in seconds])
        results.append(Result(NAME, TO_MEAN, SMALL, TEN, "ms", median, spread))
    return results


@dataclass(slots=True)
class Load:
    """Both aggregators, and what it takes to load them."""

    everybody: Many
    servers: Mapping[str, Usage]
    clients: Mapping[str, AggregatorClient]
    outboxes: Path
    sealed: list[list[Upload]] = field(default_factory=list)  # of the last turn

    def measure(self, case: Case, *, both: bool) -> dict[str, float]:
        """Send one round's reports to one aggregator, or to both; then void it."""
        proposal = self.prepare(case.size, case.number, both=both)
        first = self.everybody.federation.pair[0].name
        used = [one for name, one in self.servers.items() if both or name == first]
        measured = observe(used, partial(self._send, case.at_once))
        owner = self.everybody.owner(self.clients)
        owner.void(proposal.spec, "a measurement")
        return measured

    def prepare(self, size: int, number: int, *, both: bool) -> Proposal:
        """Propose a round and seal its reports; to the first server alone, or both."""
        everybody, cohort = self.everybody, self.everybody.reporters[:number]
        proposal = everybody.owner(self.clients).propose(request(cohort, size))
        shutil.rmtree(self.outboxes)
        known, measurement = accepted(proposal), Measurement(update_of(size), 1, {})
        self.sealed.clear()
        for place, name in enumerate(cohort):
            outbox = Outbox(self.outboxes / name)
            outbox.folder.mkdir(parents=True)
            seed_to_first = both and place % 2 == 1
            contributor = everybody.contributor(
                name, self.clients, outbox, seed_to_first
            )
            contributor.contribute(known, measurement)
            reports = sorted(outbox.kept, key=lambda one: one.header.statement.length)
            vector, seed = reports[1], reports[0]
            kept = (vector, seed) if both else (vector,)
            self.sealed.append([self._upload(report) for report in kept])
        return proposal

    def first_byte_to_mean(self) -> float:
        """Return how long a round takes once every report is sealed, in seconds.

        Raises:
            PeerError: FS-354 when the opened mean is not the updates' own.
        """
        proposal = self.prepare(SMALL, TEN, both=True)
        owner = self.everybody.owner(self.clients)
        tls = trust(self.everybody)
        start = time.perf_counter()
        sent = send_all(self.sealed, TEN, tls)
        receipts = {
            name: owner.collect(proposal, name, [token for token, _ in answers])
            for name, answers in zip(
                self.everybody.reporters, sent.answers, strict=False
            )
        }
        opened = owner.open(proposal, receipts)
        seconds = time.perf_counter() - start
        require_mean(opened.mean.update, proposal)
        owner.forget(proposal.spec.digest)
        return seconds

    def _send(self, at_once: int) -> Sent:
        return send_all(self.sealed, at_once, trust(self.everybody))

    def _upload(self, report: StoredReport) -> Upload:
        parties = self.everybody.federation.aggregators
        urls = {party.name: party.url for party in parties}
        to = urls[report.header.statement.aggregator]
        return of_report(report, urlsplit(to).netloc)


@dataclass(frozen=True, slots=True)
class Unopened:
    """The server that only stores."""

    netloc: str
    server: Usage
    folder: Path

    def measure(self, case: Case, load: Load) -> dict[str, float]:
        """Send what the last turn of `load` sent to its first server."""
        uploads = [
            [replace(owner[0], netloc=self.netloc, path=unprotected.PATH)]
            for owner in load.sealed
        ]
        tls = trust(load.everybody)
        measured = observe([self.server], partial(send_all, uploads, case.at_once, tls))
        for file in self.folder.iterdir():
            file.unlink()
        return measured


def observe(servers: Sequence[Usage], send: Callable[[], Sent]) -> dict[str, float]:
    """Send, and return what it took at the servers; latencies are the vectors'."""
    for server in servers:
        server.forget_peak()
    before = sum(server.cpu_seconds() for server in servers)
    sent = send()
    used = sum(server.cpu_seconds() for server in servers) - before
    latencies = [1000 * answers[0][1] for answers in sent.answers]
    return {
        RATE: sent.length / sent.wall / GB,
        CPU: used / sent.length * GB,
        P50: statistics.median(latencies),
        P99: float(np.quantile(latencies, 0.99)),
        PEAK: max(server.peak_memory() for server in servers),
    }


@contextmanager
def _load(number: int, disk: Path | None) -> Iterator[Load]:
    with ExitStack() as stack:
        everybody = stack.enter_context(many(number, disk))
        servers = stack.enter_context(serving(everybody))
        clients = everybody.clients()
        for client in clients.values():
            stack.callback(client.close)
        outboxes = stack.enter_context(in_memory())
        yield Load(everybody, servers, clients, outboxes)


@contextmanager
def _unopened(everybody: Many, name: str, *flags: str) -> Iterator[Unopened]:
    home = everybody.folder / everybody.federation.pair[0].name  # its TLS files
    folder = everybody.folder / name
    folder.mkdir()
    netloc = f"{HOST}:{free_ports(1)[0]}"
    arguments = [netloc, str(home / "tls.pem"), str(home / "tls.key"), str(folder)]
    arguments += flags
    with Processes() as processes:
        child = processes.start(
            name, arguments, folder.with_suffix(".log"), unprotected.__name__
        )
        processes.wait_ready(
            {name: f"https://{netloc}"}, everybody.authority, READY_SECONDS
        )
        yield Unopened(netloc, Usage(child.pid), folder)


def _turns(
    steps: Mapping[str, Callable[[], Mapping[str, float]]],
    repeats: int,
    progress: Progress,
) -> Turns:
    """Take steps in turn that measure several things each, the first turn for nothing.

    Caches and connections are warm afterwards, and memory is touched.
    """
    values: dict[str, list[float]] = {}
    for turn in range(repeats + 1):
        for name, run in steps.items():
            for what, value in run().items():
                values.setdefault(f"{name}: {what}", []).append(value)
            progress.step()
        if turn == 0:
            values.clear()
    return values


def _lines(case: Case, turns: Turns) -> list[Result]:
    results = []
    for step, values in turns.items():
        unit = UNITS[step.rpartition(": ")[2]]
        found = median_and_spread(values)
        others: list[str | None] = [*_compared_with(step)]
        for other in others or [None]:
            ratio = compare(turns, step, [other] if other else [])
            results.append(
                Result(NAME, step, case.size, case.at_once, unit, *found, other, ratio)
            )
    return results


def _compared_with(step: str) -> list[str]:
    name, _, what = step.rpartition(": ")
    if what == CPU and name == ONE:
        return [f"{UNOPENED}: {CPU}", f"{STREAMED}: {CPU}"]
    return [f"{name}: {P50}"] if what == P99 else []
