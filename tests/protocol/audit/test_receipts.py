# ruff: noqa: S608 - every piece of these queries is written here
"""A data owner looks at its receipts: counted, or void, or somebody must explain."""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from fedsecure.audit.findings import Report
from fedsecure.errors import FedsecureError
from fedsecure.protocol.federation_versions import Federations
from fedsecure.storage import database, revisions
from fedsecure_clients.agent import receipts
from fedsecure_clients.state.storage import DATABASE, MIGRATIONS
from tests.protocol.audit.harm import change, opened, remove, rewrite
from tests.protocol.audit.story import QUIET, Records
from tests.protocol.audit.test_rewriting import with_body

# What the agent decided and told, and where it joined, is for its operator alone.
PROVED = {"reports", "alembic_version"}
OWN = {"study"}  # under which consent a report was made
OF_THE_SPEC = {"run", "round", "purpose", "attempt", "deadline"}


def columns() -> list[tuple[str, str]]:
    engine = database.open_for_writing(database.locate("sqlite://"))
    revisions.upgrade(engine, MIGRATIONS)
    query = (
        "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
        "WHERE m.type = 'table'"
    )
    with engine.connect() as connection:
        rows = [(str(a), str(b)) for a, b in connection.exec_driver_sql(query)]
    engine.dispose()
    return rows


def state_of(records: Records, name: str, folder: Path) -> Path:
    """Return a copy of a hospital's state folder."""
    return Path(shutil.copytree(records.folder / name, folder / name))


def look(
    records: Records, state: Path, aggregators: Sequence[str | Path] = ()
) -> Report:
    keys = Federations([records.federation])
    places = [str(one) for one in aggregators]
    return receipts.check(state.name, state, places, keys, QUIET)


def both(records: Records) -> list[Path]:
    return [records.store("north"), records.store("south")]


def codes(report: Report) -> set[str]:
    return {one.code for one in report.findings}


def test_reports_that_were_counted_or_are_void_are_in_order(
    honest: Records, tmp_path: Path
) -> None:
    state = state_of(honest, "basel", tmp_path)
    for aggregators in ([], both(honest)):
        report = look(honest, state, aggregators)
        assert report.findings == []
        assert {"4 reports: included", "1 reports: void"} <= set(report.notes)
    assert report.checked[20] == 20


def test_a_report_that_was_left_out_is_named(honest: Records, tmp_path: Path) -> None:
    report = look(honest, state_of(honest, "genf", tmp_path), both(honest))
    (finding,) = report.findings
    assert (finding.code, finding.party) == ("FS-642", "genf")
    assert finding.where.startswith("run-1 train round 2")


@pytest.mark.parametrize(("table", "column"), columns())
def test_one_byte_of_what_the_agent_keeps_is_found(
    honest: Records, tmp_path: Path, table: str, column: str
) -> None:
    state = state_of(honest, "basel", tmp_path)
    there = change(state / DATABASE, table, column, "ASC")
    proved = there and table in PROVED and column not in OWN
    assert there or table not in PROVED
    assert _finds(honest, state, both(honest)) == proved
    assert _finds(honest, state, []) == (proved and column not in OF_THE_SPEC)


def _finds(records: Records, state: Path, aggregators: Sequence[str | Path]) -> bool:
    try:
        return not look(records, state, aggregators).holds
    except FedsecureError:
        return True


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_half_of_a_report_that_is_removed_is_found(
    honest: Records, tmp_path: Path, order: str
) -> None:
    state = state_of(honest, "basel", tmp_path)
    assert remove(state / DATABASE, "reports", order)
    assert codes(look(honest, state)) == {"FS-641"}


def test_an_aggregator_that_loses_a_report_of_a_void_round_is_found_by_its_owner(
    honest: Records, tmp_path: Path
) -> None:
    path = Path(shutil.copy(honest.store("north"), tmp_path))
    with opened(path) as store:
        query = "DELETE FROM reports WHERE reporter = 'chur' AND spec IN "
        store.execute(query + "(SELECT spec FROM rounds WHERE state = 'void')")
    assert honest.audit(north=path).holds  # nobody else has its receipt
    report = look(honest, state_of(honest, "chur", tmp_path), [path])
    assert codes(report) == {"FS-644"}


def test_an_aggregator_that_rewrites_its_ledger_is_found_by_heads_of_inclusions(
    honest: Records, tmp_path: Path
) -> None:
    changed = with_body("share-stored", 3, digest="ab" * 32)
    path = rewrite(
        honest.store("north"), tmp_path / "north.db", honest.author("north"), changed
    )
    report = look(honest, state_of(honest, "basel", tmp_path), [path])
    assert "FS-629" in codes(report)


def test_two_aggregators_that_contradict_each_other_are_found(
    honest: Records, tmp_path: Path
) -> None:
    """South signed, with its real key, that basel was left out."""
    from fedsecure.protocol.statements import Inclusion  # noqa: PLC0415

    state = state_of(honest, "basel", tmp_path)
    keys = Federations([honest.federation])
    with closing(sqlite3.connect(state / DATABASE)) as store:
        query = "SELECT spec, inclusion FROM reports WHERE aggregator = 'south'"
        spec, token = store.execute(f"{query} AND fate = 'included'").fetchone()
        statement = keys.verify(token, Inclusion).statement
        other = honest.author("south").sign(
            statement.model_copy(update={"included": False, "charged": 0})
        )
        update = "UPDATE reports SET inclusion = ? WHERE spec = ? AND aggregator = ?"
        store.execute(update, (other.token, spec, "south"))
        store.commit()
    assert codes(look(honest, state)) == {"FS-643"}
    assert "FS-644" in codes(look(honest, state, both(honest)))


def test_an_aggregator_that_tells_of_another_charge_is_found(
    honest: Records, tmp_path: Path
) -> None:
    """South signed, with its real key, that the round with noise cost basel less."""
    from fedsecure.protocol.statements import Inclusion  # noqa: PLC0415

    state = state_of(honest, "basel", tmp_path)
    keys = Federations([honest.federation])
    with closing(sqlite3.connect(state / DATABASE)) as store:
        query = "SELECT spec, inclusion FROM reports WHERE aggregator = 'south'"
        said = {
            spec: keys.verify(token, Inclusion).statement
            for spec, token in store.execute(query)
        }
        ((spec, statement),) = [one for one in said.items() if one[1].charged]
        less = statement.model_copy(update={"charged": statement.charged - 1})
        update = "UPDATE reports SET inclusion = ? WHERE spec = ? AND aggregator = ?"
        store.execute(update, (honest.author("south").sign(less).token, spec, "south"))
        store.commit()
    (finding,) = look(honest, state).findings
    assert finding.code == "FS-643"
    assert "they charged it differently" in finding.what
    (_, in_ledger) = look(honest, state, both(honest)).findings
    assert in_ledger.code == "FS-644"
    assert f"said it charged {less.charged} of rho, its ledger" in in_ledger.what
