"""A machine that slept in the middle of a call has lost the time, not its patience."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import tenacity

from fedsecure.errors import PeerError
from fedsecure.frameworks.flower.runtime import calls
from fedsecure.frameworks.flower.runtime.calls import Caller
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.retries import Patience, UnreachableError
from tests.protocol.federation import federate

SLEPT = 100.0  # seconds


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    stub = SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep)
    monkeypatch.setattr(calls, "time", stub)
    monkeypatch.setattr(tenacity, "time", stub)
    return clock


def sleeping(clock: Clock, times: int) -> Callable[[object], str]:
    """Return a call that is cut by so many sleeps of the machine."""
    cuts = iter(range(times))

    def call(_request: object) -> str:
        if next(cuts, None) is None:
            return "answer"
        clock.now += SLEPT
        msg = "Connection reset by peer"
        raise httpx.ReadError(msg)

    return call


def test_a_call_to_the_superlink_is_made_again_after_a_sleep(clock: Clock) -> None:
    assert Caller("127.0.0.1:1", 10.0)(sleeping(clock, 1), None) == "answer"


def test_a_call_that_fails_again_and_again_fails_in_the_end(clock: Clock) -> None:
    with pytest.raises(PeerError, match="FS-501"):
        Caller("127.0.0.1:1", 10.0)(sleeping(clock, 9), None)


def test_a_call_without_patience_is_made_once(clock: Clock) -> None:
    with pytest.raises(PeerError, match="FS-501"):
        Caller("127.0.0.1:1", 0.0)(sleeping(clock, 1), None)


@pytest.mark.parametrize(("seconds", "tries"), [(60.0, 3), (0.0, 1)])
def test_an_aggregator_is_asked_again_after_a_sleep(
    clock: Clock, tmp_path: Path, seconds: float, tries: int
) -> None:
    asked: list[str] = []

    class Cut(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(request.url.path)
            clock.now += SLEPT
            msg = "Connection reset by peer"
            raise httpx.ReadError(msg)

    with federate(tmp_path) as memory:
        client = AggregatorClient(
            memory.federation.aggregators[0],
            memory.federation,
            None,
            Patience(seconds=seconds, sleep=clock.sleep),
            Cut(),
        )
        with pytest.raises(UnreachableError):
            client.require_same_federation()
    assert len(asked) == tries
