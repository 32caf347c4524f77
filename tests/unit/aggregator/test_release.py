"""A mechanism between sum and seal: one draw leaves a server, whatever fails."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedsecure.core import layout
from fedsecure.core.layout import Buffer
from fedsecure.core.modulus import Words
from fedsecure.core.release import Keys
from fedsecure.core.scheme import AggregateShare
from fedsecure.core.sealing.sealing_key import CONTENT_KEY_BYTES
from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Opening
from fedsecure.system.crash_points import Point
from fedsecure_aggregator.rounds import aggregate_shares, deletion
from tests.unit.aggregator.conftest import Pair, Server
from tests.unit.aggregator.world import HOSPITALS, Entropy, Round

Receipts = dict[str, dict[str, str]]


@dataclass
class Noise:
    """Adds what it draws, in place; keeps what it was given and what it released."""

    is_exact: bool = False
    given: list[Words] = field(default_factory=list)
    released: list[Words] = field(default_factory=list)
    warmed_up: int = 0

    def warm_up(self) -> None:
        self.warmed_up += 1

    def records(self, total: AggregateShare, keys: Keys) -> Iterator[Buffer]:
        self.given.append(total.tensor.copy())
        drawn = np.frombuffer(keys(b"a test"), np.uint8)
        noisy = total.tensor.copy()
        for place in range(0, noisy.size, drawn.size):
            part = noisy[place : place + drawn.size]
            part += drawn[: part.size]
        self.released.append(noisy)
        return layout.write(noisy, total.scalars)

    @property
    def noises(self) -> list[Words]:
        pairs = zip(self.released, self.given, strict=True)
        return [released - given for released, given in pairs]


def noisy(server: Server) -> Noise:
    """Give a server a mechanism of its own."""
    noise = Noise()
    server.context = replace(server.context, mechanisms=lambda _: noise)
    return noise


def collected(pair: Pair) -> tuple[Round, Receipts, Signed[Opening]]:
    asked = pair.world.propose()
    receipts = pair.collect(asked, *HOSPITALS)
    return asked, receipts, pair.world.opening(asked, receipts)


def shares(pair: Pair, asked: Round, opening: Signed[Opening]) -> list[AggregateShare]:
    """Open at both, north first."""
    return [
        pair.world.unseal(asked, opening, server.open(asked, opening))
        for server in pair.servers.values()
    ]


def opened(pair: Pair, asked: Round, opening: Signed[Opening]) -> Words:
    """Open at north; what its share holds."""
    return pair.world.unseal(asked, opening, pair.north.open(asked, opening)).tensor


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(FedsecureError) as caught:
        call()
    return caught.value.code


def seed_file(pair: Pair, asked: Round) -> Path:
    return pair.north.folder / "rounds" / asked.digest / "noise"


def files(pair: Pair, asked: Round) -> list[str]:
    return sorted(file.name for file in seed_file(pair, asked).parent.iterdir())


def fail_to_seal(
    pair: Pair, asked: Round, opening: Signed[Opening], patch: pytest.MonkeyPatch
) -> None:
    """Have the disk full once all of the sum was sealed."""

    def full(*given: Any) -> None:
        chunks: Iterable[bytes] = given[3]
        assert sum(len(chunk) for chunk in chunks) > 0
        raise OperatorError("FS-523", "aggregate share: No space left on device")

    with patch.context() as patched:
        patched.setattr(aggregate_shares.seal, "seal", full)
        assert refused(lambda: pair.north.open(asked, opening)) == "FS-523"


def crash(
    pair: Pair,
    asked: Round,
    opening: Signed[Opening],
    at: Point,
    patch: pytest.MonkeyPatch,
) -> None:
    def power_cut(point: Point) -> None:
        if point is at:
            raise SystemExit

    with patch.context() as cut:
        cut.setattr("fedsecure_aggregator.rounds.openings.crash_point", power_cut)
        with pytest.raises(SystemExit):
            pair.north.open(asked, opening)


def test_what_is_sealed_is_what_the_mechanism_released(pair: Pair) -> None:
    asked, _, opening = collected(pair)
    noise = noisy(pair.north)
    north, south = shares(pair, asked, opening)
    assert np.array_equal(north.tensor, noise.released[0])
    assert noise.noises[0].any()
    exact = replace(north, tensor=noise.given[0])
    pair.world.require_mean(asked, [exact, south], HOSPITALS)


def test_a_failed_seal_does_not_release_twice_and_leaves_the_sum(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _, opening = collected(pair)
    noise = noisy(pair.north)
    fail_to_seal(pair, asked, opening, monkeypatch)
    kept = pair.north.context.accumulator.total(asked.digest)
    assert np.array_equal(kept.tensor, noise.given[0])
    share = opened(pair, asked, opening)
    assert np.array_equal(noise.given[0], noise.given[1])
    assert np.array_equal(noise.released[0], noise.released[1])
    assert np.array_equal(share, noise.released[0])


def test_an_opening_that_is_asked_for_again_is_not_drawn_again(pair: Pair) -> None:
    asked, _, opening = collected(pair)
    noise = noisy(pair.north)
    first = pair.north.open(asked, opening)
    assert pair.north.open(asked, opening) == first
    pair.restart("north")
    assert pair.north.open(asked, opening) == first
    assert len(noise.released) == 1


@pytest.mark.parametrize("at", [Point.SHARE_ON_DISK, Point.OPENING_COMMITTED])
def test_a_crash_after_the_draw_releases_the_same_after_the_start(
    pair: Pair, at: Point, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _, opening = collected(pair)
    before = noisy(pair.north)
    crash(pair, asked, opening, at, monkeypatch)
    after = noisy(pair.restart("north"))
    share = opened(pair, asked, opening)
    assert np.array_equal(share, before.released[0])
    assert len(after.released) == (at is Point.SHARE_ON_DISK)


def test_a_second_set_after_a_crash_has_noise_of_its_own(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, receipts, opening = collected(pair)
    before = noisy(pair.north)
    crash(pair, asked, opening, Point.SHARE_ON_DISK, monkeypatch)
    assert seed_file(pair, asked).exists()  # another set makes another key of it
    after = noisy(pair.restart("north"))
    fewer = {name: receipts[name] for name in HOSPITALS[:3]}
    opened(pair, asked, pair.world.opening(asked, fewer))
    assert not np.array_equal(after.noises[0], before.noises[0])


@pytest.mark.parametrize("end", ["opened", "void", "expired"])
def test_a_seed_is_for_its_user_alone_and_goes_with_the_key(
    pair: Pair, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _, opening = collected(pair)
    noisy(pair.north)
    fail_to_seal(pair, asked, opening, monkeypatch)
    assert seed_file(pair, asked).stat().st_mode & 0o777 == 0o600
    if end == "opened":
        pair.north.open(asked, opening)
    elif end == "void":
        pair.north.void(asked, pair.world.void(asked))
    else:
        pair.north.clock.now += 400 * 86_400
        deletion.tidy(pair.north.context)
    assert not seed_file(pair, asked).exists()
    assert not pair.north.key_file(asked).exists()


def test_a_seed_that_a_crash_left_is_deleted_at_the_start(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _, opening = collected(pair)
    noisy(pair.north)
    crash(pair, asked, opening, Point.OPENING_COMMITTED, monkeypatch)
    assert seed_file(pair, asked).exists()
    pair.restart("north")
    assert not seed_file(pair, asked).exists()


def test_a_damaged_seed_is_not_drawn_anew(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _, opening = collected(pair)
    noise = noisy(pair.north)
    fail_to_seal(pair, asked, opening, monkeypatch)
    content = bytearray(seed_file(pair, asked).read_bytes())
    content[0] ^= 1
    seed_file(pair, asked).write_bytes(content)
    assert refused(lambda: pair.north.open(asked, opening)) == "FS-541"
    assert len(noise.released) == 1


def test_a_seed_is_on_disk_before_the_mechanism_draws_of_it(pair: Pair) -> None:
    asked, _, opening = collected(pair)
    found = []

    class Looking(Noise):
        def records(self, total: AggregateShare, keys: Keys) -> Iterator[Buffer]:
            found.append(seed_file(pair, asked).stat().st_size)
            return super().records(total, keys)

    looking = Looking()
    pair.north.context = replace(pair.north.context, mechanisms=lambda _: looking)
    pair.north.open(asked, opening)
    assert found == [32 + 1 + 64]  # seed, line feed, checksum


def test_an_exact_release_draws_nothing_and_writes_nothing(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _, opening = collected(pair)
    rand = pair.north.context.rand
    assert isinstance(rand, Entropy)
    fail_to_seal(pair, asked, opening, monkeypatch)
    assert files(pair, asked) == ["key", "reports"]
    used = rand.used
    both = shares(pair, asked, opening)
    assert rand.used - used == CONTENT_KEY_BYTES
    assert files(pair, asked) == ["share"]
    pair.world.require_mean(asked, both, HOSPITALS)
