"""Requests about jobs of any kind to an aggregator: an answer below 500, and soon.

One job takes inputs and one service answers meanwhile; what is sent is near to what
their parties would send.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from tests.fuzz.test_decoders import LONGEST, changed
from tests.unit.aggregator.conftest import start, with_policy
from tests.unit.aggregator.jobs.conftest import Http, JobPair, recover, served_by
from tests.unit.aggregator.jobs.world import A, JobWorld
from tests.unit.aggregator.world import CLINIC, SERVERS, Clock

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(1200)]

IN_CI: Final = 6.0  # seconds
SLOW: Final = 120.0
ROUTES: Final = (
    ("PUT", ""),
    ("GET", ""),
    ("POST", "/start"),
    ("PUT", "/channel"),
    ("GET", "/output"),
    ("POST", "/void"),
    ("GET", "/nothing"),
)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[JobPair]:
    world, clock, servers = JobWorld(), Clock(), {}
    for name in SERVERS:
        place = str(tmp_path / name / "aggregator.db")
        server = start(world, name, tmp_path / name, place, clock)
        with_policy(server, requests_per_minute=10**9)
        servers[name] = served_by(server, ComputePolicy(enabled=True))
        recover(servers[name])
    yield JobPair(world, servers)
    for one in servers.values():
        one.server.running.close()
        one.server.context.store.close()


def bombard(pair: JobPair, seconds: float) -> int:
    """Send requests until the time is over; return how many were answered."""
    world, job, service = pair.world, pair.world.job(), pair.world.service()
    grants, served = pair.started(job), pair.served(service)
    shares = world.shared(job, grants, "a", A)["north"]
    asked = world.query(service, served, 1)["north"]
    begin = world.start(job, grants)
    tickets = [
        world.ticket("north", reader, f"{one.path}{end}", int(pair.clock.now) + 60)
        for one, reader in ((job, "basel"), (service, CLINIC))
        for end in ("", "/output")
    ]
    names = st.sampled_from(["a", "b", "model", "c", "..", "%00", "a" * 300])
    clients = st.sampled_from([CLINIC, "basel", "nobody", "%2f"])
    numbers = st.sampled_from(["1", "2", "0", "-1", "1" * 30, "x", str(2**53)])
    both = st.sampled_from([job.path, service.path])
    known = st.builds(
        lambda path, end: (end[0], path + end[1]), both, st.sampled_from(ROUTES)
    )
    address = st.one_of(
        known,
        known,
        st.builds(lambda name: ("PUT", f"{job.path}/inputs/{name}"), names),
        st.builds(
            lambda client, number: (
                "POST",
                f"{service.path}/queries/{client}/{number}",
            ),
            clients,
            numbers,
        ),
        st.tuples(st.sampled_from(["GET", "PUT", "POST", "DELETE"]), both),
        st.just(("PUT", f"/v1/jobs/{'0' * 64}")),
    )
    tokens = [job.spec.token, begin, grants["south"], world.void(job)]
    valid = (*(one.encode() for one in tokens), shares.body, asked.body, b"")
    loop, count = asyncio.new_event_loop(), 0
    http = Http(pair.north, loop)

    @settings(
        max_examples=100,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        address,
        changed(valid),
        st.sampled_from(["", "x", *tickets]),
    )
    def send(address: tuple[str, str], body: bytes, ticket: str) -> None:
        nonlocal count
        before = time.monotonic()
        answer = http.send(*address, body, ticket)
        assert answer.status_code < 500, (address, answer.text)
        assert time.monotonic() - before < LONGEST
        count += 1

    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            send()
    finally:
        http.close()
        loop.close()
    return count


def test_no_request_about_a_job_is_an_internal_error(pair: JobPair) -> None:
    assert bombard(pair, IN_CI) > 50


@pytest.mark.slow
def test_no_request_about_a_job_is_an_internal_error_for_longer(pair: JobPair) -> None:
    assert bombard(pair, SLOW) > 1000
