from dataclasses import replace
from typing import Any, cast

import pytest
from sqlalchemy import text

from fedsecure.errors import FedsecureError, PeerError, RoundStateError
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import Kind, Receipt
from fedsecure_aggregator.rounds import openings, process_memory, refusals
from fedsecure_aggregator.rounds.refusals import MOST
from tests.unit.aggregator.conftest import Pair, Server
from tests.unit.aggregator.world import HOSPITALS, OWNER, Round

SHOWN = "SELECT signer, statement, code, run, round, digest FROM v_refusal"


def shown(server: Server) -> list[tuple[Any, ...]]:
    with server.context.store.reading("test") as session:
        return [tuple(row) for row in session.execute(text(SHOWN))]


def refuse(server: Server, asked: Round, code: str, signed: Any = None) -> None:
    """Record that something signed was refused; by default the spec itself."""
    error = RoundStateError(code, "a test")

    def change(_: object) -> None:
        raise error

    with pytest.raises(FedsecureError) as caught:
        refusals.decide(server.context, signed or asked.spec, change)
    assert caught.value is error


def test_what_an_owner_tried_is_there_for_an_auditor(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS[:2])
    small = pair.world.opening(asked, receipts)
    with pytest.raises(PeerError, match="FS-320"):
        refusals.decide(
            pair.north.context, small, openings.open_round, asked.digest, small
        )
    assert shown(pair.north) == [(OWNER, "opening", "FS-320", "run-1", 1, small.digest)]


def test_the_same_refusal_is_recorded_once_and_is_still_a_refusal(pair: Pair) -> None:
    asked = pair.world.propose()
    for _ in range(3):
        refuse(pair.north, asked, "FS-400")
    refuse(pair.north, asked, "FS-404")
    assert [row[2] for row in shown(pair.north)] == ["FS-400", "FS-404"]


@pytest.mark.parametrize(
    "code",
    [
        "FS-300", "FS-301", "FS-303", "FS-305", "FS-306", "FS-308", "FS-310", "FS-313",
        "FS-318", "FS-328", "FS-329", "FS-402", "FS-403",
    ],
)  # fmt: skip
def test_what_happens_to_honest_parties_is_not_recorded(pair: Pair, code: str) -> None:
    refuse(pair.north, pair.world.propose(), code)
    assert shown(pair.north) == []


def test_a_report_after_the_opening_is_late_and_a_second_opening_is_not(
    pair: Pair,
) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS[:3])
    late = pair.world.report(asked, pair.grant(asked), "genf")["north"]
    refuse(pair.north, asked, "FS-304", late.header)
    assert shown(pair.north) == []
    refuse(pair.north, asked, "FS-304", pair.world.opening(asked, receipts))
    assert [row[:3] for row in shown(pair.north)] == [(OWNER, "opening", "FS-304")]


def test_a_report_that_does_not_open_is_held_against_who_signed_all_of_it(
    pair: Pair,
) -> None:
    small, large = (
        pair.world.propose(run=f"run-{d}", dimension=d) for d in (1000, 300_000)
    )
    for asked in (small, large):
        grants = pair.grant(asked)
        report = pair.world.report(asked, grants, "basel", only=Kind.VECTOR)["north"]
        refuse(pair.north, asked, "FS-314", report.header)
    # Of the large one the records' tags are signed, and not what is between them.
    assert [row[2:4] for row in shown(pair.north)] == [("FS-314", "run-1000")]


def test_nobody_fills_the_ledger_with_refusals(pair: Pair) -> None:
    tries = [pair.world.propose(run=f"run-{number}") for number in range(MOST + 5)]
    for asked in tries:
        refuse(pair.north, asked, "FS-400")
    assert len(shown(pair.north)) == MOST
    pair.north.clock.now += 3601
    refuse(pair.north, tries[-1], "FS-400")
    assert len(shown(pair.north)) == MOST + 1


def test_what_is_recorded_already_or_never_is_is_not_new(pair: Pair) -> None:
    asked = pair.world.propose()
    header = pair.world.report(asked, pair.grant(asked), "basel")["north"].header
    context, stranger = pair.north.context, PeerError("FS-311", "a test")
    assert refusals.is_new(context, header, stranger)
    refusals.record(context, header, stranger)
    assert [row[:3] for row in shown(pair.north)] == [("basel", "report", "FS-311")]
    assert not refusals.is_new(context, header, stranger)
    assert not refusals.is_new(context, header, PeerError("FS-306", "innocent"))
    for number in range(MOST):
        refuse(pair.north, pair.world.propose(run=f"run-{number}"), "FS-400")
    late = pair.world.propose(run="one-more").spec
    assert not refusals.is_new(context, late, PeerError("FS-400", "a test"))


def test_what_is_known_to_be_recorded_is_not_looked_up_again(
    pair: Pair,
) -> None:
    asked = pair.world.propose()
    header = pair.world.report(asked, pair.grant(asked), "basel")["north"].header
    context, stranger = pair.north.context, PeerError("FS-311", "a test")
    refusals.record(context, header, stranger)
    assert not refusals.is_new(context, header, stranger)
    without_store = replace(context, store=cast("Any", None))
    assert not refusals.is_new(without_store, header, stranger)
    with pytest.raises(AttributeError):  # another one is
        refusals.is_new(without_store, header, PeerError("FS-404", "a test"))


def test_it_keeps_a_bounded_number_of_recorded_refusals_in_mind(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_memory, "MOST_REFUSALS", 2)
    tries = [pair.world.propose(run=f"run-{number}") for number in range(4)]
    for one in tries:
        refuse(pair.north, one, "FS-400")
        refuse(pair.north, one, "FS-400")
    memory = pair.north.context.memory
    kept = [memory.is_recorded(one.spec.digest, "FS-400") for one in tries]
    assert kept == [False, False, True, True]


def test_receipts_given_before_and_after_a_refusal_are_the_same(pair: Pair) -> None:
    asked = pair.world.propose()
    grants = pair.grant(asked)
    report = pair.world.report(asked, grants, "basel")["north"]
    first = pair.north.report(report)
    refuse(pair.north, asked, "FS-400")
    assert pair.north.report(report) == first
    assert verify(first, Receipt, pair.world.federation).statement.reporter == "basel"
