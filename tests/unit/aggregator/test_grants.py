from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text

from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import RoundGrant, Void
from fedsecure.system.crash_points import Point
from fedsecure_aggregator.rounds import deletion
from fedsecure_aggregator.rules.policy import DAY
from fedsecure_aggregator.rules.round_states import RoundState
from fedsecure_aggregator.storage import queries
from fedsecure_aggregator.storage.notes import RestoreNote
from fedsecure_aggregator.storage.tables import Base, EventRow
from tests.unit.aggregator.conftest import Pair, Server, with_policy
from tests.unit.aggregator.world import HOSPITALS, NOW, OWNER, Round, World


def state_of(server: Server, asked: Round) -> RoundState:
    with server.context.store.reading("test") as session:
        return queries.find_round(session, asked.digest).state


def kinds_in(server: Server) -> list[str]:
    with server.context.store.reading("test") as session:
        return list(session.scalars(select(EventRow.kind).order_by(EventRow.entry)))


def empty(place: str) -> None:
    """Lose a database."""
    if "://" not in place:
        for file in Path(place).parent.glob("aggregator.db*"):
            file.unlink()
        return
    engine = create_engine(place)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


class Kept:
    """The rows of a closed store as they are now, to be put back later."""

    def __init__(self, server: Server) -> None:
        self._engine = server.context.store.engine
        with self._engine.connect() as connection:
            self._rows = {
                table: [
                    dict(row) for row in connection.execute(select(table)).mappings()
                ]
                for table in Base.metadata.sorted_tables
            }

    def restore(self) -> None:
        with self._engine.begin() as connection:
            for table in reversed(self._rows):
                connection.execute(table.delete())
            for table, rows in self._rows.items():
                if rows:
                    connection.execute(table.insert(), rows)
        self._engine.dispose()


def ordered(server: Server, *, sets_forgotten: bool = False) -> None:
    """Type `fedsecure aggregator restore --as-it-is`."""
    note = RestoreNote(at=server.clock(), sets_forgotten=sets_forgotten)
    server.context.spool.notes.note_restore(note)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(FedsecureError) as caught:
        call()
    return caught.value.code


def test_the_same_spec_gets_the_same_grant_also_after_a_restart(pair: Pair) -> None:
    asked = pair.world.propose()
    first = pair.north.grant(asked)
    other = pair.world.propose(run="run-2")
    pair.north.grant(other)
    assert pair.north.grant(asked) == first
    assert pair.restart("north").grant(asked) == first


def test_each_grant_has_a_sealing_key_of_its_own(pair: Pair) -> None:
    tokens = [
        *pair.grant(pair.world.propose()).values(),
        *pair.grant(pair.world.propose(run="run-2")).values(),
    ]
    grants = [verify(t, RoundGrant, pair.world.federation).statement for t in tokens]
    assert len({grant.sealing_key for grant in grants}) == 4
    assert {grant.expires for grant in grants} == {NOW + 600 + DAY}


def test_a_second_spec_for_a_granted_round_is_refused(pair: Pair) -> None:
    pair.north.grant(pair.world.propose())
    other = pair.world.propose(task="0" * 64)
    assert refused(lambda: pair.north.grant(other)) == "FS-302"


def test_a_new_attempt_is_granted_only_after_the_older_is_void(pair: Pair) -> None:
    first, second = pair.world.propose(), pair.world.propose(attempt=2)
    pair.north.grant(first)
    assert refused(lambda: pair.north.grant(second)) == "FS-303"
    pair.north.void(first, pair.world.void(first))
    pair.north.grant(second)
    assert refused(lambda: pair.north.grant(first)) == "FS-305"


def test_an_opened_round_gets_no_new_attempt(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    pair.north.open(asked, pair.world.opening(asked, receipts))
    again = pair.world.propose(attempt=2)
    assert refused(lambda: pair.north.grant(again)) == "FS-304"


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("FS-203", {"fraction_bits": 3}),
        ("FS-206", {"suite": "sum8"}),
        ("FS-400", {"cohort": ["basel", "bern"], "min_cohort": 2}),
        ("FS-400", {"min_cohort": 5}),
        ("FS-401", {"dimension": 100_000_001}),
        ("FS-403", {"deadline": NOW}),
        ("FS-403", {"deadline": NOW + 7 * DAY + 1}),
        ("FS-404", {"cohort": ["basel", "bern", "chur", OWNER]}),
        ("FS-741", {"cohort": ["basel", "bern", "chur", "zug"]}),
        ("FS-722", {"sealing_key": "____" + "A" * 1618}),
        ("FS-705", {"federation": "0" * 64}),
    ],
)
def test_specs_that_break_the_rules_are_refused(
    pair: Pair, code: str, changes: dict[str, Any]
) -> None:
    asked = pair.world.propose(**changes)
    assert refused(lambda: pair.north.grant(asked)) == code
    assert not pair.north.context.spool.rounds()


def test_only_the_model_owner_proposes_and_voids(pair: Pair) -> None:
    forged = pair.world.propose(signer="basel")
    assert refused(lambda: pair.north.grant(forged)) == "FS-703"
    asked = pair.world.propose()
    pair.north.grant(asked)
    for author in ("basel", "south", "north"):
        token = pair.world.void(asked, author)
        call = lambda: pair.north.void(asked, token)  # noqa: B023, E731
        assert refused(call) == "FS-703"


def test_only_so_many_rounds_are_open_at_once(pair: Pair) -> None:
    with_policy(pair.north, max_open_rounds=1)
    pair.north.grant(pair.world.propose())
    other = pair.world.propose(run="run-2")
    assert refused(lambda: pair.north.grant(other)) == "FS-402"


def test_only_so_many_rounds_are_granted_in_an_hour(pair: Pair) -> None:
    with_policy(pair.north, max_rounds_per_hour=2)
    asked = [pair.world.propose(run=f"run-{number}") for number in range(3)]
    for one in asked[:2]:
        pair.north.grant(one)
        pair.north.void(one, pair.world.void(one))
    assert refused(lambda: pair.north.grant(asked[2])) == "FS-406"
    pair.north.clock.now += 3601
    late = pair.world.propose(run="run-2", deadline=NOW + 3700)
    pair.north.grant(late)


def test_a_round_whose_reports_would_be_too_large_is_refused(pair: Pair) -> None:
    with_policy(pair.north, max_body=2**16)
    fits = pair.world.propose(run="fits", dimension=15_000)
    pair.north.grant(fits)
    large = pair.world.propose(run="large", dimension=17_000)
    assert refused(lambda: pair.north.grant(large)) == "FS-405"


def test_nothing_is_left_of_a_void_round(pair: Pair) -> None:
    asked = pair.world.propose()
    pair.collect(asked, *HOSPITALS)
    token = pair.north.void(asked, pair.world.void(asked))
    void = verify(token, Void, pair.world.federation).statement
    assert (void.author, void.spec, void.reason) == ("north", asked.digest, "a test")
    assert pair.north.context.spool.rounds() == []
    again = pair.north.void(asked, pair.world.void(asked))
    assert again == token


def test_an_expired_round_is_void_and_gone(pair: Pair) -> None:
    asked = pair.world.propose()
    pair.collect(asked, *HOSPITALS)
    pair.north.clock.now = NOW + 600 + DAY - 1
    deletion.tidy(pair.north.context)
    assert state_of(pair.north, asked) is RoundState.COLLECTING
    assert pair.north.report_files(asked) == list(HOSPITALS)
    pair.north.clock.now += 1
    deletion.tidy(pair.north.context)
    assert state_of(pair.north, asked) is RoundState.VOID
    assert pair.north.context.spool.rounds() == []


def test_a_share_is_kept_after_the_grant_and_then_deleted(pair: Pair) -> None:
    asked = pair.world.propose()
    opening = pair.world.opening(asked, pair.collect(asked, *HOSPITALS))
    answer = pair.north.open(asked, opening)
    pair.north.clock.now = NOW + 600 + 8 * DAY - 1
    deletion.tidy(pair.north.context)
    assert pair.north.open(asked, opening) == answer
    pair.north.clock.now += 1
    deletion.tidy(pair.north.context)
    assert refused(lambda: pair.north.open(asked, opening)) == "FS-308"


def test_a_kept_share_is_not_looked_at_again_before_it_expires(pair: Pair) -> None:
    opened = pair.world.propose(run="one")
    pair.north.open(
        opened, pair.world.opening(opened, pair.collect(opened, *HOSPITALS))
    )
    waiting = pair.world.propose(run="two")
    pair.collect(waiting, *HOSPITALS)
    context = pair.north.context
    assert deletion.due(context) == sorted([opened.digest, waiting.digest])
    deletion.tidy(context)
    assert deletion.due(context) == [waiting.digest]
    pair.north.clock.now = NOW + 600 + DAY  # the other's grant expires
    deletion.tidy(context)
    assert (deletion.due(context), context.spool.rounds()) == ([], [opened.digest])
    pair.north.clock.now += 7 * DAY
    assert deletion.due(context) == [opened.digest]
    deletion.tidy(context)
    assert context.spool.rounds() == []


def test_a_start_without_the_key_voids_the_round(pair: Pair) -> None:
    asked = pair.world.propose()
    pair.collect(asked, *HOSPITALS)
    pair.north.key_file(asked).unlink()
    north = pair.restart("north")
    assert state_of(north, asked) is RoundState.VOID
    assert north.context.spool.rounds() == []


def test_a_start_under_a_new_version_says_so_and_voids_undecided_rounds(
    pair: Pair,
) -> None:
    asked = pair.world.propose()
    pair.north.grant(asked)
    before = pair.world.federation.digest
    content = {**pair.world.federation_content(), "number": 2, "previous": before}
    pair.world.federation = type(pair.world.federation).model_validate(content)
    north = pair.restart("north")
    assert state_of(north, asked) is RoundState.VOID
    kinds = kinds_in(north)
    assert kinds[-2:] == ["federation-changed", "round-void"]
    assert kinds_in(pair.restart("north")) == kinds  # it is said once


def test_a_start_under_an_older_version_is_refused(pair: Pair) -> None:
    first = pair.world.federation
    pair.north.grant(pair.world.propose())
    content = {**pair.world.federation_content(), "number": 2, "previous": first.digest}
    pair.world.federation = type(first).model_validate(content)
    pair.restart("north")
    pair.world.federation = first
    with pytest.raises(OperatorError, match=r"FS-656.*version 2.*here is 1"):
        pair.restart("north")


def test_a_start_sweeps_what_a_crash_left(pair: Pair) -> None:
    asked = pair.world.propose()
    pair.collect(asked, "basel")
    folder = pair.north.folder
    left = [
        folder / "incoming" / "7",
        folder / "rounds" / ("0" * 64) / "key",  # of a grant that was not committed
    ]
    for path in left:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"left")
    north = pair.restart("north")
    assert not any(path.exists() for path in left)
    assert north.report_files(asked) == ["basel"]


def test_a_restored_store_closes_the_runs_it_may_have_forgotten(pair: Pair) -> None:
    north, world = pair.north, pair.world
    asked = world.propose()
    pair.collect(asked, *HOSPITALS)
    north.context.store.close()
    backup = Kept(north)
    later = world.propose(run="run-2")  # of which the backup knows nothing
    north.grant(later)
    north.context.store.close()
    backup.restore()
    assert refused(lambda: pair.restart("north")) == "FS-545"
    ordered(north)
    north = pair.restart("north")
    assert state_of(north, asked) is RoundState.VOID
    for run in ("run-1", "run-2"):
        again = world.propose(run=run, round=2)
        assert refused(lambda: north.grant(again)) == "FS-334"  # noqa: B023
    north.grant(world.propose(run="run-3"))
    assert kinds_in(north)[-3:] == ["store-restored", "round-void", "round-granted"]


def test_a_lost_database_closes_every_run_too(pair: Pair) -> None:
    pair.north.grant(pair.world.propose())
    empty(pair.north.place)
    assert refused(lambda: pair.restart("north")) == "FS-545"
    ordered(pair.north)
    north = pair.restart("north")
    again = pair.world.propose(round=2)
    assert refused(lambda: north.grant(again)) == "FS-334"


def test_a_plain_restart_closes_no_run(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    north = pair.restart("north")
    assert state_of(north, asked) is RoundState.COLLECTING
    opening = pair.world.opening(asked, receipts)
    shares = [
        pair.world.unseal(asked, opening, server.open(asked, opening))
        for server in pair.servers.values()
    ]
    pair.world.require_mean(asked, shares, HOSPITALS)


def test_a_crash_before_the_opening_is_committed_leaves_the_choice(pair: Pair) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    opening = pair.world.opening(asked, receipts)
    healthy = pair.north.context

    def power_cut(_: int) -> bytes:
        raise SystemExit

    pair.north.context = replace(healthy, rand=power_cut)
    with pytest.raises(SystemExit):
        pair.north.open(asked, opening)
    north = pair.restart("north")
    assert north.key_file(asked).exists()
    assert north.report_files(asked) == list(HOSPITALS)
    fewer = {name: receipts[name] for name in HOSPITALS[:3]}
    other = pair.world.opening(asked, fewer)
    shares = [
        pair.world.unseal(asked, other, server.open(asked, other))
        for server in pair.servers.values()
    ]
    pair.world.require_mean(asked, shares, HOSPITALS[:3])
    assert refused(lambda: north.open(asked, opening)) == "FS-304"


def test_a_crash_after_the_opening_answers_that_set_and_no_other(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    opening = pair.world.opening(asked, receipts)

    def power_cut(point: Point) -> None:
        if point is Point.OPENING_COMMITTED:
            raise SystemExit

    with monkeypatch.context() as cut:
        cut.setattr("fedsecure_aggregator.rounds.openings.crash_point", power_cut)
        with pytest.raises(SystemExit):
            pair.north.open(asked, opening)
    assert pair.north.key_file(asked).exists()
    north = pair.restart("north")
    fewer = {name: receipts[name] for name in HOSPITALS[:3]}
    other = pair.world.opening(asked, fewer)
    assert refused(lambda: north.open(asked, other)) == "FS-304"
    assert not north.key_file(asked).exists()
    assert north.report_files(asked) == []
    shares = [
        pair.world.unseal(asked, opening, server.open(asked, opening))
        for server in pair.servers.values()
    ]
    pair.world.require_mean(asked, shares, HOSPITALS)


def test_two_worlds_do_not_understand_each_other(pair: Pair) -> None:
    stranger = World("elsewhere").propose()
    assert refused(lambda: pair.north.grant(stranger)) == "FS-704"
