from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column, Engine, create_engine, inspect, select, text
from sqlalchemy.orm import Session
from sqlalchemy.schema import Table

from fedsecure.errors import OperatorError
from fedsecure.protocol.ledger import read_chain
from fedsecure.protocol.statements import LedgerHead
from fedsecure_aggregator.storage.jobs.tables import Unrecorded
from fedsecure_aggregator.storage.notes import RestoreNote
from fedsecure_aggregator.storage.projection import project
from fedsecure_aggregator.storage.store import open_store
from fedsecure_aggregator.storage.tables import (
    Base,
    ClosedRunRow,
    EventRow,
    OpeningRow,
    RoundRow,
)
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.world import HOSPITALS, NOW, World

TABLES = [Base.metadata, Unrecorded.metadata]
PROJECTIONS = (RoundRow, OpeningRow, ClosedRunRow)


def rows(session: Session, table: type[Base]) -> list[dict[str, object]]:
    columns = [column.key for column in inspect(table).columns]
    found = [
        {name: getattr(row, name) for name in columns}
        for row in session.scalars(select(table))
    ]
    return sorted(found, key=str)


def engine_of(pair: Pair) -> Engine:
    return pair.north.context.store.engine


@pytest.mark.usefixtures("real_migrations")
def test_the_migration_makes_exactly_the_models(pair: Pair) -> None:
    with engine_of(pair).connect() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, TABLES) == []


def test_every_column_says_what_it_holds() -> None:
    tables: list[Table] = [t for one in TABLES for t in one.tables.values()]
    assert len(tables) == 14
    assert not [str(c) for table in tables for c in table.columns if not c.comment]


def test_comments_of_migration_and_models_agree(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # SQLite keeps no comments, so the statements of another dialect are compared.
    emitted = _comments_by_migration(monkeypatch)
    declared = {
        f"{table.name}.{column.name}": column.comment
        for one in TABLES
        for table in one.tables.values()
        for column in table.columns
    }
    assert emitted == declared


def _comments_by_migration(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    from fedsecure_aggregator.storage.migrations.versions import initial  # noqa: PLC0415

    found: dict[str, str | None] = {}

    class Recorder:
        def create_table(self, name: str, *parts: object) -> None:
            found.update(
                {
                    f"{name}.{part.name}": part.comment
                    for part in parts
                    if isinstance(part, Column)
                }
            )

        def execute(self, _: str) -> None:
            pass

    monkeypatch.setattr(initial, "op", Recorder())
    initial.upgrade()
    return found


def test_a_store_of_a_newer_version_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "aggregator.db"
    open_store(path, world.author("north")).close()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'x-99'"))
    engine.dispose()
    with pytest.raises(OperatorError, match="FS-603"):
        open_store(path, world.author("north"))


def test_projecting_the_ledger_again_gives_the_same_tables(
    pair: Pair, tmp_path: Path
) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    pair.north.open(asked, pair.world.opening(asked, receipts))
    given_up = pair.world.propose(round=2)
    pair.collect(given_up, "basel")
    pair.north.void(given_up, pair.world.void(given_up))
    newer = LedgerHead(entries=99, hash="1" * 64)  # as if the store were a backup
    pair.north.context.spool.notes.note_ledger_head(newer)
    note = RestoreNote(at=NOW, sets_forgotten=False)
    pair.north.context.spool.notes.note_restore(note)
    pair.restart("north")
    again = open_store(tmp_path / "again.sqlite", pair.world.author("north"))

    def compare(new: Session) -> None:
        with pair.north.context.store.reading("test") as old:
            for event in read_chain(old, EventRow, pair.world.federation):
                project(new, event)
                new.flush()
            for table in PROJECTIONS:
                assert rows(new, table) == rows(old, table)
                assert rows(old, table)

    again.change("test", compare)
    again.close()


def test_views_tell_the_story_of_a_round(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    fewer = {name: receipts[name] for name in HOSPITALS[:3]}
    pair.north.open(asked, pair.world.opening(asked, fewer))
    with engine_of(pair).connect() as connection:
        told = connection.execute(text("SELECT * FROM v_round")).mappings().one()
        reports = connection.execute(text("SELECT * FROM v_report")).mappings().all()
        opening = connection.execute(text("SELECT * FROM v_opening")).mappings().one()
    assert (told["state"], told["reports"], told["opened"]) == ("opened", 4, 3)
    assert sorted(report["reporter"] for report in reports) == list(HOSPITALS)
    assert (opening["count"], opening["share_bytes"] > 4000) == (3, True)
