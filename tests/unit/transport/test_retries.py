"""A server that says how long to wait is asked no sooner, and holds up nobody long."""

from collections.abc import Callable
from types import SimpleNamespace

import httpx
import pytest
import tenacity

from fedsecure.errors import PeerError
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.retries import (
    LONGEST_WAIT,
    TRIES,
    Patience,
    UnreachableError,
    seconds_to_wait,
)
from tests.unit.aggregator.world import World

LONG = 600.0  # seconds of patience


class Clock:
    """Passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, list[float]()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(tenacity, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


Ask = Callable[[float, list[httpx.Response]], str]


@pytest.fixture
def ask(clock: Clock) -> Ask:
    """Ask an aggregator that answers like this; return the code that comes of it."""

    def ask(patience: float, answers: list[httpx.Response]) -> str:
        left = iter(answers)
        world = World()
        client = AggregatorClient(
            world.federation.aggregators[0],
            world.federation,
            None,
            Patience(seconds=patience, sleep=clock.sleep),
            httpx.MockTransport(lambda _: next(left, answers[-1])),
        )
        with pytest.raises(PeerError) as caught:
            client.require_same_federation()
        return caught.value.code

    return ask


def refused(status: int, retry_after: str | None, code: str) -> httpx.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx.Response(status, json={"code": code, "detail": "x"}, headers=headers)


OTHER = httpx.Response(200, text="no introduction")  # is not asked for again


@pytest.mark.parametrize(("status", "code"), [(429, "FS-326"), (503, "FS-318")])
def test_it_is_asked_no_sooner_than_it_says(
    clock: Clock, ask: Ask, status: int, code: str
) -> None:
    assert ask(LONG, [refused(status, "20", code), OTHER]) == "FS-553"
    assert clock.slept == [20.0]


def test_an_own_pause_that_is_longer_stays_as_it_is(clock: Clock, ask: Ask) -> None:
    answers = [refused(503, "0", "FS-318"), refused(503, None, "FS-318"), OTHER]
    assert ask(LONG, answers) == "FS-553"
    assert all(0.0 < pause <= Patience().longest_pause for pause in clock.slept)


def test_it_cannot_ask_for_more_than_a_minute(clock: Clock, ask: Ask) -> None:
    assert ask(LONG, [refused(503, "86400", "FS-523"), OTHER]) == "FS-553"
    assert clock.slept == [LONGEST_WAIT]


def test_it_takes_no_more_time_than_there_is_patience(clock: Clock, ask: Ask) -> None:
    assert ask(45.0, [refused(503, "30", "FS-523")]) == "FS-523"
    assert clock.slept[:2] == [30.0, 15.0]
    # One try more at the end, for all that it says.
    assert clock.now < 45.0 + Patience().longest_pause
    assert len(clock.slept) == TRIES - 1


def test_who_has_no_patience_is_told_at_once_for_how_long(clock: Clock) -> None:
    world = World()
    client = AggregatorClient(
        world.federation.aggregators[0],
        world.federation,
        None,
        Patience(seconds=0.0, sleep=clock.sleep),
        httpx.MockTransport(lambda _: refused(503, "30", "FS-523")),
    )
    with pytest.raises(UnreachableError) as caught:
        client.require_same_federation()
    assert caught.value.retry_after == 30.0
    assert clock.slept == []


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("0", 0.0),
        ("5", 5.0),
        ("60", LONGEST_WAIT),
        ("61", LONGEST_WAIT),
        ("999999999", LONGEST_WAIT),
        ("9" * 400, 0.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("nan", 0.0),
        ("\u0665", 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0),
    ],
)
def test_seconds_are_read_strictly_and_within_bounds(
    said: str | None, seconds: float
) -> None:
    assert seconds_to_wait(said) == seconds
