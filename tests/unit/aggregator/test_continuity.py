"""A database that went back, or is another's; and which sets are remembered."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select, text
from typer.testing import CliRunner

from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.membership.accepted import Accepted, Membership
from fedsecure.protocol.statements import Event
from fedsecure.storage import database
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.operations import backup, restore
from fedsecure_aggregator.operations.cli import app
from fedsecure_aggregator.rounds import deletion, openings, recovery
from fedsecure_aggregator.rules.round_states import RoundState
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.projection import EventKind
from fedsecure_aggregator.storage.tables import EventRow
from tests.postgres import Cluster, cluster
from tests.unit.aggregator.conftest import Pair, Server, start
from tests.unit.aggregator.test_backup import NORTH, put_back, settings_of, stop
from tests.unit.aggregator.test_grants import ordered, refused, state_of
from tests.unit.aggregator.world import HOSPITALS, SERVERS, Clock, World, payload_of

JOURNAL = "opened-sets"


def entries(server: Server) -> list[tuple[str, dict[str, object]]]:
    """What the ledger says, in order."""
    with server.context.store.reading("test") as session:
        tokens = session.scalars(select(EventRow.payload).order_by(EventRow.entry))
        events = [Event.model_validate(payload_of(token)) for token in tokens]
    return [(event.kind, dict(event.body)) for event in events]


# --- what was opened is not forgotten -----------------------------------------------


def opened_after_a_backup(pair: Pair, file: Path) -> None:
    """Make a backup of an empty store, then open a round over all, and stop."""
    backup.backup(settings_of(pair.north), file)
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    pair.north.open(asked, pair.world.opening(asked, receipts))
    stop(pair.north)


def opens_over_fewer(pair: Pair) -> str | None:
    """Try to open a new run of the same model over all but one; return the code."""
    asked = pair.world.propose(run="run-2")
    receipts = pair.collect(asked, *HOSPITALS[:3])
    opening = pair.world.opening(asked, receipts)
    try:
        pair.north.open(asked, opening)
    except FedsecureError as error:
        return error.code
    return None


def test_a_restored_store_still_refuses_sets_close_to_those_opened_since_the_backup(
    pair: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "monday.db"
    opened_after_a_backup(pair, file)
    put_back(settings_of(pair.north), file)
    pair.restart("north")
    assert opens_over_fewer(pair) == "FS-324"
    pair.restart("north")  # also from then on
    asked = pair.world.propose(run="run-3")
    receipts = pair.collect(asked, *HOSPITALS[1:])
    opening = pair.world.opening(asked, receipts)
    assert refused(lambda: pair.north.open(asked, opening)) == "FS-324"


def test_a_new_data_folder_goes_on_only_when_its_operator_says_what_is_lost(
    pair: Pair, tmp_path: Path
) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    pair.north.open(asked, pair.world.opening(asked, receipts))
    stop(pair.north)
    place = database.locate(pair.north.place)
    if place.get_backend_name() == "sqlite":  # a database beside the data folder
        moved = tmp_path / "moved.db"
        Path(pair.north.place).rename(moved)
        pair.north.place = str(moved)
    saved = tmp_path / JOURNAL
    shutil.copy(pair.north.folder / JOURNAL, saved)
    shutil.rmtree(pair.north.folder)
    assert refused(lambda: pair.restart("north")) == "FS-546"
    stop(pair.north)
    settings = settings_of(pair.north).model_copy(
        update={"database": place.render_as_string(hide_password=False)}
        if "://" in pair.north.place
        else {"database": f"sqlite:///{pair.north.place}"}
    )
    with pytest.raises(OperatorError, match=r"FS-546.*no list of opened sets"):
        put_back(settings, None)
    shutil.copy(saved, pair.north.folder / JOURNAL)  # a copy of it serves
    put_back(settings, None)
    pair.restart("north")
    (kind, body) = entries(pair.north)[-1]
    assert (kind, body["sets_forgotten"]) == (EventKind.RESTORED, False)
    assert opens_over_fewer(pair) == "FS-324"


def test_sets_are_forgotten_only_when_that_was_typed_and_the_ledger_says_so(
    pair: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "monday.db"
    opened_after_a_backup(pair, file)
    (pair.north.folder / JOURNAL).unlink()
    with pytest.raises(OperatorError, match=r"FS-546.*no list of opened sets"):
        put_back(settings_of(pair.north), file)
    put_back(settings_of(pair.north), file, forget_sets=True)
    pair.restart("north")
    assert [body["sets_forgotten"] for _, body in entries(pair.north)] == [True]
    assert opens_over_fewer(pair) is None


def test_a_list_that_was_lost_after_a_restore_is_missed(
    pair: Pair, tmp_path: Path
) -> None:
    """The database alone no longer knows all that was opened."""
    file = tmp_path / "monday.db"
    opened_after_a_backup(pair, file)
    put_back(settings_of(pair.north), file)
    pair.restart("north")
    (pair.north.folder / JOURNAL).unlink()
    assert refused(lambda: pair.restart("north")) == "FS-546"


def test_a_crash_between_the_opening_and_its_line_is_made_good(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)

    def crash(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(openings.continuity, "remember_opened", crash)
        with pytest.raises(SystemExit):
            pair.north.open(asked, pair.world.opening(asked, receipts))
    assert asked.digest not in (pair.north.folder / JOURNAL).read_text()
    pair.restart("north")
    assert asked.digest in (pair.north.folder / JOURNAL).read_text()


def test_no_share_leaves_before_the_list_has_its_set(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    opening = pair.world.opening(asked, receipts)
    journal = pair.north.folder / JOURNAL
    journal.rename(journal.with_name("away"))
    assert refused(lambda: pair.north.open(asked, opening)) == "FS-524"
    assert refused(lambda: pair.north.open(asked, opening)) == "FS-524"
    journal.with_name("away").rename(journal)
    pair.north.open(asked, opening)
    assert asked.digest in journal.read_text()


@pytest.fixture
def three(pair: Pair) -> Path:
    """The list of a stopped aggregator that opened three rounds."""
    for number in range(1, 4):
        asked = pair.world.propose(round=number)
        receipts = pair.collect(asked, *HOSPITALS)
        pair.north.open(asked, pair.world.opening(asked, receipts))
    return pair.north.folder / JOURNAL


def test_half_a_line_is_written_over(pair: Pair, three: Path) -> None:
    whole = three.read_bytes()
    with three.open("ab") as file:
        file.write(whole[:100])
    pair.restart("north")
    asked = pair.world.propose(round=4)
    receipts = pair.collect(asked, *HOSPITALS)
    pair.north.open(asked, pair.world.opening(asked, receipts))
    lines = three.read_bytes().splitlines()
    assert len(lines) == 4
    assert three.read_bytes().startswith(whole)
    pair.restart("north")


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (lambda lines: [lines[0], lines[1].replace(b"bern", b"zug"), lines[2]], 2),
        (lambda lines: [lines[0], lines[2]], 2),
        (lambda lines: [lines[1], lines[2]], 1),
        (lambda lines: [*lines, b"\xff\xfe\n"], 4),
        (lambda lines: [lines[0], b"\n", *lines[1:]], 2),
    ],
)
def test_a_changed_list_is_named_with_its_line(
    pair: Pair, three: Path, harm: Callable[[list[bytes]], list[bytes]], line: int
) -> None:
    three.write_bytes(b"".join(harm(three.read_bytes().splitlines(keepends=True))))
    with pytest.raises(OperatorError, match=rf"FS-549.*{JOURNAL} line {line}"):
        pair.restart("north")


# --- another's store ------------------------------------------------------------------


def test_the_other_aggregators_backup_is_refused_and_nothing_is_changed(
    pair: Pair, tmp_path: Path
) -> None:
    asked = pair.world.propose()
    pair.collect(asked, *HOSPITALS)
    file = tmp_path / "south.db"
    backup.backup(settings_of(pair.servers["south"]), file)
    before = entries(pair.north)
    stop(pair.north)
    with pytest.raises(OperatorError, match=r"FS-548.*it is south's, here is north"):
        put_back(settings_of(pair.north), file)
    assert not [*pair.north.folder.glob("before-restore-*")]
    assert entries(pair.restart("north")) == before


def test_another_federations_store_is_refused(pair: Pair, tmp_path: Path) -> None:
    other = World("other")
    folder = tmp_path / "other"
    stranger = start(other, "north", folder, str(tmp_path / "o.db"), Clock())
    recovery.recover(stranger.context)
    stranger.grant(other.propose())
    stop(stranger)
    stop(pair.north)
    with pytest.raises(OperatorError, match="FS-548"):
        put_back(settings_of(pair.north), tmp_path / "o.db")


def test_the_other_aggregators_database_is_refused_at_start(pair: Pair) -> None:
    asked = pair.world.propose()
    pair.collect(asked, *HOSPITALS)
    for server in pair.servers.values():
        stop(server)
    here, there = pair.north.place, pair.servers["south"].place
    pair.north.place = there
    assert refused(lambda: pair.restart("north")) == "FS-548"
    stop(pair.north)
    pair.north.place = here
    assert state_of(pair.restart("north"), asked) is RoundState.COLLECTING


def test_a_restore_keeps_what_was_there_and_says_what_is_lost(
    pair: Pair, tmp_path: Path
) -> None:
    file = tmp_path / "monday.db"
    pair.north.grant(pair.world.propose())
    backup.backup(settings_of(pair.north), file)
    pair.north.grant(pair.world.propose(run="run-2"))
    lost = pair.north.context.spool.notes.ledger_head()
    assert lost is not None
    stop(pair.north)
    settings, order = settings_of(pair.north), restore.Order(file, 7.0)
    shown = restore.preview(settings, NORTH, order)
    assert "2 entries" in shown
    assert "1 entries" in shown
    done = restore.restore(settings, NORTH, order)
    assert done.kept is not None
    assert done.kept.parent == pair.north.folder
    engine = create_engine(f"sqlite:///{done.kept}")
    with engine.connect() as connection:
        query = "SELECT entry, hash FROM events ORDER BY entry DESC"
        assert connection.execute(text(query)).first() == (lost.entries, lost.hash)
    engine.dispose()
    (kind, body) = entries(pair.restart("north"))[1]
    assert kind == EventKind.RESTORED
    assert body == {
        "runs": ["run-1", "run-2"],
        "ordered_at": 7.0,
        "kept": 1,
        "lost": {"entries": 2, "hash": lost.hash},
        "sets_forgotten": False,
        "studies": [],
        "without_noise": True,
        "data_owners": list(HOSPITALS),
    }
    assert len(entries(pair.restart("north"))) == len(entries(pair.north))  # said once


def test_a_broken_store_can_be_put_back(pair: Pair, tmp_path: Path) -> None:
    file = tmp_path / "monday.db"
    backup.backup(settings_of(pair.north), file)
    stop(pair.north)
    ordered(pair.north)
    assert "cannot be read" not in restore.preview(
        settings_of(pair.north), NORTH, restore.Order(file, 1.0)
    )
    put_back(settings_of(pair.north), file)
    pair.restart("north")


# --- a server that lost commits -------------------------------------------------------


@pytest.fixture(scope="module")
def failing(postgresql: Cluster) -> Iterator[Cluster]:
    assert postgresql.programs
    with cluster() as running:
        yield running


@pytest.fixture
def replicated(failing: Cluster, world: World, tmp_path: Path) -> Iterator[Pair]:
    """North's database has a replica that can lag behind."""
    clock = Clock()
    places = {"north": failing.new_database(), "south": str(tmp_path / "south.db")}
    servers = {
        name: start(world, name, tmp_path / name, places[name], clock)
        for name in SERVERS
    }
    for server in servers.values():
        recovery.recover(server.context)
    both = Pair(world, servers)
    yield both
    for server in both.servers.values():
        stop(server)


@pytest.mark.parametrize("then", ["tidied", "opened", "sent again", "started"])
def test_a_report_whose_row_was_lost_gets_it_again_with_the_same_receipt(
    failing: Cluster, replicated: Pair, then: str
) -> None:
    pair = replicated
    asked = pair.world.propose()
    tokens = pair.grant(asked)
    receipts = pair.collect(asked, *HOSPITALS[:3])
    failing.copy()
    sealed = pair.world.report(asked, tokens, HOSPITALS[3])
    receipts[HOSPITALS[3]] = {
        name: pair.servers[name].report(report) for name, report in sealed.items()
    }
    failing.fail_over()
    match then:
        case "tidied":
            deletion.tidy(pair.north.context)
        case "sent again":
            pair.north.grant(pair.world.propose(run="run-2"))  # the ledger went on
            again = pair.north.report(sealed["north"])
            assert again == receipts[HOSPITALS[3]]["north"]
        case "started":
            pair.restart("north")
    opening = pair.world.opening(asked, receipts)
    shares = [
        pair.world.unseal(asked, opening, server.open(asked, opening))
        for server in pair.servers.values()
    ]
    pair.world.require_mean(asked, shares, HOSPITALS)


def test_a_database_that_lost_a_round_is_not_written_to_and_nothing_is_deleted(
    failing: Cluster, replicated: Pair
) -> None:
    pair = replicated
    first = pair.world.propose()
    pair.collect(first, *HOSPITALS[:3])
    failing.copy()
    second = pair.world.propose(run="run-2")
    pair.collect(second, *HOSPITALS)
    before = entries(pair.north)
    failing.fail_over()
    third = pair.world.propose(run="run-3")
    assert refused(lambda: pair.north.grant(third)) == "FS-545"
    assert refused(lambda: deletion.tidy(pair.north.context)) == "FS-545"
    assert pair.north.report_files(second) == list(HOSPITALS)
    assert pair.north.key_file(second).exists()
    with (
        pair.north.context.store.reading("ready") as session,
        pytest.raises(OperatorError, match="FS-545"),
    ):
        pair.north.context.store.require_sound(session)
    kept = len(entries(pair.north))
    assert kept < len(before)
    assert refused(lambda: pair.restart("north")) == "FS-545"  # nor by a start
    assert len(entries(pair.north)) == kept
    stop(pair.north)
    put_back(settings_of(pair.north), None)
    pair.restart("north")
    kind, body = entries(pair.north)[kept]
    assert kind == EventKind.RESTORED
    assert body["kept"] == kept
    assert body["lost"]["entries"] == len(before)  # type: ignore[index]
    assert state_of(pair.north, first) is RoundState.VOID


def test_a_file_that_is_no_report_is_named_and_kept_until_its_round_is_over(
    pair: Pair, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = pair.world.propose()
    pair.collect(asked, "basel")
    stored = pair.north.folder / "rounds" / asked.digest / "reports"
    damaged = bytearray((stored / "basel").read_bytes())
    damaged[-1] ^= 1
    for name, content in (("bern", b"left"), ("chur", bytes(damaged)), ("genf", b"")):
        (stored / name).write_bytes(content)
    for _ in "ab":
        deletion.tidy(pair.north.context)
    assert pair.north.report_files(asked) == list(HOSPITALS)
    assert capsys.readouterr().out.count("kept until the round is over") == 3
    with pair.north.context.store.reading("test") as session:
        assert queries.reporters_of(session, asked.digest) == {"basel"}
    pair.north.void(asked, pair.world.void(asked))
    assert pair.north.report_files(asked) == []


def test_the_command_asks_before_it_replaces_anything(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "monday.db"
    pair.north.grant(pair.world.propose())
    backup.backup(settings_of(pair.north), file)
    stop(pair.north)
    before = {one.name for one in pair.north.folder.iterdir()}

    class Own(AggregatorSettings):
        def membership(self) -> Membership:
            made = Accepted.of(pair.world.federation, "north", authorities=None)
            author = pair.world.author("north")
            return Membership(author, made, None, pair.world.known)

    settings = Own.model_construct(**settings_of(pair.north).__dict__)
    monkeypatch.setattr("fedsecure_aggregator.config.load", lambda _: settings)
    for answer, typed in (("n\n", ""), ("", ""), ("", "--as-it-is")):
        asked = CliRunner().invoke(app, ["restore", typed or str(file)], answer)
        assert asked.exit_code == 1
        assert "1 entries, the last of 2027-01-15" in asked.output
        assert {one.name for one in pair.north.folder.iterdir()} - before <= {"lock"}
    for wrong in (["restore"], ["restore", str(file), "--as-it-is"]):
        assert CliRunner().invoke(app, wrong).exit_code == 2
    done = CliRunner().invoke(app, ["restore", str(file)], "y\n")
    assert done.exit_code == 0, done.output
    assert "what was there before: " in done.output
    assert entries(pair.restart("north"))[-2][0] == EventKind.RESTORED
