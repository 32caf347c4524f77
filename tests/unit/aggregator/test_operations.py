"""What keeps a server well: readiness, migrations with a copy, passwords, logs."""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from sqlalchemy import make_url, text

from fedsecure.errors import OperatorError
from fedsecure.protocol.signing_keys import save_signing_key
from fedsecure.storage import database
from fedsecure.transport.certificates import Authority, ends_at
from fedsecure_aggregator.config import AggregatorSettings, with_password
from fedsecure_aggregator.http.readiness import Readiness, ServerFiles
from fedsecure_aggregator.operations import backup, logs, migration
from fedsecure_aggregator.operations.colocation import COLOCATED, detecting_colocation
from fedsecure_aggregator.rules.round_states import RoundState
from fedsecure_aggregator.storage import store
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.test_backup import newer, put_back, settings_of, stop
from tests.unit.aggregator.test_grants import state_of
from tests.unit.aggregator.world import CLINIC, HOSPITALS, OWNER, SERVERS, World

__all__ = ["newer"]  # a fixture of the tests of backups


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Some tests configure what all processes of a real server have."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    yield
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


# --- ready ------------------------------------------------------------------------


@pytest.fixture
def ready(pair: Pair, tmp_path: Path) -> Readiness:
    """A server that is ready, with files of its own; its certificate ends in a day."""
    now = datetime.fromtimestamp(pair.north.clock(), UTC)
    certified = Authority.create("test", now, timedelta(days=1)).certify(
        ["north.example"], now, timedelta(days=1)
    )
    files = ServerFiles(
        tmp_path / "signing.pem", tmp_path / "tls.pem", tmp_path / "tls.key"
    )
    save_signing_key(files.signing_key, pair.world.keys["north"])
    files.certificate.write_bytes(certified.certificate)
    files.tls_key.write_bytes(certified.key)
    ends = ends_at(files.certificate).timestamp()
    made = Readiness(pair.north.context, files, ends)
    made.require()
    return made


def test_a_store_of_another_form_is_not_ready(ready: Readiness) -> None:
    with ready.context.store.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'other'"))
    with pytest.raises(OperatorError, match="FS-603"):
        ready.require()


def test_a_data_folder_that_is_gone_is_not_ready(ready: Readiness) -> None:
    shutil.rmtree(ready.context.spool.place)
    with pytest.raises(OperatorError, match=r"FS-52[45]"):
        ready.require()


@pytest.mark.parametrize(
    ("missing", "code"), [("signing_key", "FS-801"), ("tls_key", "FS-527")]
)
def test_a_key_that_is_gone_is_not_ready(
    ready: Readiness, missing: str, code: str
) -> None:
    getattr(ready.files, missing).unlink()
    with pytest.raises(OperatorError, match=code):
        ready.require()


def test_a_certificate_is_spoken_of_before_it_ends_and_not_ready_afterwards(
    ready: Readiness, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure()
    assert ready.ends is not None
    for days, warned in ((31, False), (29, True), (-1, True)):
        at = ready.ends - days * 86400
        replace(
            ready, context=replace(ready.context, clock=lambda at=at: at)
        ).warn_of_end()
        assert ("certificate ends soon" in capsys.readouterr().out) is warned, days
    late = replace(ready.context, clock=lambda: ready.ends)
    with pytest.raises(OperatorError, match="FS-891"):
        replace(ready, context=late).require()


# --- migrations ---------------------------------------------------------------------


def test_a_migration_keeps_a_copy_that_the_older_version_restores(
    pair: Pair,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = pair.world.propose()
    pair.collect(asked, *HOSPITALS[:3])
    older, settings = store.MIGRATIONS, settings_of(pair.north)
    before = backup.backup(settings, tmp_path / "before.db")
    assert "has the form of this version" in migration.migrate(settings)  # it runs
    request.getfixturevalue("newer")
    with pytest.raises(OperatorError, match="FS-522"):
        migration.migrate(settings)
    stop(pair.north)
    outcome, _, kept = migration.migrate(settings).partition("; as it was before: ")
    assert outcome.endswith("aggregator_1 -> aggregator_2")
    assert Path(kept).stat().st_mode & 0o777 == 0o600
    assert [*pair.north.folder.glob("before-*")] == [Path(kept)]

    # Back to the older version, as the page says: its `restore` takes the copy.
    monkeypatch.setattr(store, "MIGRATIONS", older)
    engine = database.open_for_writing(database.locate(settings.store))
    with database.writer(engine).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :v"), OLD)
        connection.execute(text("DROP TABLE more"))
    engine.dispose()
    assert put_back(settings, Path(kept)) == before > 5
    assert state_of(pair.restart("north"), asked) is RoundState.VOID


OLD = {"v": "aggregator_1"}


def test_an_empty_store_is_made_and_nothing_kept(tmp_path: Path) -> None:
    settings = AggregatorSettings.model_construct(name="north", data=tmp_path / "data")
    assert "empty -> aggregator_1" in migration.migrate(settings)
    assert "has the form of this version" in migration.migrate(settings)
    assert not [*settings.data.glob("before-*")]


# --- one machine -------------------------------------------------------------------


def test_two_servers_of_one_machine_notice_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure()
    shared = tmp_path / "machine"
    shared.write_text("")
    shared.chmod(0o444)
    with detecting_colocation(shared):
        assert COLOCATED not in capsys.readouterr().out
        with detecting_colocation(shared):
            assert COLOCATED in capsys.readouterr().out
    with detecting_colocation(shared), detecting_colocation(tmp_path / "not there"):
        assert COLOCATED not in capsys.readouterr().out


# --- a database's password ---------------------------------------------------------


def test_a_password_comes_from_a_file(tmp_path: Path) -> None:
    file, written = tmp_path / "password", "a/b@c:d"
    file.write_text(f"{written}\n")
    file.chmod(0o640)
    url = make_url(with_password("postgresql://north@db.example/fedsecure", file))
    assert url.password == written
    assert url.render_as_string() == "postgresql://north:***@db.example/fedsecure"


@pytest.mark.parametrize(
    ("url", "content", "mode"),
    [
        ("postgresql://north@db/f", "secret", 0o644),
        ("postgresql://north@db/f", "\n", 0o600),
        ("postgresql://db/f", "secret", 0o600),
        (None, "secret", 0o600),
        ("postgresql://north@db/f", None, 0o600),
    ],
)
def test_a_password_that_cannot_be_used_is_refused_and_not_shown(
    tmp_path: Path, url: str | None, content: str | None, mode: int
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    with pytest.raises(OperatorError, match="FS-890") as caught:
        with_password(url, file)
    assert "secret" not in str(caught.value)


# --- logs ---------------------------------------------------------------------


def test_who_gives_numbers_or_asks_is_not_named_and_servers_are() -> None:
    world = World(clients=[CLINIC])
    hidden = logs.names_to_hide(world.federation)
    assert set(hidden) == {*HOSPITALS, CLINIC}
    assert not {OWNER, *SERVERS} & set(hidden)


def test_no_line_holds_a_secret_or_a_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure(["va", "va-long-beach", "basel"])
    jws = "eyJhbGciOiJFZERTQSJ9.eyJzcGVjIjoiYWIifQ.c2lnbmF0dXJl"
    frame = "-----{} PRIVATE KEY-----"
    pem = "\n".join([frame.format("BEGIN"), "MC4CAQAwBQYDK2Vw==", frame.format("END")])
    log = structlog.get_logger()
    log.warning("refused", detail=f"Bearer {jws}", parts=[{"path": "/d/basel"}])
    log.error("failed", url="postgresql://north:hunter2@db/f", key=pem, who="va")
    try:
        raise OSError(f"/data/reports/va-long-beach: {jws}")
    except OSError:
        logging.getLogger("library").exception("cannot read for basel")
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["level"] for line in lines] == ["warning", "error", "error"]
    for secret in (jws, "hunter2", "MC4CAQ", "basel", "long-beach", '"va"'):
        assert secret not in out
    assert lines[1]["url"] == "postgresql://[hidden]@db/f"
    assert lines[0]["parts"] == [{"path": "/d/[hidden]"}]
    # What only looks like a name stays.
    log.info("value", text="vanish nova-va-x")
    assert json.loads(capsys.readouterr().out)["text"] == "vanish nova-va-x"
