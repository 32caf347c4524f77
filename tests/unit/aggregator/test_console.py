"""An aggregator's console over its own store, of every database."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import select

from fedsecure.errors import PeerError
from fedsecure.protocol.federation_versions import Federations
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.console.start import parts_of
from fedsecure_aggregator.rounds import openings, refusals
from fedsecure_aggregator.rules.policy import Policy
from fedsecure_aggregator.storage import charges
from fedsecure_aggregator.storage.tables import PrivacyStudyRow
from tests.browser.serving import Served, post, serving
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.test_noisy_openings import PRIVACY, collected
from tests.unit.aggregator.world import HOSPITALS
from tests.unit.console.test_live import marks, wait_until
from tests.unit.console.test_owner_pages import crawl, read


@contextmanager
def console(pair: Pair) -> Iterator[tuple[Served, httpx.Client]]:
    """The console of the aggregator north, and a browser that is signed in."""
    server = pair.north
    url = server.place if "://" in server.place else None
    settings = AggregatorSettings.model_construct(
        name="north", data=server.folder, database=url, policy=Policy()
    )
    parts = parts_of(settings, Federations([pair.world.federation]), server.clock)
    with serving(parts) as served, served.client() as client:
        yield served, client


def test_nobody_has_asked_yet(pair: Pair) -> None:
    with console(pair) as (_, client):
        page = read(client.get("/").text)
    assert "No round was granted yet" in page
    assert "Nothing that anybody signed was refused" in page
    assert "max open rounds 64" in page.replace("_", " ")


@pytest.mark.timeout(60)
def test_a_round_is_followed_from_grant_to_opening(pair: Pair) -> None:
    asked = pair.world.propose()
    with console(pair) as (_, client), client.stream("GET", "/live") as stream:
        told = marks(stream)
        assert next(told) == "0-0.0"
        tokens = pair.grant(asked)
        assert next(told) == "1-0.0"
        page = read(client.get(f"/rounds/{asked.digest}").text)
        assert "granted 0 of 4 reports are stored" in page
        assert "No report from basel, bern, chur, genf ." in page
        receipts = {}
        for reporter in HOSPITALS[:3]:
            sealed = pair.world.report(asked, tokens, reporter)
            receipts[reporter] = {
                name: pair.servers[name].report(one) for name, one in sealed.items()
            }
        assert any(one.endswith("-3.0") for one in told)
        page = read(client.get(f"/rounds/{asked.digest}").text)
        assert "collecting 3 of 4 reports are stored" in page
        assert "No report from genf ." in page
        pair.north.open(asked, pair.world.opening(asked, receipts))
        assert any(one.endswith("-0.0") for one in told)
        page = read(client.get(f"/rounds/{asked.digest}").text)
        assert "opened 3 of 4 reports are stored, 3 are in the sum" in page
        assert re.search(r"1 opened 3/4 run-1", read(client.get("/").text))


def test_what_a_study_has_spent_is_there_for_each_data_owner(pair: Pair) -> None:
    asked, _, opening = collected(pair)
    pair.north.open(asked, opening)
    with console(pair) as (_, client):
        page = read(client.get("/").text)
    assert "Privacy spent" in page
    with pair.north.context.store.reading("look") as session:
        spent = session.scalar(select(PrivacyStudyRow.epsilon).limit(1))
        part = charges.largest_part(session)
    assert spent
    assert part == pytest.approx(spent / PRIVACY.epsilon)
    for name in HOSPITALS:
        assert f"{name} all rows {spent:.2f} {PRIVACY.epsilon:g}" in page


def test_a_report_that_is_left_out_of_the_sum_is_named(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    del receipts["chur"]
    pair.north.open(asked, pair.world.opening(asked, receipts))
    with console(pair) as (_, client):
        page = read(client.get(f"/rounds/{asked.digest}").text)
    assert "Stored, but not in the sum: chur." in page


def test_what_was_refused_is_shown_with_its_reason(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS[:2])
    small = pair.world.opening(asked, receipts)
    with pytest.raises(PeerError, match="FS-320"):
        refusals.decide(
            pair.north.context, small, openings.open_round, asked.digest, small
        )
    with console(pair) as (_, client):
        for path in ("/", f"/rounds/{asked.digest}"):
            page = read(client.get(path).text)
            assert "study opening run-1 1 FS-320 " in page


def test_an_aggregator_audits_its_own_ledger(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    pair.north.open(asked, pair.world.opening(asked, receipts))
    with console(pair) as (served, client):
        post(served, client, "/audit", {})
        wait_until(lambda: "all records agree" in client.get("/audit").text)
        page = read(client.get("/audit").text)
    assert "It is this ledger by itself" in page
    assert "north" in page


def test_rounds_come_in_parts(pair: Pair) -> None:
    for number in range(1, 28):
        pair.north.grant(pair.world.propose(round=number))
    with console(pair) as (_, client):
        newest, oldest = client.get("/").text, client.get("/?page=2").text
        assert client.get("/?page=3").status_code == 404
        assert client.get("/rounds/nothing").status_code == 404
    assert "Page 1 of 2" in read(newest)
    assert (">27</a>" in newest, ">1</a>" in newest) == (True, False)
    assert (">27</a>" in oldest, ">1</a>" in oldest) == (False, True)


def test_no_page_has_a_key_a_share_or_a_password(pair: Pair) -> None:
    asked = pair.world.propose()
    tokens = pair.grant(asked)
    sealed = pair.world.report(asked, tokens, "basel")
    pair.north.report(sealed["north"])
    key = pair.north.key_file(asked).read_bytes()
    with console(pair) as (served, client):
        pages = crawl(client)
        secrets = [served.token, *client.cookies.values()]
    payload = sealed["north"].payload
    secrets += [
        key.hex(),
        payload[:24].hex(),
        pair.world.keys["north"].private_bytes_raw().hex(),
    ]
    assert f"/rounds/{asked.digest}" in pages
    for path, text in pages.items():
        for secret in secrets:
            assert secret not in text, path
