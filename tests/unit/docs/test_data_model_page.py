"""docs/data-model.md is what the schemas say, and its queries answer."""

import dataclasses
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import MetaData, select

from fedsecure.owner.store import models
from fedsecure.owner.store.records import KINDS
from fedsecure.owner.store.rounds import MIGRATIONS as AT_THE_MODEL_OWNER
from fedsecure.protocol.statements import Event
from fedsecure.protocol.stored_statements import stored
from fedsecure.storage import database, revisions
from fedsecure_aggregator.storage import tables
from fedsecure_aggregator.storage.projection import EventKind
from fedsecure_aggregator.storage.store import MIGRATIONS as AT_AGGREGATORS
from tests.postgres import Cluster
from tests.protocol.federation import (
    HOSPITALS,
    MemoryFederation,
    NoLog,
    federate,
    measurement_of,
    refused,
)
from tests.unit.docs import page
from tests.unit.owner_store import round_story
from tools import data_model

PAGE = page.read("data-model.md")
NOTHING = {
    "Questions to a round store": [""],
    "Questions to an aggregator store": ["empty"],
}
QUERY = re.compile(
    r"(<!-- empty -->\n)?```sql\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL
)


def queries(section: str) -> list[tuple[str, str]]:
    """Return the queries of a section, each with the answer that the page shows.

    At aggregators and agents the page shows none; `empty` is said of those that must
    find nothing.
    """
    (text,) = re.findall(rf"^## {section}\n(.*?)^## ", PAGE, re.DOTALL | re.MULTILINE)
    found = QUERY.findall(text)
    return [(query, "empty" if empty else answer) for empty, query, answer in found]


def ask(place: str | Path, query: str) -> list[tuple[object, ...]]:
    """Ask a store as its readers do: it cannot be written."""
    engine = database.open_for_reading(database.locate(place))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]
    finally:
        engine.dispose()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round store that holds the story of a run."""
    folder = tmp_path_factory.mktemp("told")
    with round_story.open_store(str(folder / "rounds.db")) as store:
        round_story.tell(store, folder)
    return folder / "rounds.db"


Copied = Callable[[Path, MetaData, Path], str | Path]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def copied(request: pytest.FixtureRequest) -> Copied:
    """Return what gives a store on one kind of database and the other."""
    if request.param == "sqlite":
        return lambda path, _tables, _migrations: path
    server: Cluster = request.getfixturevalue("postgresql")

    def copy(path: Path, tables: MetaData, migrations: Path) -> str:
        place = server.new_database()
        source = database.open_for_reading(database.locate(path))
        target = database.open_for_writing(database.locate(place))
        revisions.upgrade(target, migrations)
        with source.connect() as reading, target.begin() as writing:
            for table in tables.sorted_tables:
                rows = [dict(row) for row in reading.execute(select(table)).mappings()]
                if rows:
                    writing.execute(table.insert(), rows)
        source.dispose()
        target.dispose()
        return place

    return copy


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
    assert data_model.page() == PAGE, "type: python tools/data_model.py"
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
    assert set(described) == {kind.value for kind in EventKind}
    told = dict(bodies(memory))
    rare = {"store-restored", "report-lost", "federation-changed"}
    assert set(told) == set(described) - rare
    lost = {column.name for column in tables.LostReportRow.__table__.columns}
    assert described["report-lost"] == lost - {"lost_at", "entry"}
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
    told: Path, copied: Copied, query: str, answer: str
) -> None:
    place = copied(told, models.Base.metadata, AT_THE_MODEL_OWNER)
    assert shown(ask(place, query)) == answer


@pytest.mark.parametrize(
    ("query", "answer"), queries("Questions to an aggregator store")
)
def test_a_query_to_an_aggregator_store_answers(
    memory: MemoryFederation, copied: Copied, query: str, answer: str
) -> None:
    place = copied(aggregator(memory), tables.Base.metadata, AT_AGGREGATORS)
    rows = ask(place, query)
    assert bool(rows) == (answer != "empty")
    if "IS NULL" in query:
        assert rows == [("run-1", 1, "genf")]


# What an honest store never holds: a sum of two, and the same round opened again, from
# the same model, over one data owner less.
AT_THE_OWNER = """
UPDATE rounds SET set_size = 2 WHERE round = 1;
CREATE TEMP TABLE again AS SELECT * FROM rounds WHERE round = 1;
UPDATE again SET spec_digest = 'x', attempt = 9, entry = entry + 1;
INSERT INTO rounds SELECT * FROM again;
INSERT INTO participations SELECT 'x', data_owner, status, reason, rho_pico, report_id,
  receipt_a, receipt_b FROM participations WHERE data_owner <> 'va' AND spec_digest IN
  (SELECT spec_digest FROM rounds WHERE round = 1 AND attempt = 1);
"""
AT_AN_AGGREGATOR = """
UPDATE openings SET count = 2;
CREATE TEMP TABLE again AS SELECT * FROM rounds WHERE state = 'opened';
UPDATE again SET spec = 'x', attempt = 9, granted_entry = granted_entry + 1;
INSERT INTO rounds SELECT * FROM again;
CREATE TABLE forged AS SELECT * FROM openings;
INSERT INTO forged SELECT 'x', owner, run, round, purpose, model, opening, set_digest,
  json_remove(members, '$[0]'), count, rho_pico, opened_at, share_digest, share_length,
  share_entry FROM openings;
PRAGMA writable_schema = 1;
DROP TABLE openings;
ALTER TABLE forged RENAME TO openings;
"""


@pytest.mark.parametrize(
    ("section", "forged"),
    [
        ("Questions to a round store", AT_THE_OWNER),
        ("Questions to an aggregator store", AT_AN_AGGREGATOR),
    ],
)
def test_a_query_that_must_find_nothing_finds_what_it_looks_for(
    told: Path, memory: MemoryFederation, tmp_path: Path, section: str, forged: str
) -> None:
    source = told if forged is AT_THE_OWNER else aggregator(memory)
    path = tmp_path / "forged.db"
    with (
        closing(sqlite3.connect(source)) as honest,
        closing(sqlite3.connect(path)) as copy,
    ):
        honest.backup(copy)
        copy.executescript(forged)
    looking = [
        query for query, answer in queries(section) if answer in NOTHING[section]
    ]
    assert len(looking) == 3
    assert [query for query in looking if not ask(path, query)] == []


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
