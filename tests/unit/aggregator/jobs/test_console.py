"""An aggregator's pages about jobs: who asked for what, and no number of anybody."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np

from fedsecure.protocol.federation_versions import Federations
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.console.start import parts_of
from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from fedsecure_aggregator.rules.policy import Policy
from tests.browser.serving import serving
from tests.unit.aggregator.jobs.conftest import JobPair
from tests.unit.aggregator.jobs.world import ROWS, A
from tests.unit.console.test_owner_pages import read


@contextmanager
def console(both: JobPair, *, enabled: bool = True) -> Iterator[httpx.Client]:
    """A browser that is signed in to the console of the aggregator north."""
    server = both.north.server
    settings = AggregatorSettings.model_construct(
        name="north",
        data=server.folder,
        database=server.place if "://" in server.place else None,
        policy=Policy(),
        compute=ComputePolicy(enabled=enabled),
    )
    parts = parts_of(settings, Federations([both.world.federation]), server.clock)
    with serving(parts) as served, served.client() as client:
        yield client


def test_an_aggregator_that_computes_nothing_says_what_would_let_it(
    both: JobPair,
) -> None:
    with console(both, enabled=False) as client:
        page = read(client.get("/jobs").text)
    assert "This aggregator computes no jobs" in page
    assert "max_rows 10,000" in page


def test_a_job_shows_whose_inputs_are_there_and_whose_are_missing(
    both: JobPair,
) -> None:
    job = both.world.job()
    tokens = both.started(job)
    both.put(job, both.world.shared(job, tokens, "a", A))
    with console(both) as client:
        listed = read(client.get("/jobs").text)
        page = read(client.get(f"/jobs/{job.digest}").text)
    for words in ("a-test collecting opens once", "basel basel"):
        assert words in listed
    assert "1 of 2 inputs are stored" in page
    assert "Still missing: b ." in page


def test_a_service_shows_how_many_rows_each_client_was_answered(both: JobPair) -> None:
    job = both.world.service()
    tokens = both.served(job)
    for number in (1, 2):
        both.ask(job, both.world.query(job, tokens, number, ROWS))
    with console(both) as client:
        page = read(client.get(f"/jobs/{job.digest}").text)
        listed = read(client.get("/jobs").text)
    assert "4 rows answered in 2 queries" in page
    assert "clinic 4 of 10" in page
    assert "4 rows answered" in listed


def test_no_page_holds_a_number_of_anybody(both: JobPair) -> None:
    secret = np.array([[12345.678, 2.0, 3.0]])
    job = both.world.service(rows=10)
    tokens = both.served(job)
    both.ask(job, both.world.query(job, tokens, 1, secret / 1000))
    with console(both) as client:
        pages = [client.get(path).text for path in ("/jobs", f"/jobs/{job.digest}")]
    for page in pages:
        assert "rows answered" in page
        assert "12.345678" not in page
        assert str(round(12.345678 * 2**16)) not in page


def test_a_job_that_was_never_granted_is_said(both: JobPair) -> None:
    with console(both) as client:
        answer = client.get(f"/jobs/{'0' * 64}")
    assert answer.status_code == 404
    assert "FS-862" in read(answer.text)
