"""A refusal says what happened and where, and limits hold to the last unit."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from fedsecure.errors import FedsecureError, RoundStateError
from fedsecure.protocol.statements import Kind, Purpose
from fedsecure_aggregator.http.rate_limit import MOST_NAMES, WINDOW, RateLimit
from fedsecure_aggregator.rounds import reads, reports
from fedsecure_aggregator.rules.round_states import (
    RoundState,
    require_not_void,
    require_round,
)
from tests.unit.aggregator.conftest import Pair, with_policy
from tests.unit.aggregator.world import NOW, OWNER, Clock, Round


def refusal_of(call: Callable[[], object]) -> tuple[str, str]:
    """Return code and detail of a refusal."""
    with pytest.raises(FedsecureError) as caught:
        call()
    return caught.value.code, caught.value.detail


def granted(pair: Pair, **changes: object) -> Round:
    asked = pair.world.propose(**changes)
    pair.grant(asked)
    return asked


def test_a_message_at_another_rounds_address_names_both() -> None:
    one, other = "1" * 64, "2" * 64
    assert refusal_of(lambda: require_round(one, other)) == (
        "FS-301",
        f"{'1' * 12} in the address, {'2' * 12} inside",
    )


def test_a_void_round_says_why(pair: Pair) -> None:
    assert refusal_of(
        lambda: require_not_void("3" * 64, RoundState.VOID, "too few")
    ) == (
        "FS-305",
        f"round {'3' * 12}: too few",
    )
    asked = granted(pair)
    report = pair.world.report(asked, pair.grant(asked), "basel")["north"]
    pair.north.report(report)
    pair.north.void(asked, pair.world.void(asked))
    assert refusal_of(lambda: pair.north.report(report)) == (
        "FS-305",
        f"round {asked.digest[:12]}: a test",
    )


def test_another_spec_for_a_place_names_the_place_and_both(pair: Pair) -> None:
    first = granted(pair, run="heart", round=7, purpose=Purpose.TRAIN)
    place = "heart round 7 train"
    twin = pair.world.propose(run="heart", round=7, task="0" * 64)
    assert refusal_of(lambda: pair.north.grant(twin)) == (
        "FS-302",
        f"{place} attempt 1 ({first.digest[:12]}) came before {twin.digest[:12]}",
    )
    second = pair.world.propose(run="heart", round=7, attempt=2)
    assert refusal_of(lambda: pair.north.grant(second)) == (
        "FS-303",
        f"{place} attempt 1 ({first.digest[:12]}) is granted",
    )


def test_a_late_report_says_by_how_much(pair: Pair) -> None:
    asked = granted(pair)
    report = pair.world.report(asked, pair.grant(asked), "basel")["north"]
    pair.north.clock.now = NOW + 602.5
    assert refusal_of(lambda: pair.north.report(report)) == (
        "FS-306",
        f"2.5 s ago in round {asked.digest[:12]}",
    )


def test_a_report_at_the_wrong_door_says_which(pair: Pair) -> None:
    asked = granted(pair)
    sealed = pair.world.report(asked, pair.grant(asked), "basel", only=Kind.SEED)
    header, digest = sealed["north"].header, asked.digest
    context = pair.north.context
    assert refusal_of(lambda: reports.expect(context, digest, "bern", header)) == (
        "FS-310",
        "reporter is 'basel' inside, 'bern' here",
    )
    other = sealed["south"].header
    assert refusal_of(lambda: reports.expect(context, digest, "basel", other)) == (
        "FS-310",
        "aggregator is 'south' inside, 'north' here",
    )


def test_a_ticket_at_the_wrong_door_says_which(pair: Pair) -> None:
    context, path = pair.north.context, "/v1/rounds/1"

    def read(ticket: str, here: str = path) -> tuple[str, str]:
        bearer = f"Bearer {ticket}"
        return refusal_of(lambda: reads.require_ticket(context, bearer, here, OWNER))

    assert read(pair.world.ticket("north", "basel", path)) == (
        "FS-333",
        f"reader is 'basel' inside, '{OWNER}' here",
    )
    assert read(pair.world.ticket("south", OWNER, path)) == (
        "FS-333",
        "aggregator is 'south' inside, 'north' here",
    )
    assert read(pair.world.ticket("north", OWNER, path), "/v1/rounds/2") == (
        "FS-333",
        "path is '/v1/rounds/1' inside, '/v1/rounds/2' here",
    )


def test_a_database_that_fails_says_at_what(pair: Pair) -> None:
    asked = granted(pair)
    header = pair.world.report(asked, pair.grant(asked), "basel")["north"].header
    pair.north.context.store.change(
        "break",
        lambda session: session.execute(text("ALTER TABLE reports RENAME TO gone")),
    )
    code, detail = refusal_of(
        lambda: reports.expect(pair.north.context, asked.digest, "basel", header)
    )
    assert code == "FS-525"
    assert detail.startswith("expect report: ")


# Limits.


def test_a_model_may_be_as_large_as_the_policy_says(pair: Pair) -> None:
    with_policy(pair.north, max_dimension=1000)
    pair.north.grant(pair.world.propose(dimension=1000))
    larger = pair.world.propose(run="run-2", dimension=1001)
    assert refusal_of(lambda: pair.north.grant(larger))[0] == "FS-401"


def test_reports_may_be_as_long_as_the_policy_says(pair: Pair) -> None:
    asked = pair.world.propose(dimension=20_000)
    longest = reports.longest_payload(asked.params)
    with_policy(pair.north, max_body=longest)
    pair.north.grant(asked)
    with_policy(pair.north, max_body=longest - 1)
    again = pair.world.propose(run="run-2", dimension=20_000)
    assert refusal_of(lambda: pair.north.grant(again))[0] == "FS-405"


def test_a_deadline_is_in_the_future_and_no_further_than_the_policy_says(
    pair: Pair,
) -> None:
    with_policy(pair.north, max_round_seconds=600)
    for number, (seconds, fits) in enumerate(
        [(0, False), (1, True), (600, True), (601, False)]
    ):
        asked = pair.world.propose(run=f"run-{number}", deadline=NOW + seconds)
        if fits:
            pair.north.grant(asked)
        else:
            assert (
                refusal_of(lambda asked=asked: pair.north.grant(asked))[0] == "FS-403"
            )
    pair.north.clock.now = NOW - 0.5
    pair.north.grant(pair.world.propose(run="soon", deadline=NOW))


def test_a_start_without_a_note_is_refused_if_the_ledger_has_an_entry(
    pair: Pair,
) -> None:
    note = pair.north.folder / "ledger-head"
    note.unlink()
    pair.restart("north")  # an empty store is new, not restored
    granted(pair)
    note.unlink()
    told = refusal_of(lambda: pair.restart("north"))
    assert told == ("FS-546", f"{pair.north.folder} has no note of the ledger")


def test_the_largest_federation_fits_into_the_pace() -> None:
    clock = Clock()
    rate_limit = RateLimit(1, clock)
    for number in range(MOST_NAMES):
        rate_limit.require(str(number))
    with pytest.raises(RoundStateError):
        rate_limit.require("0")  # nobody was forgotten
    clock.now += WINDOW - 2e-6
    assert refusal_of(lambda: rate_limit.require("1"))[0] == "FS-326"
    clock.now += 2e-6
    rate_limit.require("1")
