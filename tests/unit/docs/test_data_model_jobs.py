"""docs/data-model.md on jobs: entries are as it says, and its queries answer."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fedsecure.protocol.statements import Event
from fedsecure.protocol.stored_statements import stored
from fedsecure_aggregator.storage.jobs.projection import JobEvent
from tests.protocol.audit import job_story
from tests.unit.docs import page

PAGE = page.read("data-model.md")
QUERIES = re.findall(
    r"(<!-- empty -->\n)?```sql\n(.*?)```",
    page.section(PAGE, "Questions about jobs"),
    re.DOTALL,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An aggregator's store with jobs."""
    folder = tmp_path_factory.mktemp("computed") / "all"
    folder.mkdir()
    return job_story.told(folder).store("north")


def ask(store: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(store)) as opened:
        return opened.execute(query).fetchall()


def test_the_bodies_of_entries_about_jobs_are_complete(store: Path) -> None:
    rows = page.table(page.section(PAGE, "Its entries about jobs"))
    described = {page.code(row[0]): set(re.findall(r"`(\w+)`", row[1])) for row in rows}
    assert set(described) == {kind.value for kind in JobEvent}
    told: dict[str, set[str]] = {}
    for (payload,) in ask(store, "SELECT payload FROM events ORDER BY entry"):
        event = stored(str(payload), Event).statement
        assert told.setdefault(event.kind, set(event.body)) == set(event.body)
    assert told == described


@pytest.mark.parametrize(("empty", "query"), QUERIES)
def test_a_query_about_jobs_answers(store: Path, empty: str, query: str) -> None:
    assert bool(ask(store, query)) == (not empty)


def test_the_query_that_must_find_nothing_finds_what_it_looks_for(
    store: Path, tmp_path: Path
) -> None:
    forged = tmp_path / "forged.db"
    forged.write_bytes(store.read_bytes())
    (query,) = [query for empty, query in QUERIES if empty]
    with closing(sqlite3.connect(forged)) as opened:
        opened.execute("UPDATE queries SET rows = 99 WHERE query = 4")
        opened.commit()
    assert [row[1:] for row in ask(forged, query)] == [("clinic", 102, 10)]
