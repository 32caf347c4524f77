"""Whole jobs at real servers over TLS, by statements that are signed by hand."""

import signal
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest

from fedsecure.core.homomorphic import keys, queries
from fedsecure.core.mpc import ring
from tests.service.aggregator.conftest import Federation, Process
from tests.unit.aggregator.jobs.test_attacks import KEY, encrypted
from tests.unit.aggregator.jobs.world import (
    BIAS,
    BITS,
    MODEL,
    ROWS,
    A,
    Asked,
    B,
    Job,
    JobWorld,
    W,
    model_words,
    went_in,
)
from tests.unit.aggregator.world import CLINIC, SERVERS

pytestmark = pytest.mark.service
PATIENCE = 30.0  # seconds


class Parties:
    """Everybody who takes part in jobs at two running servers."""

    def __init__(self, federation: Federation) -> None:
        self.federation, self.servers = federation, federation.servers
        assert isinstance(federation.world, JobWorld)
        self.world = federation.world

    def deadline(self) -> int:
        return int(time.time()) + 600

    def started(self, job: Job) -> dict[str, str]:
        tokens = {
            name: ok(one.http.put(job.path, content=job.spec.token)).text
            for name, one in self.servers.items()
        }
        begin = self.world.start(job, tokens)
        own = {
            name: ok(one.http.post(f"{job.path}/start", content=begin)).text
            for name, one in self.servers.items()
        }
        for name, peer in (SERVERS, SERVERS[::-1]):
            path = f"{job.path}/channel"
            ok(self.servers[name].http.put(path, content=own[peer]))
        return tokens

    def put(self, job: Job, uploads: Mapping[str, object]) -> None:
        for name, one in self.servers.items():
            ok(put(one, job, uploads[name]))

    def served(self, job: Job) -> dict[str, str]:
        tokens = self.started(job)
        self.put(job, self.world.model(job, tokens))
        return tokens

    def ask(self, job: Job, asked: Asked) -> dict[str, bytes]:
        with ThreadPoolExecutor(2) as pool:
            sent = {
                name: pool.submit(ask, one, job, asked[name])
                for name, one in self.servers.items()
            }
        return {name: ok(one.result()).content for name, one in sent.items()}

    def output(self, job: Job) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        until = time.monotonic() + PATIENCE
        while len(found) < len(self.servers) and time.monotonic() < until:
            for name, one in self.servers.items():
                answer = one.read(f"{job.path}/output", job.spec.statement.proposer)
                if answer.is_success:
                    found[name] = answer.content
                else:
                    assert answer.json()["code"] == "FS-391", answer.text
                    time.sleep(0.05)
        return found


def ok(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code == 200, answer.text
    return answer


def put(one: Process, job: Job, upload: object) -> httpx.Response:
    name = upload.header.statement.name  # type: ignore[attr-defined]
    body = upload.body  # type: ignore[attr-defined]
    return one.http.put(f"{job.path}/inputs/{name}", content=body)


def ask(one: Process, job: Job, upload: object) -> httpx.Response:
    said = upload.header.statement  # type: ignore[attr-defined]
    path = f"{job.path}/queries/{said.client}/{said.query}"
    return one.http.post(path, content=upload.body)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def parties(start_federation: Callable[..., Federation]) -> Parties:
    world = JobWorld("real-jobs")
    return Parties(start_federation("jobs", world=world, compute={"enabled": True}))


def test_a_sum_is_opened_though_a_server_is_killed_as_the_last_input_comes(
    parties: Parties,
) -> None:
    world = parties.world
    job = world.job(deadline=parties.deadline())
    tokens, used = parties.started(job), []
    for name, values in (("a", A), ("b", B)):
        uploads = world.shared(job, tokens, name, values)
        used.append(uploads["north"])
        parties.put(job, uploads)
    parties.servers["south"].restart(signal.SIGKILL)
    opened = world.opened(job, parties.output(job), went_in(*used))
    np.testing.assert_array_equal(opened["total"], A + B)
    for one in parties.servers.values():
        assert f"jobs/{job.digest}/output" in one.spool()
        assert not [name for name in one.spool() if name.endswith(("key", "channel"))]


def test_a_service_answers_the_same_again_after_a_kill_and_goes_on(
    parties: Parties,
) -> None:
    world = parties.world
    job = world.service(deadline=parties.deadline())
    tokens = parties.served(job)
    asked = world.query(job, tokens, 1)
    first = parties.ask(job, asked)
    parties.servers["north"].restart(signal.SIGKILL)
    assert parties.ask(job, asked) == first
    more = world.query(job, tokens, 2)
    logits = world.logits(job, more, parties.ask(job, more))
    np.testing.assert_allclose(logits, (ROWS @ W + BIAS)[:, 0], atol=1e-6)
    standing = parties.servers["south"].read(job.path, CLINIC).json()
    assert (standing["state"], standing["query"], standing["rows"]) == ("serving", 2, 4)


def test_a_service_answers_rows_that_stay_encrypted(parties: Parties) -> None:
    world = parties.world
    job = world.service(method="paillier", deadline=parties.deadline())
    tokens = parties.started(job)
    words = ring.decode(model_words(), 0)
    parties.put(job, world.shared(job, tokens, "model", words, bits=0))
    plain = queries.encrypt(KEY, ring.encode(ROWS[:1], BITS, 64.0), world.rand(32))
    size = queries.answer_bytes(2048, 1, 1)
    total = np.zeros((1, 1), np.uint64)
    for name, one in parties.servers.items():
        asked, key = encrypted(world, job, tokens, 1, plain, to=name)
        answer = ok(ask(one, job, asked)).content
        shares = queries.decrypt(
            KEY, world.bytes_in(job, key, CLINIC, answer, size)[1], (1, 1)
        )
        total += shares
    logit = ring.decode(total, MODEL.bias_bits)[0, 0]
    assert logit == pytest.approx((ROWS @ W + BIAS)[0, 0], abs=1e-6)
    assert keys.DEFAULT_BITS == 3072
