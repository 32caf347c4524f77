"""The whole product: a clinic asks a service of two real aggregator processes.

TLS, signatures, sealing, both databases, the number of each query on the clinic's disk:
everything that `private.connect` does, over and over. What counts is how long a caller
waits: the median, and what one in ten exceeds. The answers are compared with numpy's.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import numpy as np

from fedsecure.compute import inputs, proposal
from fedsecure.compute.numbers import Numbers as QueryNumbers
from fedsecure.compute.participant import Participant
from fedsecure.compute.policy import OwnRules
from fedsecure.compute.queries import Service
from fedsecure.core.mpc.program import MODEL
from fedsecure.core.mpc.ring import Numbers
from fedsecure.demo.provision import OWNER
from fedsecure.errors import PeerError
from fedsecure.membership.jobs_policy import JobsPolicy
from fedsecure.protocol.jobs.parts import JobKind
from fedsecure.transport.job_server import JobServer
from fedsecure.transport.retries import Patience
from fedsecure.transport.server_connection import ServerConnection
from fedsecure_bench.compute.shared_rows import FEATURES, PROGRAM, numbers, weights
from fedsecure_bench.results import wall_seconds
from fedsecure_bench.servers.federation import Many, many, serving
from fedsecure_bench.usage import Usage

Work = Callable[[], object]
Step = Callable[[], None]

CLINIC: Final = "clinic"
DATA_OWNERS: Final = 3
WARM_UP: Final = 20  # queries
BLOCKS: Final = 5
CLOSE: Final = 1e-2  # of a logit: 784 products, each to 16 bits
PATIENCE: Final = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Waits:
    """What a clinic that asks one query after the other sees, and what it takes.

    Args:
        middle: Milliseconds: the median of all queries.
        slow: What one query in ten exceeds.
        by_other: Median over the blocks: a block's median by the other's time in it.
        clinic: CPU of this process, milliseconds for each query.
        servers: CPU of both aggregators, milliseconds for each query.
    """

    middle: float
    slow: float
    by_other: float | None
    clinic: float
    servers: float


def waits(
    rows: int, queries: int, disk: Path | None, other: Work | None, step: Step
) -> Waits:
    """Ask so many queries in blocks, one after the other; after each block the other.

    Args:
        rows: Of each query.
        queries: How many.
        disk: Where servers and clinic store; in memory if nothing is said.
        other: What is compared with; so a disturbance hits both.
        step: Called after each query.
    """
    with asking(rows * (queries + WARM_UP), disk) as (service, servers):
        x, model = numbers(rows), weights()
        exact = x @ model[:-1] + model[-1]
        for _ in range(WARM_UP):
            _require_close(service.ask(x), exact)
        found: list[float] = []
        ratios, own, used = [], 0.0, 0.0
        for block in range(BLOCKS):
            count = queries * (block + 1) // BLOCKS - queries * block // BLOCKS
            before = time.process_time(), _used(servers)
            found += (_ms(lambda: service.ask(x), step) for _ in range(count))
            own += time.process_time() - before[0]
            used += _used(servers) - before[1]
            if other is not None:
                ratios.append(median(found[-count:]) / _ms(other, step))
    return Waits(
        middle=median(found),
        slow=quantiles(found, n=10)[-1],
        by_other=median(ratios) if ratios else None,
        clinic=own * 1e3 / queries,
        servers=used * 1e3 / queries,
    )


def _ms(work: Work, step: Step) -> float:
    found = wall_seconds(work) * 1e3
    step()
    return found


@contextmanager
def asking(
    rows: int, disk: Path | None
) -> Iterator[tuple[Service, Mapping[str, Usage]]]:
    """Serve the model on two aggregators; yields it as its client asks it."""
    with ExitStack() as stack:
        everybody = stack.enter_context(many(DATA_OWNERS, disk, clients=(CLINIC,)))
        servers = stack.enter_context(serving(everybody))
        owner, clinic = (
            _participant(everybody, name, stack) for name in (OWNER, CLINIC)
        )
        request = proposal.Request(
            "bench", PROGRAM, JobKind.LINEAR, clients=[CLINIC], rows=rows
        )
        handout = proposal.propose(owner, request)
        inputs.contribute(owner, handout, MODEL, weights())
        folder = everybody.folder / CLINIC / "queries"
        yield Service(clinic, handout, QueryNumbers(folder)), servers


def _participant(everybody: Many, name: str, stack: ExitStack) -> Participant:
    servers = {
        party.name: JobServer(
            ServerConnection(
                party,
                everybody.federation,
                everybody.authority,
                Patience(seconds=PATIENCE),
            )
        )
        for party in everybody.federation.aggregators
    }
    rules = OwnRules(JobsPolicy())
    found = Participant(
        everybody.author(name), servers, everybody.folder / name / "jobs", rules
    )
    stack.callback(found.close)
    return found


def _require_close(logits: Numbers, exact: Numbers) -> None:
    off = float(np.abs(logits - exact).max())
    if not off <= CLOSE:
        raise PeerError("FS-725", f"{FEATURES} features: logits are off by {off}")


def _used(servers: Mapping[str, Usage]) -> float:
    return sum(one.cpu_seconds() for one in servers.values())
