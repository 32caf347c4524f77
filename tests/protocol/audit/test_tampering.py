"""Somebody with a shell on one machine changes its store: the audit finds it.

The columns are those of the databases as they are, so a new one is covered by itself.
South runs the same program as north; nothing tells the two apart. What nobody holds
proof of is named here and in docs/sharp-edges.md.
"""

import shutil
from pathlib import Path
from zlib import crc32

import pytest

from tests.protocol.audit.harm import (
    Auditor,
    change,
    columns,
    opened,
    remove,
    swap,
    tables,
)
from tests.protocol.audit.story import Records

# When a report was stored, nobody else has signed.
UNPROVED = {("north", "reports", "stored_at")}
PARTIES = ("owner", "north")
COLUMNS = [(party, *one) for party in PARTIES for one in columns(party)]
TABLES = [(party, table) for party in PARTIES for table in tables(party)]
JOBS = {"jobs", "inputs", "queries", "answers"}  # test_jobs.py has rows of them
EMPTY = {"closed_runs", *JOBS}  # only a restore closes runs
# Everybody in a set is charged alike: two of these rows, swapped, say what they said.
ALIKE = {"privacy_spent", "privacy_studies", "privacy_totals"}
SINGLE = EMPTY | {"runs", "refusals", "alembic_version"}  # at most one row here


def copied(honest: Records, party: str, folder: Path) -> Path:
    return Path(shutil.copy(honest.store(party), folder / "harmed.db"))


@pytest.mark.parametrize(("party", "table", "column"), COLUMNS)
def test_one_byte_of_any_column_is_found(
    honest: Records,
    auditor: Auditor,
    tmp_path: Path,
    party: str,
    table: str,
    column: str,
) -> None:
    path = copied(honest, party, tmp_path)
    order = "DESC" if crc32(f"{table} {column}".encode()) % 2 else "ASC"
    assert change(path, table, column, order) == (table not in EMPTY)
    proved = (party, table, column) not in UNPROVED
    assert auditor.finds(party, path) == (proved and table not in EMPTY)


@pytest.mark.parametrize("order", ["ASC", "DESC"])
@pytest.mark.parametrize(("party", "table"), TABLES)
def test_a_row_that_is_removed_is_found(
    honest: Records,
    auditor: Auditor,
    tmp_path: Path,
    party: str,
    table: str,
    order: str,
) -> None:
    path = copied(honest, party, tmp_path)
    assert remove(path, table, order) == (table not in EMPTY)
    assert auditor.finds(party, path) == (table not in EMPTY)


@pytest.mark.parametrize(("party", "table"), TABLES)
def test_two_rows_that_are_swapped_are_found(
    honest: Records, auditor: Auditor, tmp_path: Path, party: str, table: str
) -> None:
    path = copied(honest, party, tmp_path)
    swapped = swap(path, table)
    assert swapped == (table not in SINGLE)
    assert auditor.finds(party, path) == (swapped and table not in ALIKE)


@pytest.mark.parametrize(
    "harm",
    [
        "DROP VIEW v_round; CREATE VIEW v_round AS SELECT 1 AS round",
        "CREATE TRIGGER quiet AFTER INSERT ON rounds BEGIN SELECT 1; END",
        "DROP INDEX ix_rounds_entry",
        "CREATE TABLE notes (note)",
    ],
)
def test_another_definition_of_the_database_is_found(
    honest: Records, auditor: Auditor, tmp_path: Path, harm: str
) -> None:
    path = copied(honest, "owner", tmp_path)
    with opened(path) as store:
        store.executescript(harm)
    report = auditor.audit("owner", path)
    assert {one.code for one in report.findings} == {"FS-624"}


def test_the_first_wrong_entry_is_named_and_what_is_sound(
    honest: Records, auditor: Auditor, tmp_path: Path
) -> None:
    path = copied(honest, "north", tmp_path)
    with opened(path) as store:
        store.execute("UPDATE events SET at = at + 1 WHERE entry IN (7, 9)")
    report = auditor.audit("north", path)
    (finding,) = report.findings
    assert (finding.code, finding.entry) == ("FS-601", 7)
    assert finding.party == "north"
    assert "entries 1 to 6 are sound" in finding.what
    assert any("not compared with others" in note for note in report.notes)
    assert [one.sound == one.entries for one in report.stores] == [False]


def test_a_model_file_that_is_exchanged_is_found(records: Records) -> None:
    first, second = sorted(records.folder.glob("models/run-1/model-0000[12].npy"))
    shutil.copy(first, second)
    (finding,) = records.audit().findings
    assert finding.code == "FS-605"
    assert finding.where.endswith("model-00002.npy")
