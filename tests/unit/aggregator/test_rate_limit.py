import asyncio
from dataclasses import replace

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings, strategies as st

from fedsecure.errors import RoundStateError
from fedsecure.transport.bounded_connection import Peer
from fedsecure_aggregator.http.app import create_app
from fedsecure_aggregator.http.rate_limit import (
    MOST_NAMES,
    MOST_SEEN,
    WINDOW,
    RateLimit,
)
from fedsecure_aggregator.http.worker import Worker
from tests.unit.aggregator.conftest import Pair, with_policy
from tests.unit.aggregator.world import NOW, OWNER, Clock

GAPS = st.lists(st.floats(0, 30), min_size=1, max_size=200)


def admitted(rate_limit: RateLimit, name: str = "study") -> bool:
    try:
        rate_limit.require(name)
    except RoundStateError as error:
        if error.code != "FS-326":
            raise
        return False
    return True


@pytest.mark.parametrize("most", [1, 3, 60, 1200])
def test_a_party_may_ask_so_often_at_once_and_no_more(most: int) -> None:
    rate_limit = RateLimit(most, Clock())
    assert [admitted(rate_limit) for _ in range(most + 2)] == [True] * most + [
        False
    ] * 2


def test_one_party_takes_nothing_from_another() -> None:
    rate_limit = RateLimit(2, Clock())
    assert [admitted(rate_limit, "basel") for _ in range(3)] == [True, True, False]
    assert admitted(rate_limit, "bern")


def test_who_waits_as_long_as_it_is_told_is_admitted() -> None:
    clock = Clock()
    rate_limit = RateLimit(6, clock)
    while admitted(rate_limit):
        pass
    clock.now += WINDOW / 6 - 0.1
    assert not admitted(rate_limit)
    clock.now += 0.1
    assert admitted(rate_limit)
    assert not admitted(rate_limit)


@given(gaps=GAPS, most=st.integers(1, 20))
@settings(max_examples=100)
def test_no_minute_has_more_than_twice_what_is_allowed(
    gaps: list[float], most: int
) -> None:
    clock = Clock()
    rate_limit = RateLimit(most, clock)
    times = []
    for gap in gaps:
        clock.now += gap
        if admitted(rate_limit):
            times.append(clock.now)
    for start in times:
        assert sum(start <= one < start + WINDOW for one in times) <= 2 * most


def test_a_clock_that_is_set_back_locks_nobody_out(pair: Pair) -> None:
    """Months back, and forth again: only time that really passes counts."""
    elapsed = Clock(0.0)
    with_policy(pair.north, requests_per_minute=2)
    app = create_app(replace(pair.north.context, monotonic=elapsed), Worker())
    path, clock = f"/v1/rounds/{'0' * 64}", pair.north.clock

    def ask() -> int:
        ticket = pair.world.ticket("north", OWNER, path, int(clock.now) + 60)
        return asyncio.run(get(app, path, ticket))

    assert [ask() for _ in range(3)] == [404, 404, 429]
    clock.now -= 100 * 86_400
    assert ask() == 429
    elapsed.now += WINDOW
    assert [ask() for _ in range(3)] == [404, 404, 429]
    clock.now += 100 * 86_400
    assert ask() == 429


async def get(app: FastAPI, path: str, ticket: str) -> int:
    transport, url = httpx.ASGITransport(app), "https://north.test"
    async with httpx.AsyncClient(transport=transport, base_url=url) as client:
        headers = {"Authorization": f"Bearer {ticket}"}
        return (await client.get(path, headers=headers)).status_code


def test_rounds_of_a_time_that_is_still_to_come_use_up_no_hour(pair: Pair) -> None:
    """The clock was a day ahead, and is set right."""
    with_policy(pair.north, max_rounds_per_hour=1)
    pair.north.clock.now += 86_400
    ahead = pair.world.propose(run="ahead", deadline=NOW + 86_400 + 600)
    pair.north.grant(ahead)
    pair.north.clock.now -= 86_400
    pair.north.grant(pair.world.propose(run="right"))


# --- what is sent again, and by whom ----------------------------------------------


def test_a_statement_costs_its_signer_once_and_others_their_own_connection() -> None:
    rate_limit, member = RateLimit(3, Clock(0.0)), Peer("192.0.2.1", 0.0)
    assert rate_limit.charge("study", "first", None)
    for _ in range(3):
        rate_limit.enter(member)
        assert not rate_limit.charge("study", "first", member)
    with pytest.raises(RoundStateError, match=r"FS-326.*this connection"):
        rate_limit.enter(member)
    rate_limit.enter(Peer("192.0.2.1", 0.0))  # another one of the same address
    assert [rate_limit.charge("study", name, None) for name in "ab"] == [True, True]
    assert not admitted(rate_limit)


def test_what_a_party_pays_for_costs_its_connection_nothing() -> None:
    rate_limit, own = RateLimit(2, Clock(0.0)), Peer("192.0.2.1", 0.0)
    for number in range(2):
        rate_limit.enter(own)
        assert rate_limit.charge("study", str(number), own)
    rate_limit.enter(own)
    with pytest.raises(RoundStateError, match=r"FS-326.*study"):
        rate_limit.charge("study", "third", own)
    rate_limit.enter(own)
    with pytest.raises(RoundStateError, match=r"FS-326.*this connection"):
        rate_limit.enter(own)


def test_a_statement_that_came_too_often_is_new_when_it_comes_in_time() -> None:
    clock = Clock(0.0)
    rate_limit = RateLimit(1, clock)
    rate_limit.charge("study", "first", None)
    with pytest.raises(RoundStateError, match="FS-326"):
        rate_limit.charge("study", "second", None)
    clock.now += WINDOW
    assert rate_limit.charge("study", "second", None)


def test_it_remembers_a_bounded_number_of_statements() -> None:
    rate_limit = RateLimit(10**9, Clock(0.0))
    for number in range(MOST_SEEN + 1):
        rate_limit.charge("study", str(number), None)
    assert not rate_limit.charge("study", str(MOST_SEEN), None)
    assert rate_limit.charge("study", "0", None)


def test_it_remembers_no_more_names_than_a_federation_has() -> None:
    rate_limit = RateLimit(1, Clock())
    for number in range(MOST_NAMES + 10):
        rate_limit.require(str(number))
    assert admitted(rate_limit, "0")
    assert not admitted(rate_limit, str(MOST_NAMES + 9))
