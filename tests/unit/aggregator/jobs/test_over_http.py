"""Whole jobs over HTTP; every write gives the same bytes again."""

import numpy as np
import pytest

from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Receipt
from tests.unit.aggregator.jobs.conftest import Http, JobPair
from tests.unit.aggregator.jobs.world import BIAS, ROWS, A, B, Job, W, went_in
from tests.unit.aggregator.world import CLINIC, SERVERS


def started(both: JobPair, http: dict[str, Http], job: Job) -> dict[str, str]:
    """Grant and start a job at both, each thing twice; return the grants."""
    tokens, own = {}, {}
    for name, one in http.items():
        answers = [one.send("PUT", job.path, job.spec.token) for _ in range(2)]
        assert [a.status_code for a in answers] == [200, 200], answers[0].text
        tokens[name] = answers[0].text
        assert answers[1].text == tokens[name]
    begin = both.world.start(job, tokens)
    for name, one in http.items():
        answers = [one.send("POST", f"{job.path}/start", begin) for _ in range(2)]
        assert answers[0].text == answers[1].text
        own[name] = answers[0].text
    for name, peer in (SERVERS, SERVERS[::-1]):
        path = f"{job.path}/channel"
        answers = [http[name].send("PUT", path, own[peer]) for _ in range(2)]
        assert [a.text for a in answers] == [own[name]] * 2
    return tokens


def test_a_job_over_http_from_its_grant_to_its_output(
    both: JobPair, http: dict[str, Http]
) -> None:
    job, world = both.world.job(), both.world
    tokens, used, answers = started(both, http, job), [], {}
    for name, values in (("a", A), ("b", B)):
        uploads = world.shared(job, tokens, name, values)
        used.append(uploads["north"])
        for server, one in http.items():
            receipts = [one.put(job, uploads[server]).text for _ in range(2)]
            assert receipts[0] == receipts[1]
            said = verify(receipts[0], Receipt, world.federation).statement
            header = uploads[server].header.statement
            assert (said.reporter, said.report_id) == (header.owner, header.input_id)
            assert said.digest == header.digest
    for name, one in http.items():
        found = [one.read(world, "basel", f"{job.path}/output") for _ in range(2)]
        assert found[0].status_code == 200, found[0].text
        assert found[0].content == found[1].content
        answers[name] = found[0].content
        standing = one.read(world, "bern", job.path).json()
        assert (standing["state"], sorted(standing["inputs"])) == ("done", ["a", "b"])
    opened = world.opened(job, answers, went_in(*used))
    np.testing.assert_array_equal(opened["total"], A + B)


def test_a_service_over_http(both: JobPair, http: dict[str, Http]) -> None:
    job, world = both.world.service(), both.world
    tokens = started(both, http, job)
    model = world.model(job, tokens)
    for name, one in http.items():
        assert one.put(job, model[name]).status_code == 200
    for number in (1, 2, 5):
        asked, answers = world.query(job, tokens, number), {}
        for name, one in http.items():
            found = [one.ask(job, asked[name]) for _ in range(2)]
            assert found[0].status_code == 200, found[0].text
            assert found[0].content == found[1].content
            answers[name] = found[0].content
        logits = world.logits(job, asked, answers)
        np.testing.assert_allclose(logits, (ROWS @ W + BIAS)[:, 0], atol=1e-6)
    standing = http["south"].read(world, CLINIC, job.path).json()
    assert (standing["state"], standing["query"], standing["rows"]) == ("serving", 5, 6)


@pytest.mark.parametrize("enabled", [True, False])
def test_whoever_watches_sees_jobs_and_how_they_are_computed(
    both: JobPair, http: dict[str, Http], enabled: bool
) -> None:
    both.served(both.world.service())
    both.policy(enabled=enabled)
    one = Http(both.north, http["north"].loop)
    ready, page = one.send("GET", "/health/ready"), one.send("GET", "/metrics").text
    assert ready.json().get("products") == ("float64" if enabled else None)
    assert 'fedsecure_jobs{state="serving"} 1.0' in page
    one.close()
