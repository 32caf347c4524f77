"""Records of jobs: a sum, a service that was asked, one that was closed, one void."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fedsecure.owner.store.records import JobProposed, JobResult
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.owner.store.states import JobState
from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from tests.protocol.audit.story import Records
from tests.unit.aggregator.conftest import start
from tests.unit.aggregator.jobs.conftest import JobPair, recover, served_by
from tests.unit.aggregator.jobs.world import ROWS, Job, JobWorld
from tests.unit.aggregator.world import CLINIC, NOW, OWNER, SERVERS, Clock

MOST = 10  # rows that one client is answered
THIRD = np.array([[0.5, 0.5, 0.5]])


@contextmanager
def pair(folder: Path) -> Iterator[JobPair]:
    """Both aggregators, each on a folder below."""
    world, clock = JobWorld("records"), Clock()
    servers = {}
    for name in SERVERS:
        (folder / name).mkdir()
        place = str(folder / name / "aggregator.db")
        server = start(world, name, folder / name, place, clock)
        servers[name] = served_by(server, ComputePolicy(enabled=True))
        recover(servers[name])
    try:
        yield JobPair(world, servers)
    finally:
        for one in servers.values():
            one.server.running.close()
            one.server.context.store.close()


def tell(both: JobPair, store: RoundStore) -> None:
    """Compute a sum, close a service, give a job up, and answer rows by a service."""
    world = both.world
    total = world.job()
    both.summed(total)
    for one in both.servers.values():
        one.run()
    clients = {"clients": [CLINIC, OWNER], "rows": MOST}
    closed = world.service(**clients)
    propose(store, closed)
    tokens = both.served(closed)
    ready(store, closed, tokens, tried=0)
    for one in both.servers.values():
        one.void(closed, world.void(closed))
    store.note_job(JobResult(closed.digest, JobState.CLOSED, "a test"))
    void = world.job(proposer="bern")
    both.started(void)
    for one in both.servers.values():
        one.void(void, world.void(void))
    served = world.service(**clients)
    propose(store, served)
    tokens = both.served(served)
    both.ask(served, world.query(served, tokens, 1, ROWS, client=OWNER))
    ready(store, served, tokens, tried=2)
    for number, rows in ((1, ROWS), (3, THIRD), (4, ROWS)):
        both.ask(served, world.query(served, tokens, number, rows))


def propose(store: RoundStore, job: Job) -> None:
    """Record that a service is about to be proposed."""
    store.propose_job(JobProposed(job.spec.token))


def ready(store: RoundStore, job: Job, grants: dict[str, str], tried: int) -> None:
    """Record that a service answered rightly."""
    store.note_job(
        JobResult(
            job.digest, JobState.READY, None, grants, tried, 1e-9 if tried else None
        )
    )


def told(folder: Path) -> Records:
    """Tell it in a folder, and return everybody's records."""
    with pair(folder) as both:
        world, place = both.world, f"sqlite:///{folder / 'rounds.db'}"
        with RoundStore(place, world.author(OWNER), Clock(NOW)) as store:
            tell(both, store)
        names = (OWNER, *SERVERS, "basel", "bern", CLINIC)
        keys = {name: world.author(name).key for name in names}
        return Records(folder, world.federation, keys)
