"""Backup and restore, migrations, and disks and databases that fail."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.orm import Session

from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.storage import database, revisions
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.operations import backup, restore
from fedsecure_aggregator.rules.round_states import RoundState
from fedsecure_aggregator.storage import store
from fedsecure_aggregator.storage.folder_spool import open_spool
from fedsecure_aggregator.storage.store import open_store
from fedsecure_aggregator.storage.tables import EventRow, ReportRow
from tests.conftest import Databases
from tests.unit.aggregator.conftest import Pair, Server
from tests.unit.aggregator.test_grants import refused, state_of
from tests.unit.aggregator.world import HOSPITALS, World


def settings_of(server: Server) -> AggregatorSettings:
    """Return what its aggregator.toml would say; only places are used here."""
    place = server.place
    return AggregatorSettings.model_construct(
        name="north",
        data=server.folder,
        database=place if "://" in place else None,
    )


NORTH = restore.Member("north", World().known)


def put_back(
    settings: AggregatorSettings, file: Path | None, *, forget_sets: bool = False
) -> int:
    """Type `fedsecure aggregator restore`."""
    order = restore.Order(file, 1.0, forget_sets)
    return restore.restore(settings, NORTH, order).rows


def rows(server: Server) -> int:
    with server.context.store.reading("test") as session:
        return sum(
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (EventRow, ReportRow)
        )


def test_a_backup_of_a_running_store_is_one_state_of_it_and_holds_no_secret(
    pair: Pair, tmp_path: Path
) -> None:
    asked = pair.world.propose()
    pair.collect(asked, *HOSPITALS)
    file = tmp_path / "monday.db"
    with pair.north.context.store.reading("a long look"):
        count = backup.backup(settings_of(pair.north), file)
    assert count >= rows(pair.north)
    assert file.stat().st_mode & 0o077 == 0
    key = pair.north.key_file(asked).read_bytes()
    content = file.read_bytes()
    assert key not in content
    assert [one.name for one in tmp_path.glob("monday*")] == ["monday.db"]
    assert database.open_for_reading(database.locate(file)).connect()


def test_a_restored_store_opens_nothing_older_than_the_restore(
    pair: Pair, tmp_path: Path
) -> None:
    """The backup was made when reports were in, and the round was opened afterwards."""
    north, world = pair.north, pair.world
    asked = world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    file = tmp_path / "monday.db"
    backup.backup(settings_of(north), file)
    north.open(asked, world.opening(asked, receipts))
    later = world.propose(run="run-2")
    north.grant(later)
    stop(north)
    put_back(settings_of(north), file)
    north = pair.restart("north")
    assert state_of(north, asked) is RoundState.VOID
    fewer = {name: receipts[name] for name in HOSPITALS[:3]}
    opening = world.opening(asked, fewer)
    assert refused(lambda: north.open(asked, opening)) == "FS-305"
    for run in ("run-1", "run-2"):
        again = world.propose(run=run, round=2)
        assert refused(lambda: north.grant(again)) == "FS-334"  # noqa: B023
    assert north.grant(world.propose(run="run-3"))


def test_a_backup_restores_to_another_kind_of_database(
    pair: Pair, tmp_path: Path, databases: Databases
) -> None:
    asked = pair.world.propose()
    pair.collect(asked, *HOSPITALS)
    before = rows(pair.north)
    file = tmp_path / "monday.db"
    backup.backup(settings_of(pair.north), file)
    stop(pair.north)
    place = databases(tmp_path / "new.db")
    moved = settings_of(pair.north).model_copy(
        update={"database": place if "://" in place else f"sqlite:///{place}"}
    )
    put_back(moved, file)
    pair.servers["north"].place = place
    assert rows(pair.restart("north")) == before + 2  # store-restored and round-void


def test_even_a_backup_that_is_up_to_date_closes_every_run(
    pair: Pair, tmp_path: Path
) -> None:
    pair.north.grant(pair.world.propose())
    file = tmp_path / "monday.db"
    backup.backup(settings_of(pair.north), file)
    stop(pair.north)
    put_back(settings_of(pair.north), file)
    north = pair.restart("north")
    again = pair.world.propose(round=2)
    assert refused(lambda: north.grant(again)) == "FS-334"


def stop(server: Server) -> None:
    server.context.store.close()
    server.running.close()


def test_nothing_is_restored_under_a_running_aggregator(
    pair: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "monday.db"
    backup.backup(settings_of(pair.north), file)
    before = rows(pair.north)
    with pytest.raises(OperatorError, match="FS-522"):
        put_back(settings_of(pair.north), file)
    assert rows(pair.north) == before


def test_a_backup_overwrites_nothing_and_a_restore_needs_one(
    pair: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("dear diary")
    with pytest.raises(OperatorError, match=r"FS-528.*exists"):
        backup.backup(settings_of(pair.north), file)
    assert file.read_text() == "dear diary"
    stop(pair.north)
    with pytest.raises(OperatorError, match=r"FS-528.*not a file"):
        put_back(settings_of(pair.north), tmp_path / "none.db")
    with pytest.raises(OperatorError, match="FS-52"):
        put_back(settings_of(pair.north), file)
    pair.restart("north")


@pytest.fixture
def newer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Migrations with one revision more than there is today."""
    folder = tmp_path / "migrations"
    shutil.copytree(store.MIGRATIONS, folder)
    (folder / "versions" / "next.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        "revision, down_revision = 'aggregator_2', 'aggregator_1'\n"
        "def upgrade():\n"
        "    op.create_table('more', sa.Column('n', sa.Integer, primary_key=True))\n"
    )
    monkeypatch.setattr(store, "MIGRATIONS", folder)
    return folder


def test_an_older_store_is_refused_with_the_command_that_migrates_it(
    world: World, tmp_path: Path, databases: Databases, request: pytest.FixtureRequest
) -> None:
    place = databases(tmp_path / "aggregator.db")
    author = world.author("north")
    open_store(place, author).close()
    folder = request.getfixturevalue("newer")
    with pytest.raises(
        OperatorError, match=r"FS-608.*aggregator_1.*fedsecure aggregator migrate"
    ):
        open_store(place, author)
    outcome = revisions.migrate(database.locate(place), folder, "FS-525")
    assert outcome.endswith("aggregator_1 -> aggregator_2")
    open_store(place, author).close()
    outcome = revisions.migrate(database.locate(place), folder, "FS-525")
    assert "already" in outcome


def test_a_new_empty_store_needs_no_command(
    world: World, tmp_path: Path, databases: Databases, newer: Path
) -> None:
    assert newer.is_dir()
    open_store(databases(tmp_path / "fresh.db"), world.author("north")).close()


# --- disks and databases that fail ----------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a disk of some size; again over the same folder, if asked again."""
    mounted = []

    def mount(options: str) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir(exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        done = subprocess.run(command, capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"NOT TESTED: no tmpfs can be mounted here: {done.stderr!r}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)  # noqa: S607


def test_a_read_only_disk_says_so(
    world: World, small_disk: Callable[[str], Path]
) -> None:
    folder = small_disk("size=96m")
    open_store(folder / "aggregator.db", world.author("north")).close()
    with open_spool(folder) as spool:
        pass
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)  # noqa: S607
    key = SealingKey.from_seed(bytes(32))
    for code, write in (
        ("FS-526", lambda: spool.notes.remember_run("run-1")),
        ("FS-526", lambda: spool.save_key("0" * 64, key)),
        ("FS-526", lambda: open_store(folder / "aggregator.db", world.author("north"))),
    ):
        with pytest.raises(FedsecureError) as caught:
            write()
        assert caught.value.code == code
        assert caught.value.problem.status == 503
        assert caught.value.problem.retry is not None


def test_a_full_disk_says_so_and_leaves_the_store_as_it_was(
    world: World, small_disk: Callable[[str], Path]
) -> None:
    folder = small_disk("size=2m")
    made = open_store(folder / "aggregator.db", world.author("north"))
    (folder / "filler").write_bytes(b"x" * (2**20))
    heap = "CREATE TABLE heap (n integer, t text)"
    rows = [{"n": number, "t": "x" * 50_000} for number in range(40)]

    def fill(session: Session) -> None:
        session.execute(text(heap))
        session.execute(text("INSERT INTO heap VALUES (:n, :t)"), rows)

    with pytest.raises(FedsecureError) as caught:
        made.change("test", fill)
    assert caught.value.code == "FS-523"
    (folder / "filler").unlink()
    with made.reading("test") as session:
        assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
    made.change("test", lambda session: session.execute(text(heap)))
    made.close()


def test_a_lost_database_does_not_answer_and_is_not_written_to(pair: Pair) -> None:
    """A file that was put aside, a server's database that was dropped."""
    pair.north.grant(pair.world.propose())
    file = Path(pair.north.place)
    if "://" in pair.north.place:
        engine = create_engine(pair.north.place)
        with engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
        engine.dispose()
    else:
        file.rename(file.with_name("aside"))
    code = refused(lambda: pair.north.grant(pair.world.propose(run="run-2")))
    assert code == "FS-525"
    if "://" not in pair.north.place:
        file.with_name("aside").rename(file)
        assert pair.north.grant(pair.world.propose(run="run-3"))
