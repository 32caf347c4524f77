"""Requests of any kind to an aggregator: an answer below 500, and soon."""

import asyncio
import time
from pathlib import Path
from typing import Final

import httpx
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from fedsecure_aggregator.http.app import create_app
from fedsecure_aggregator.http.worker import Worker
from fedsecure_aggregator.rounds import recovery
from fedsecure_aggregator.rounds.accumulator import Accumulator
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules.policy import Policy
from fedsecure_aggregator.storage.folder_spool import open_spool
from fedsecure_aggregator.storage.store import open_store
from tests.fuzz.test_decoders import LONGEST, changed
from tests.unit.aggregator.world import OWNER, Clock, Entropy, Round, World

pytestmark = [pytest.mark.fuzz, pytest.mark.timeout(1200)]

METHODS: Final = ("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS")
IN_CI: Final = 6.0  # seconds
SLOW: Final = 120.0


def paths(asked: Round) -> st.SearchStrategy[str]:
    """Return addresses: known ones, some with parts that are not."""
    digest = st.sampled_from([asked.digest, "0" * 64, asked.digest.upper(), "x"])
    name = st.sampled_from(["basel", "north", "nobody", "..", "%00", "a" * 300])
    return st.one_of(
        st.builds("/v1/rounds/{}".format, digest),
        st.builds("/v1/rounds/{}/reports/{}".format, digest, name),
        st.builds("/v1/rounds/{}/inclusion/{}".format, digest, name),
        st.builds("/v1/rounds/{}/open".format, digest),
        st.builds("/v1/rounds/{}/void".format, digest),
        st.sampled_from(["/v1/identity", "/health/live", "/health/ready", "/metrics"]),
        st.text("abc/%.?&=~", max_size=20).map(lambda text: f"/{text}"),
    )


def bodies(world: World, asked: Round) -> st.SearchStrategy[bytes]:
    token = asked.spec.token.encode()
    framed = len(token).to_bytes(4) + token
    void = world.void(asked).encode()
    return changed((token, void, framed, b""))


def headers(world: World, asked: Round) -> st.SearchStrategy[dict[str, str]]:
    path = f"/v1/rounds/{asked.digest}"
    ticket = f"Bearer {world.ticket('north', OWNER, path)}"
    keys = st.sampled_from(
        ["authorization", "content-encoding", "content-length", "range", "expect"]
    )
    words = st.one_of(
        st.sampled_from([ticket, "gzip", "0", "-1", "1" * 30, "Bearer x", "bytes=0-"]),
        st.text("abcXYZ019 .,;=", max_size=30),
    )
    return st.dictionaries(keys, words, max_size=2)


def bombard(folder: Path, seconds: float) -> int:
    """Send requests until the time is over; return how many were answered."""
    world, clock = World("requests"), Clock()
    asked = world.propose()
    author = world.author("north")
    count = 0
    end = time.monotonic() + seconds
    with open_spool(folder) as spool:
        store = open_store(folder / "aggregator.db", author)
        context = Context(
            author=author,
            policy=Policy(requests_per_minute=10**9, max_rounds_per_hour=10**6),
            store=store,
            spool=spool,
            accumulator=Accumulator(spool),
            clock=clock,
            monotonic=clock,
            rand=Entropy("north"),
        )
        recovery.recover(context)
        worker = Worker()
        # What a client sees of a handler that raised.
        transport = httpx.ASGITransport(
            create_app(context, worker), raise_app_exceptions=False
        )
        loop = asyncio.new_event_loop()
        client = httpx.AsyncClient(transport=transport, base_url="https://north.test")

        @settings(
            max_examples=100,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(
            st.sampled_from(METHODS),
            paths(asked),
            headers(world, asked),
            bodies(world, asked),
        )
        def send(method: str, path: str, extra: dict[str, str], body: bytes) -> None:
            nonlocal count
            begin = time.monotonic()
            request = client.build_request(method, path, headers=extra, content=body)
            answer = loop.run_until_complete(client.send(request))
            assert answer.status_code < 500, (method, path, extra, answer.text)
            assert time.monotonic() - begin < LONGEST
            count += 1

        try:
            while time.monotonic() < end:
                send()
        finally:
            loop.run_until_complete(client.aclose())
            loop.close()
            worker.stop()
            store.close()
    return count


def test_no_request_is_an_internal_error(tmp_path: Path) -> None:
    assert bombard(tmp_path, IN_CI) > 50


@pytest.mark.slow
def test_no_request_is_an_internal_error_for_longer(tmp_path: Path) -> None:
    assert bombard(tmp_path, SLOW) > 1000
