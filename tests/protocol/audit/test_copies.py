"""An auditor's copies: what is not there is said once, and is no contradiction."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fedsecure.audit import verify as audits
from fedsecure.audit.findings import Report
from fedsecure.errors import OperatorError
from fedsecure.protocol.federation_versions import Federations
from tests.protocol.audit.harm import opened
from tests.protocol.audit.story import QUIET, STORES, Records, hold
from tests.protocol.federation import MemoryFederation


def copied(records: Records, folder: Path) -> dict[str, str]:
    """Copy three databases, and nothing beside them."""
    places = {}
    for party in STORES:
        target = folder / party / records.store(party).name
        target.parent.mkdir(parents=True)
        shutil.copy(records.store(party), target)
        places[party] = str(target)
    return places


def audit(
    records: Records, places: dict[str, str], files: Path | None = None
) -> Report:
    keys = Federations([records.federation])
    stores = [places["north"], places["south"]]
    return audits.audit(places["owner"], stores, keys, QUIET, files)


def test_three_databases_without_models_agree_and_a_note_says_what_was_left_out(
    honest: Records, tmp_path: Path
) -> None:
    report = audit(honest, copied(honest, tmp_path))
    assert report.holds, report.findings
    (note,) = [one for one in report.notes if one.startswith("models")]
    assert "none of the 7 recorded files of models is there" in note
    assert "--files FOLDER" in note
    assert 16 not in report.checked


def test_a_folder_that_was_named_for_the_models_and_has_none_is_one_finding(
    honest: Records, tmp_path: Path
) -> None:
    places = copied(honest, tmp_path)
    report = audit(honest, places, tmp_path)
    (finding,) = report.findings
    assert (finding.check, finding.where) == (16, str(tmp_path))
    assert audit(honest, places, honest.folder).holds


def test_one_model_that_is_missing_among_others_is_a_finding(records: Records) -> None:
    gone = records.folder / "models" / "run-1" / "model-00002.npy"
    gone.unlink()
    (finding,) = records.audit().findings
    assert (finding.check, finding.where) == (16, str(gone))


@pytest.mark.parametrize(
    ("party", "table", "column", "value"),
    [
        ("owner", "rounds", "set_size", 3),
        ("north", "rounds", "min_cohort", 2),
        ("south", "openings", "count", 3),
    ],
)
def test_a_row_that_was_changed_is_named_by_run_and_round_with_both_values(
    records: Records, party: str, table: str, column: str, value: int
) -> None:
    with opened(records.store(party)) as store:
        query = f"SELECT {column}, rowid FROM {table} WHERE run = 'run-1' AND round = 1"  # noqa: S608
        before, row = store.execute(query).fetchone()
        update = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"  # noqa: S608
        store.execute(update, (value, row))
    (finding,) = [one for one in records.audit().findings if one.check == 4]
    assert "run-1 train round 1" in finding.where
    assert finding.what == f"{column} is {value}, the ledger says {before}"


def test_a_report_that_was_changed_is_named_by_run_and_round(records: Records) -> None:
    with opened(records.store("north")) as store:
        store.execute("UPDATE reports SET length = 1 WHERE reporter = 'basel'")
    wheres = {one.where for one in records.audit().findings if one.check == 5}
    assert any("report of basel, run-1 train round 2" in where for where in wheres)


def test_the_copy_of_a_database_in_use_without_its_log_is_recognised(
    memory: MemoryFederation, tmp_path: Path
) -> None:
    hold(memory, 1)
    records = Records(memory.folder, memory.federation, memory.keys)
    assert records.audit().holds
    for party in STORES:
        assert (
            records.store(party).with_name(f"{records.store(party).name}-wal").is_file()
        )
        _remember(records.store(party))
    hold(memory, 2)
    assert records.audit().holds
    places = copied(records, tmp_path / "copies")
    for party in STORES:  # each of them is the one that is old
        mixed = {**{name: str(records.store(name)) for name in STORES}}
        mixed[party] = places[party]
        report = audit(records, mixed, memory.folder)
        assert not report.holds
        (note,) = report.notes
        assert note.startswith(f"{places[party]}: others have seen more of it")
        assert "-wal" in note
        rounds = [one for one in report.findings if one.check in {7, 8}]
        assert all("run-1 train round 2" in one.where for one in rounds)


def test_the_empty_beginning_of_a_database_in_use_is_recognised(
    memory: MemoryFederation, tmp_path: Path
) -> None:
    hold(memory, 1)
    records = Records(memory.folder, memory.federation, memory.keys)
    path = tmp_path / "copy.db"
    with closing(sqlite3.connect(path)) as fresh:
        fresh.execute("PRAGMA journal_mode = WAL")
        fresh.execute("CREATE TABLE anything (x)")
        fresh.commit()
        shutil.copy(path, tmp_path / "bare.db")
    places = {party: str(records.store(party)) for party in STORES}
    places["north"] = str(tmp_path / "bare.db")
    with pytest.raises(OperatorError, match=r"FS-658.*bare.db"):
        audit(records, places)


def _remember(path: Path) -> None:
    """Have SQLite put into the file what is in its log so far."""
    with closing(sqlite3.connect(path)) as store:
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
