"""A stored report that no longer opens: found before anything is fixed, and said."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from fedsecure.errors import FedsecureError
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Fold, Inclusion, Member, Receipt
from fedsecure_aggregator.rounds import openings, reads
from fedsecure_aggregator.storage.folder_spool import FolderSpool
from fedsecure_aggregator.storage.tables import LostReportRow, RefusalRow, ReportRow
from tests.unit.aggregator.conftest import Pair
from tests.unit.aggregator.world import HOSPITALS, OWNER, Round

DIMENSION = 600_000  # more than two records
REST = ("basel", "chur", "genf")

Receipts = Mapping[str, Mapping[str, str]]


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def flip_in_the_last_record(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def unreadable(file: Path) -> None:
    """Let nobody read it; a mode does not keep root from that, another kind does."""
    if os.geteuid():
        file.chmod(0)
    else:
        file.unlink()
        file.mkdir()


HARMS: dict[str, Callable[[Path], None]] = {
    "damaged": flip,
    "damaged at the end": flip_in_the_last_record,
    "truncated": lambda file: os.truncate(file, file.stat().st_size - 100),
    "missing": Path.unlink,
    "unreadable": unreadable,
}


def refused(call: Callable[[], object]) -> FedsecureError:
    with pytest.raises(FedsecureError) as caught:
        call()
    return caught.value


def report_file(pair: Pair, asked: Round, name: str) -> Path:
    return pair.north.report_file(asked, name)


def harmed(pair: Pair, harm: str) -> tuple[Round, Receipts]:
    """Collect all reports, then harm one at north, which has to add up anew."""
    asked = pair.world.propose(dimension=DIMENSION)
    receipts = pair.collect(asked, *HOSPITALS)
    HARMS[harm](report_file(pair, asked, "bern"))
    pair.restart("north")
    return asked, receipts


def losses(pair: Pair, asked: Round, receipts: Receipts) -> list[str]:
    """Have north add up the reports of `receipts`, as the model owner does."""
    members = []
    for name in sorted(receipts):
        statement = verify(
            receipts[name]["north"], Receipt, pair.world.federation
        ).statement
        members.append(Member(reporter=name, report_id=statement.report_id))
    fold = Fold(federation=pair.world.federation.digest, spec=asked.digest, set=members)
    signed = pair.world.author(OWNER).sign(fold)
    return openings.fold(pair.north.context, asked.digest, pair.north.verified(signed))


def require_opens(pair: Pair, asked: Round, receipts: Receipts, *names: str) -> None:
    opening = pair.world.opening(asked, {name: receipts[name] for name in names})
    shares = [
        pair.world.unseal(asked, opening, server.open(asked, opening))
        for server in pair.servers.values()
    ]
    pair.world.require_mean(asked, shares, names)


def recorded(pair: Pair) -> list[tuple[str, str, str]]:
    with pair.north.context.store.reading("look") as session:
        rows = session.scalars(select(LostReportRow))
        return [(row.spec, row.reporter, row.digest) for row in rows]


@pytest.mark.parametrize("harm", HARMS)
def test_an_opening_over_a_lost_report_names_it_and_fixes_nothing(
    pair: Pair, harm: str
) -> None:
    asked, receipts = harmed(pair, harm)
    error = refused(lambda: pair.north.open(asked, pair.world.opening(asked, receipts)))
    assert error.code == "FS-328"
    assert error.detail.startswith("bern (")
    assert reads.standing(pair.north.context, asked.digest)["state"] == "collecting"
    require_opens(pair, asked, receipts, *REST)


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_lost_is_told_before_the_round_is_opened_anywhere(
    pair: Pair, harm: str
) -> None:
    asked, receipts = harmed(pair, harm)
    assert losses(pair, asked, receipts) == ["bern"]
    assert losses(pair, asked, receipts) == ["bern"]
    assert losses(pair, asked, {name: receipts[name] for name in REST}) == []
    require_opens(pair, asked, receipts, *REST)


def test_several_that_are_lost_are_told_at_once(pair: Pair) -> None:
    asked = pair.world.propose(dimension=DIMENSION)
    receipts = pair.collect(asked, *HOSPITALS)
    HARMS["damaged at the end"](report_file(pair, asked, "basel"))
    HARMS["unreadable"](report_file(pair, asked, "genf"))
    pair.restart("north")
    assert losses(pair, asked, receipts) == ["basel", "genf"]


def test_a_loss_is_in_the_ledger_and_final(pair: Pair) -> None:
    """Also if the file is back: what was said is true from then on."""
    asked, receipts = pair.world.propose(dimension=DIMENSION), {}
    receipts = pair.collect(asked, *HOSPITALS)
    file = report_file(pair, asked, "bern")
    content = file.read_bytes()
    file.unlink()
    pair.restart("north")
    assert losses(pair, asked, receipts) == ["bern"]
    file.write_bytes(content)
    pair.restart("north")
    assert losses(pair, asked, receipts) == ["bern"]
    statement = verify(
        receipts["bern"]["north"], Receipt, pair.world.federation
    ).statement
    assert recorded(pair) == [(asked.digest, "bern", statement.digest)]


def test_a_lost_report_has_no_receipt_any_more_and_its_reporter_is_named(
    pair: Pair,
) -> None:
    asked, receipts = harmed(pair, "missing")
    losses(pair, asked, receipts)
    standing = reads.standing(pair.north.context, asked.digest)
    assert standing["lost"] == ["bern"]
    assert standing["receipts"] == [receipts[name]["north"] for name in REST]


def test_who_sends_a_lost_report_again_hears_that_it_was_lost(pair: Pair) -> None:
    """Not that it is stored: that would be a receipt for nothing."""
    asked = pair.world.propose(dimension=DIMENSION)
    granted = pair.grant(asked)
    sealed = {n: pair.world.report(asked, granted, n)["north"] for n in HOSPITALS}
    receipts = {name: {"north": pair.north.report(one)} for name, one in sealed.items()}
    report_file(pair, asked, "bern").unlink()
    pair.restart("north")
    assert losses(pair, asked, receipts) == ["bern"]
    assert refused(lambda: pair.north.report(sealed["bern"])).code == "FS-328"


def test_its_data_owner_is_told_that_it_is_not_in_the_sum(pair: Pair) -> None:
    asked, receipts = harmed(pair, "damaged")
    require_opens(pair, asked, receipts, *REST)
    for server in pair.servers.values():
        token = reads.inclusion(server.context, asked.digest, "bern")
        statement = verify(token, Inclusion, pair.world.federation).statement
        assert not statement.included
        assert statement.count == len(REST)


def test_a_round_with_too_few_left_can_be_void(pair: Pair) -> None:
    asked, receipts = harmed(pair, "damaged")
    fewer = {name: receipts[name] for name in HOSPITALS[:3]}
    assert (
        refused(lambda: pair.north.open(asked, pair.world.opening(asked, fewer))).code
        == "FS-328"
    )
    assert pair.north.void(asked, pair.world.void(asked))


def test_a_folder_that_is_away_has_lost_nothing(pair: Pair) -> None:
    asked = pair.world.propose(dimension=DIMENSION)
    receipts = pair.collect(asked, *HOSPITALS)
    pair.restart("north")
    folder, aside = pair.north.folder / "rounds", pair.north.folder / "aside"
    lock = pair.north.folder / "lock"
    folder.rename(aside)
    lock.rename(aside / "lock")
    assert refused(lambda: losses(pair, asked, receipts)).code == "FS-524"
    (aside / "lock").rename(lock)
    aside.rename(folder)
    assert losses(pair, asked, receipts) == []
    assert recorded(pair) == []


def test_a_sum_that_memory_still_holds_needs_no_file(pair: Pair) -> None:
    asked = pair.world.propose(dimension=DIMENSION)
    receipts = pair.collect(asked, *HOSPITALS)
    HARMS["damaged"](report_file(pair, asked, "bern"))
    assert losses(pair, asked, receipts) == []
    require_opens(pair, asked, receipts, *HOSPITALS)


def test_a_set_that_is_added_up_must_be_stored_and_the_round_undecided(
    pair: Pair,
) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS[:3])
    other = pair.collect(pair.world.propose(round=2), "genf")
    assert refused(lambda: losses(pair, asked, {**receipts, **other})).code == "FS-322"
    require_opens(pair, asked, receipts, *HOSPITALS[:3])
    assert refused(lambda: losses(pair, asked, receipts)).code == "FS-304"
    with pair.north.context.store.reading("look") as session:
        assert session.scalars(select(RefusalRow)).all() == []


def test_a_fold_looks_through_the_spool_only_if_a_member_has_no_row(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = pair.world.propose(dimension=DIMENSION)
    receipts = pair.collect(asked, *HOSPITALS)
    looked: list[str] = []
    kept = type(pair.north.context.spool).reports

    def reports(spool: FolderSpool, spec: str) -> list[str]:
        looked.append(spec)
        return kept(spool, spec)

    monkeypatch.setattr(FolderSpool, "reports", reports)
    assert losses(pair, asked, receipts) == []
    assert looked == []
    with pair.north.context.store.engine.begin() as database:
        lost = ReportRow.spec == asked.digest, ReportRow.reporter == "bern"
        database.execute(delete(ReportRow).where(*lost))
    assert losses(pair, asked, receipts) == []
    assert looked == [asked.digest]
    require_opens(pair, asked, receipts, *HOSPITALS)
