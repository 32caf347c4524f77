"""The model owner's verdict on a round, and runs that go on from an accepted one."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from fedsecure.errors import RoundStateError
from fedsecure.owner.store.records import Origin, RoundJudged, RunStarted, Verdict
from fedsecure.owner.store.rounds import RoundStore
from tests.unit.owner_store.round_story import (
    FEDERATION,
    RUN,
    open_store,
    run_started,
    spec,
    tell,
)

COLUMNS = "verdict, verdict_note, verdict_by"


def judged(number: int, verdict: Verdict, attempt: int = 1) -> RoundJudged:
    return RoundJudged(spec(number, attempt).digest, verdict, "looks right", "ada")


def ask(place: str, query: str) -> list[tuple[object, ...]]:
    engine = create_engine(place)
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return rows


def going_on(store: RoundStore, number: int, *, forced: bool = False) -> RunStarted:
    before = {one.round: one for one in store.rounds(RUN) if one.model is not None}
    model = before[number].model
    assert model is not None
    origin = Origin(before[number].spec_digest, forced)
    return replace(run_started("heart-2", model), origin=origin)


def test_the_last_verdict_counts_and_all_are_in_the_ledger(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        tell(store, tmp_path)
        store.judge_round(judged(1, Verdict.ACCEPTED))
        store.judge_round(judged(1, Verdict.REJECTED))
        assert [one.verdict for one in store.rounds(RUN)][:2] == ["rejected", None]
    query = f"SELECT {COLUMNS} FROM v_round WHERE round < 3 ORDER BY entry"  # noqa: S608
    assert ask(place, query) == [
        ("rejected", "looks right", "ada"),
        (None, None, None),
    ]
    query = "SELECT count(*) FROM v_event WHERE kind = 'round-verdict' AND round = 1"
    assert ask(place, query) == [(2,)]


def test_only_an_opened_round_is_judged(place: str, tmp_path: Path) -> None:
    with open_store(place) as store:
        tell(store, tmp_path)
        before = store.head()
        with pytest.raises(RoundStateError, match=r"FS-645 .*attempt 1 is void"):
            store.judge_round(judged(3, Verdict.ACCEPTED))
        assert store.head() == before
        store.judge_round(judged(3, Verdict.ACCEPTED, attempt=2))


def test_a_run_goes_on_from_an_accepted_round_and_says_from_which(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        tell(store, tmp_path)
        store.judge_round(judged(2, Verdict.ACCEPTED))
        store.start_run(going_on(store, 2))
        assert store.run("heart-2").initial_model == store.rounds(RUN)[1].model
    query = "SELECT run, from_run, from_round FROM v_run ORDER BY entry"
    assert ask(place, query) == [(RUN, None, None), ("heart-2", RUN, 2)]


@pytest.mark.parametrize("verdict", [None, Verdict.REJECTED])
def test_a_round_that_is_not_accepted_is_gone_on_from_only_by_force(
    place: str, tmp_path: Path, verdict: Verdict | None
) -> None:
    with open_store(place) as store:
        tell(store, tmp_path)
        if verdict is not None:
            store.judge_round(judged(2, verdict))
        with pytest.raises(RoundStateError, match=r"FS-646 .*round 2 of heart-1"):
            store.start_run(going_on(store, 2))
        store.start_run(going_on(store, 2, forced=True))
    assert ask(place, "SELECT origin_forced FROM runs WHERE run = 'heart-2'") == [(1,)]


def test_a_run_cannot_claim_a_round_that_its_model_did_not_come_out_of(
    place: str, tmp_path: Path
) -> None:
    with open_store(place) as store:
        tell(store, tmp_path)
        store.judge_round(judged(2, Verdict.ACCEPTED))
        other = replace(
            going_on(store, 2), initial_model=going_on(store, 1).initial_model
        )
        with pytest.raises(RoundStateError, match=r"FS-602 .*did not come out of"):
            store.start_run(other)
        nowhere = replace(going_on(store, 2), origin=Origin(FEDERATION.digest))
        with pytest.raises(RoundStateError, match=r"FS-602 .*no model came out"):
            store.start_run(nowhere)
