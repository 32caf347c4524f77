"""A store that was put back is one finding, not one for everything that it lost."""

from pathlib import Path

from sqlalchemy import create_engine, text

from fedsecure.audit.findings import Report
from fedsecure.protocol.federation_versions import Federations
from fedsecure_aggregator.config import AggregatorSettings
from fedsecure_aggregator.operations import restore
from fedsecure_aggregator.operations.backup import backup
from fedsecure_clients.agent import receipts
from tests.protocol.audit.story import QUIET, Records, hold, settle
from tests.protocol.federation import MemoryFederation, federate, refused


def folder_in(path: Path) -> Path:
    (path / "all").mkdir()
    return path / "all"


def put_back(memory: MemoryFederation, file: Path | None) -> None:
    """Restore north's store while it stands still, and start it."""
    server = memory.servers["north"]
    settings = AggregatorSettings.model_construct(
        name="north", data=server.folder, database=None
    )
    server.stop()
    member = restore.Member("north", Federations([memory.federation]))
    restore.restore(settings, member, restore.Order(file, memory.clock.now))
    server.start()


def saved(memory: MemoryFederation, file: Path) -> Path:
    server = memory.servers["north"]
    settings = AggregatorSettings.model_construct(
        name="north", data=server.folder, database=None
    )
    backup(settings, file)
    return file


def audited(memory: MemoryFederation) -> Report:
    return Records(memory.folder, memory.federation, memory.keys).audit()


def test_an_honest_restore_is_one_finding_that_names_what_is_lost(
    tmp_path: Path,
) -> None:
    with federate(folder_in(tmp_path)) as memory:
        hold(memory, 1)
        file = saved(memory, tmp_path / "monday.db")
        hold(memory, 2)
        hold(memory, 3)
        settle(memory)
        put_back(memory, file)
        (finding,) = audited(memory).findings
        assert (finding.code, finding.party) == ("FS-651", "north")
        assert "entries 5 to 12 are lost" in finding.what
        assert "round 2" in finding.what
        assert "round 3" in finding.what
        assert "round 1" not in finding.what
    records = Records(memory.folder, memory.federation, memory.keys)
    stores = [str(records.store("north")), str(records.store("south"))]
    keys = Federations([memory.federation])
    report = receipts.check("basel", memory.folder / "basel", stores, keys, QUIET)
    (finding,) = report.findings  # a data owner that looks at its own receipts
    assert (finding.code, finding.party) == ("FS-651", "north")


def test_a_restore_that_lost_nothing_is_a_note(tmp_path: Path) -> None:
    with federate(folder_in(tmp_path)) as memory:
        hold(memory, 1)
        put_back(memory, saved(memory, tmp_path / "monday.db"))
        report = audited(memory)
        assert report.findings == []
        assert [note for note in report.notes if "put the store back" in note]
        with refused("FS-334"):
            hold(memory, 2)


def test_a_ledger_that_was_rewritten_is_not_excused_by_an_earlier_restore(
    tmp_path: Path,
) -> None:
    with federate(folder_in(tmp_path)) as memory:
        hold(memory, 1)
        put_back(memory, saved(memory, tmp_path / "monday.db"))
    north = tmp_path / "all" / "north" / "aggregator.db"
    engine = create_engine(f"sqlite:///{north}")
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE events SET hash = :h WHERE entry = 2"), {"h": "0" * 64}
        )
    engine.dispose()
    assert not audited(memory).holds
