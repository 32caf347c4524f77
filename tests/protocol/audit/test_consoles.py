"""The consoles over a run that was really held: sums alone, and a whole audit."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedsecure.console.owner.start import OwnerConsole
from fedsecure.protocol.federation_versions import Federations
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.console.start import parts_of
from fedsecure_aggregator.rules.policy import Policy
from tests.browser.serving import Served, post, serving
from tests.protocol.audit import story
from tests.protocol.audit.story import Records
from tests.protocol.federation import HOSPITALS, OWNER, measurement_of, update_of
from tests.unit.console.test_live import wait_until
from tests.unit.console.test_owner_pages import crawl, read

LOSSES = {name: 1.3579 + 0.2468 * i for i, name in enumerate(HOSPITALS)}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    """A run in which every hospital has a loss that nobody else has."""

    def measured(name: str, *rest: Any) -> Any:
        return replace(measurement_of(name, *rest), metrics={"loss": LOSSES[name]})

    monkeypatch.setattr(story, "measurement_of", measured)
    folder = tmp_path / "all"
    folder.mkdir()
    with story.told(folder) as memory:
        federation, keys = memory.federation, dict(memory.keys)
    return Records(folder, federation, keys)


@contextmanager
def consoles(records: Records) -> Iterator[dict[str, Served]]:
    """Those of the model owner and of both aggregators."""
    owner = OwnerConsole(
        place=str(records.store("owner")),
        user="ada",
        author=records.author(OWNER),
        keys=Federations([records.federation]),
        aggregators=[str(records.store("north")), str(records.store("south"))],
    )
    parts = {"owner": owner.parts()}
    for name in ("north", "south"):
        settings = AggregatorSettings.model_construct(
            name=name, data=records.folder / name, database=None, policy=Policy()
        )
        parts[name] = parts_of(settings, Federations([records.federation]), lambda: 0.0)
    with ExitStack() as stack:
        yield {name: stack.enter_context(serving(one)) for name, one in parts.items()}


def test_no_page_shows_what_one_data_owner_measured(told: Records) -> None:
    private = [f"{loss:.4f}" for loss in LOSSES.values()]
    for name in HOSPITALS:
        values = np.asarray(update_of(name), np.float64)
        private += [f"{np.linalg.norm(values):.4g}", *(f"{x:.6g}" for x in values[:9])]
    with consoles(told) as running:
        for served in running.values():
            with served.client() as client:
                pages = crawl(client)
            assert len(pages) > 5
            for path, text in pages.items():
                for value in private:
                    assert value not in text, path


def test_the_owners_console_audits_all_three_stores(told: Records) -> None:
    with consoles(told) as running, running["owner"].client() as client:
        served = running["owner"]
        post(served, client, "/audit", {})
        wait_until(lambda: "all records agree" in client.get("/audit").text)
        page = read(client.get("/audit").text)
    assert told.audit().holds
    for party in ("north", "south"):
        assert party in page
    assert "was not looked at" not in page
    assert "(12) ledger heads that others hold are in the chains" in page


def test_what_a_changed_store_gives_away_is_what_the_command_finds(
    told: Records,
) -> None:
    with sqlite3.connect(told.store("north")) as store:
        store.execute("UPDATE openings SET count = count + 1").close()
    report = told.audit()
    assert not report.holds
    with consoles(told) as running, running["owner"].client() as client:
        post(running["owner"], client, "/audit", {})
        wait_until(lambda: "do not agree" in client.get("/audit").text)
        page = read(client.get("/audit").text)
    for finding in report.findings[:20]:
        assert f"{finding.code} {finding.party}: {finding.where}" in page
        assert finding.what in page
