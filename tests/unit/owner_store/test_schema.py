import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from fedsecure.errors import OperatorError
from fedsecure.owner.store.models import Base
from fedsecure.owner.store.rounds import MIGRATIONS
from fedsecure.owner.store.views import VIEWS
from fedsecure.storage import database, revisions, sql_failures
from tests.unit.owner_store.round_story import open_store

pytestmark = pytest.mark.usefixtures("real_migrations")


def schema(path: Path) -> dict[str, list[str]]:
    """Return each table's and view's parts, in an order of their own."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    connection = sqlite3.connect(path)
    rows = dict(connection.execute(query).fetchall())
    connection.close()
    return {
        name: sorted(" ".join(sql.split()).removesuffix(" )").split(", CONSTRAINT "))
        for name, sql in rows.items()
    }


def test_the_revisions_create_exactly_the_tables_of_the_models(tmp_path: Path) -> None:
    with open_store(str(tmp_path / "revisions.db")):
        pass
    engine = create_engine(f"sqlite:///{tmp_path / 'models.db'}")
    Base.metadata.create_all(engine)
    engine.dispose()
    migrated = schema(tmp_path / "revisions.db")
    assert migrated.pop("alembic_version")
    for view in VIEWS:
        assert migrated.pop(view.name)
    assert migrated == schema(tmp_path / "models.db")


def test_every_column_of_tables_and_views_is_commented_in_the_schema(
    place: str, tmp_path: Path
) -> None:
    with open_store(place):
        pass
    columns = [c for table in Base.metadata.sorted_tables for c in table.columns]
    assert [str(c) for c in columns if not c.comment] == []
    if place.startswith("sqlite"):
        parts = schema(tmp_path / "rounds.db").values()
        stored = " ".join(text for texts in parts for text in texts)
        wanted = [f"/* {c.comment} */" for c in columns]
        wanted += [f"/* {c.comment} */" for view in VIEWS for c in view.columns]
        assert [comment for comment in wanted if comment not in stored] == []
    else:
        engine = create_engine(place)
        for name in [*Base.metadata.tables, *(view.name for view in VIEWS)]:
            for column in inspect(engine).get_columns(name):
                assert column["comment"], (name, column["name"])
        engine.dispose()


def test_a_store_of_a_newer_version_is_refused_and_not_touched(place: str) -> None:
    def pretend(session: Session) -> None:
        session.execute(text("UPDATE alembic_version SET version_num = 'from_2031'"))
        session.execute(text("DROP VIEW v_event"))

    with open_store(place) as store:
        store.change("pretend", pretend)
    with pytest.raises(OperatorError, match=r"FS-603.*from_2031"):
        open_store(place)
    engine = create_engine(place)
    assert "v_event" not in inspect(engine).get_view_names()
    engine.dispose()


def test_a_database_of_something_else_is_refused(place: str) -> None:
    engine = create_engine(place)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE patients (name varchar(9))"))
    engine.dispose()
    with pytest.raises(OperatorError, match=r"FS-607.*other tables"):
        open_store(place)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rounds.db").write_text("Dear auditor, " * 99)
    with pytest.raises(OperatorError, match=r"FS-604.*rounds\.db.*not a database"):
        open_store(str(tmp_path / "rounds.db"))
    with pytest.raises(OperatorError, match=r"FS-604.*unable to open"):
        open_store(str(tmp_path / "missing" / "rounds.db"))


@pytest.mark.parametrize(
    "url", ["mysql://u:hunter2@host/d", "nonsense://u:hunter2@host/d"]
)
def test_another_kind_of_database_is_refused_without_showing_its_password(
    url: str,
) -> None:
    with pytest.raises(OperatorError, match="FS-607") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_a_password_is_never_shown() -> None:
    url = database.locate(
        "postgresql://owner:hunter2@db.example/rounds?password=swordfish"
    )
    assert database.shown(url) == "postgresql://owner:***@db.example/rounds"


def test_two_processes_that_open_an_empty_database_at_once_both_succeed(
    tmp_path: Path,
) -> None:
    place = f"sqlite:///{tmp_path / 'rounds.db'}"

    def start(_number: int) -> None:
        engine = database.open_for_writing(database.locate(place))
        revisions.upgrade(engine, MIGRATIONS)
        engine.dispose()

    with ThreadPoolExecutor(4) as pool:
        assert len(list(pool.map(start, range(4)))) == 4
    assert "rounds" in schema(tmp_path / "rounds.db")


def test_a_store_whose_tables_are_not_those_of_its_form_says_what_to_do(
    place: str,
) -> None:
    def drop(session: Session) -> None:
        session.execute(text("DROP VIEW v_event"))

    def look(session: Session) -> None:
        session.execute(text("SELECT * FROM v_event"))

    with open_store(place) as store:
        store.change("drop", drop)
        with pytest.raises(OperatorError, match=r"FS-604.*Put back a backup") as caught:
            store.change("look", look)
    assert "v_event" in caught.value.detail
    with (
        pytest.raises(OperatorError, match=r"FS-604.*Put back a backup") as caught,
        revisions.reading(database.locate(place), MIGRATIONS, "FS-604") as session,
    ):
        look(session)
    assert "v_event" in caught.value.detail
    assert "SELECT" not in caught.value.detail


def test_a_column_that_a_store_lacks_is_said_so_too(place: str) -> None:
    def widen(session: Session) -> None:
        session.execute(text("INSERT INTO events (colour) VALUES ('red')"))

    with (
        open_store(place) as store,
        pytest.raises(OperatorError, match=r"FS-604.*colour.*Put back a backup"),
    ):
        store.change("widen", widen)


def test_a_disk_that_fails_is_not_taken_for_another_store() -> None:
    error = OperationalError("BEGIN", None, sqlite3.OperationalError("disk I/O error"))
    assert "backup of it" not in sql_failures.cause(error)
