"""Which connection gives way, and how many there may be."""

import asyncio
import errno
import resource

import pytest

from fedsecure.errors import OperatorError
from fedsecure.system import durability
from fedsecure.transport import connection_limits
from fedsecure.transport.bounded_connection import Peer, vouch
from fedsecure.transport.connection_limits import (
    FILES_KEPT,
    MOST,
    Limits,
    Line,
    Lines,
    canonical,
)
from fedsecure_aggregator.config import Connections
from fedsecure_aggregator.storage.disk import disk

HERE, THERE = "192.0.2.1", "198.51.100.1"


class Crowd:
    """Lines that note when they are ended."""

    def __init__(self, most: int, per_address: int, *proxies: str) -> None:
        self.lines = Lines(Limits(most, per_address, frozenset(proxies)))
        self.gone: list[Line] = []

    def come(self, address: str, since: float, vouched: bool = False) -> Line | None:
        line = Line(Peer(address, since), lambda: self.gone.append(line))
        if vouched:
            vouch(line.peer)
        return line if self.lines.admit(line) else None


def test_the_one_that_is_quiet_the_longest_gives_way_to_one_of_its_address() -> None:
    crowd = Crowd(10, 2)
    first, second = crowd.come(HERE, 1.0), crowd.come(HERE, 0.0)
    other = crowd.come(THERE, -1.0)
    assert crowd.come(HERE, 2.0) is not None
    assert crowd.gone == [second]
    assert crowd.come(HERE, 3.0) is not None
    assert crowd.gone == [second, first]
    assert other is not None
    assert crowd.lines.ended["address"] == 2


def test_one_on_which_a_party_is_answered_never_gives_way() -> None:
    crowd = Crowd(10, 2)
    busy = [crowd.come(HERE, 0.0, vouched=True) for _ in range(2)]
    assert crowd.come(HERE, 1.0) is None
    assert crowd.lines.ended["refused"] == 1
    assert busy[0] is not None
    busy[0].peer.vouched = False
    assert crowd.come(HERE, 2.0) is not None
    assert crowd.gone == [busy[0]]


def test_when_all_is_full_the_address_with_the_most_gives_way() -> None:
    crowd = Crowd(4, 3)
    honest = crowd.come(THERE, 0.0)
    strangers = [crowd.come(HERE, float(number)) for number in (2, 1, 3)]
    assert crowd.come("203.0.113.1", 9.0) is not None
    assert crowd.gone == [strangers[1]]
    assert honest not in crowd.gone
    assert len(crowd.lines) == 4


def test_behind_a_proxy_only_the_whole_counts() -> None:
    crowd = Crowd(5, 1, HERE)
    for number in range(5):
        assert crowd.come(HERE, float(number)) is not None
    assert crowd.gone == []


def test_it_waits_until_one_of_those_that_are_answered_is_done() -> None:
    crowd = Crowd(1, 1)
    busy = crowd.come(HERE, 0.0, vouched=True)
    assert busy is not None

    async def run() -> bool:
        waiting = asyncio.create_task(crowd.lines.wait_for_room())
        await asyncio.sleep(0.01)
        early = waiting.done()
        crowd.lines.forget(busy)
        await asyncio.wait_for(waiting, 10)
        return early

    assert asyncio.run(run()) is False
    assert len(crowd.lines) == 0


@pytest.mark.parametrize(
    ("files", "most", "per_address"),
    [(128, 32, 16), (1024, 480, 240), (10**6, MOST, MOST // 2), (10, 1, 1)],
)
def test_limits_follow_from_what_a_process_may_open(
    files: int, most: int, per_address: int
) -> None:
    assert Limits.of(files) == Limits(most, per_address)


def test_settings_narrow_them_and_widen_nothing() -> None:
    limits = Connections.model_validate(
        {"most": 20, "per_address": 30, "proxies": ["10.0.0.7", "2001:db8::1"]}
    )
    assert limits.limits(1024) == Limits(
        20, 20, frozenset({"10.0.0.7", "2001:db8::/64"})
    )
    assert Connections(most=5000).limits(1024).most == 480
    with pytest.raises(ValueError, match="proxies"):
        Connections.model_validate({"proxies": ["a proxy"]})


def test_the_many_addresses_of_one_line_are_one() -> None:
    assert canonical("2001:db8::1") == canonical("2001:db8::ffff:1%eth0")
    assert canonical("2001:db8:0:1::1") != canonical("2001:db8::1")
    assert canonical("::ffff:192.0.2.1") == "192.0.2.1"


def test_a_process_takes_the_descriptors_that_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit = [(256, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limit[0])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limit.append(both))
    connection_limits.raise_files()
    assert limit[1] == (FILES_KEPT + 2 * MOST, 4096)


def test_what_fails_for_want_of_descriptors_is_named_as_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(OperatorError, match="FS-536"), disk("incoming report"):
        raise OSError(errno.EMFILE, "Too many open files")

    def none_left(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    assert not durability.is_out_of_files()
    monkeypatch.setattr(durability.os, "open", none_left)
    assert durability.is_out_of_files()
