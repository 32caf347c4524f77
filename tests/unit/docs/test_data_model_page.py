"""docs/data-model.md is what the schemas say, and its queries answer."""

import dataclasses
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aggregator.projection import Happened
from docs import data_model
from fedsecure import database
from fedsecure.statements import Event
from fedsecure.store.records import KINDS
from fedsecure.store.tokens import stored
from tests.protocol.federation import (
    HOSPITALS,
    MemoryFederation,
    NoLog,
    federate,
    measurement_of,
    refused,
)
from tests.unit.docs import page
from tests.unit.store import round_story

PAGE = page.read("data-model.md")
QUERY = re.compile(r"```sql\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)


def queries(section: str) -> list[tuple[str, str]]:
    """Return the queries of a section, each with the answer that the page shows."""
    (text,) = re.findall(rf"^## {section}\n(.*?)^## ", PAGE, re.DOTALL | re.MULTILINE)
    return QUERY.findall(text)


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round store that holds the story of a run."""
    folder = tmp_path_factory.mktemp("told")
    with round_story.open_store(str(folder / "rounds.db")) as store:
        round_story.tell(store, folder)
    return folder / "rounds.db"


@pytest.fixture(scope="module")
def memory(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[MemoryFederation]:
    """A federation after a round in which genf's report came but was left out.

    A second round is void.
    """
    with federate(tmp_path_factory.mktemp("memory")) as federation:
        proposal = federation.owner.propose(federation.request())
        receipts = {
            name: federation.hospitals[name].answer(proposal, measurement_of(name))
            for name in HOSPITALS
        }
        del receipts["genf"]
        federation.owner.open(proposal, receipts)
        again = federation.request(attempt=2)  # of a round that was opened: refused
        with refused("FS-304"):
            replace(federation.owner, log=NoLog()).propose(again)
        second = federation.owner.propose(federation.request(round=2))
        federation.owner.void(second.spec, "nobody reported")
        federation.hospitals["basel"].state.replied("receipts", 1400, 1_800_000_000.0)
        yield federation


def test_the_tables_of_the_page_are_those_of_the_schemas() -> None:
    assert data_model.page() == PAGE, "type: python docs/data_model.py"
    assert {name for _, name, _ in data_model.PART.findall(PAGE)} == set(
        data_model.PARTS
    )


def test_every_column_has_a_meaning() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert len(rows) > 150
    assert [row for row in rows if row.endswith(("|  |", "| None |"))] == []


def test_the_bodies_of_the_model_owners_entries_are_complete() -> None:
    rows = page.table(page.section(PAGE, "Entries of the model owner's ledger"))
    described = {page.code(row[0]): set(re.findall(r"`(\w+)`", row[1])) for row in rows}
    assert described == {
        kind: {field.name for field in dataclasses.fields(body)}
        for kind, body in KINDS.items()
    }


def test_the_bodies_of_an_aggregators_entries_are_complete(
    memory: MemoryFederation,
) -> None:
    rows = page.table(page.section(PAGE, "Entries of an aggregator's ledger"))
    described = {page.code(row[0]): set(re.findall(r"`(\w+)`", row[1])) for row in rows}
    assert set(described) == {kind.value for kind in Happened}
    told = dict(bodies(memory))
    assert set(told) == set(described) - {"store-restored"}
    assert {kind: described[kind] for kind in told} == told


def bodies(memory: MemoryFederation) -> Iterator[tuple[str, set[str]]]:
    """Yield kind and keys of every entry in north's ledger."""
    for (payload,) in ask(aggregator(memory), "SELECT payload FROM events"):
        event = stored(str(payload), Event).statement
        yield event.kind, set(event.body)


def aggregator(memory: MemoryFederation) -> Path:
    return memory.folder / "north" / "aggregator.db"


def shown(rows: list[tuple[object, ...]]) -> str:
    """Return rows as the page shows them."""
    lines = (
        " ".join("-" if cell is None else str(cell) for cell in row) for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(("query", "answer"), queries("Questions to a round store"))
def test_a_query_to_the_round_store_answers_as_shown(
    told: Path, query: str, answer: str
) -> None:
    assert shown(ask(told, query)) == answer


@pytest.mark.parametrize(
    ("query", "answer"), queries("Questions to an aggregator store")
)
def test_a_query_to_an_aggregator_store_answers(
    memory: MemoryFederation, query: str, answer: str
) -> None:
    rows = ask(aggregator(memory), query)
    assert rows
    assert answer == ""
    if "v_opening o" in query:
        assert rows == [("run-1", 1, "genf")]


@pytest.mark.parametrize(("query", "answer"), queries("Questions to an agent state"))
def test_a_query_to_an_agent_state_answers(
    memory: MemoryFederation, query: str, answer: str
) -> None:
    rows = ask(memory.folder / "basel" / "agent.db", query)
    assert rows
    assert answer == ""


def test_all_stores_can_be_asked_while_they_are_open(memory: MemoryFederation) -> None:
    engine = database.open_for_reading(database.locate(aggregator(memory)))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM v_round").scalar() == 2
    engine.dispose()
