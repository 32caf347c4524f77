"""A model owner's pages about services say what the store says, and no more."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import stores
from tests.browser.serving import Served, owner, serving
from tests.unit.console.test_owner_pages import read
from tests.unit.owner_store import job_story as jobs


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    path = stores.serving(tmp_path_factory.mktemp("services"))
    with serving(owner(path)) as console:
        yield console


def test_services_are_listed_the_newest_first(services: Served) -> None:
    with services.client() as client:
        page = read(client.get("/jobs").text)
    places = [
        page.index(f" {name} ") for name in ("heart", "heart-trial", "heart-2025")
    ]
    assert places == sorted(places)
    for words in ("clinic, consortium", "20 rows tried, off by 3e-08", "paillier"):
        assert words in page


def test_a_service_says_for_whom_it_is_and_when_a_client_may_know_the_model(
    services: Served,
) -> None:
    with services.client() as client:
        page = read(client.get(f"/jobs/{jobs.job().digest}").text)
    for words in (
        "both aggregators know the weights",
        "whoever has 22 answers knows the model",
        '"labels": [',
        '"proposer": "consortium"',
    ):
        assert words in page


def test_a_job_that_is_not_there_is_said(services: Served) -> None:
    with services.client() as client:
        answer = client.get(f"/jobs/{'0' * 64}")
    assert answer.status_code == 404
    assert "FS-862" in read(answer.text)


def test_a_store_without_services_says_what_to_type(tmp_path: Path) -> None:
    with serving(owner(stores.nothing(tmp_path))) as served, served.client() as client:
        page = read(client.get("/jobs").text)
    assert "fedsecure serve --config owner.toml" in page
