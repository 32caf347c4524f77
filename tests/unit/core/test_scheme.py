"""The scheme: what is opened is the mean, and one share alone says nothing."""

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from fedsecure.core import scheme
from fedsecure.core.layout import CHUNK
from fedsecure.core.params import Params, Scalar
from fedsecure.core.scalars import Metrics
from fedsecure.core.scheme import (
    RAND_BYTES,
    AggregateShare,
    Measurement,
)
from fedsecure.core.sealing import payload_digest, seal, seal_info, sealing_key
from fedsecure.errors import OperatorError, PeerError
from tests import stages

SPEC = b"s" * 32
GUARANTEE = (
    "the opened mean differs from the exact weighted mean of the clipped updates by at "
    "most `n * 0.5 / S / sum(w_i / W)` per coordinate, float64 rounding apart (less "
    "than a hundredth of it)"
)
finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


LOSS = Scalar("loss", 0.0, 8.0)
ROWS = Scalar("rows")
AGES = Scalar("ages", size=3)


class Rounds:
    """Makes parameters, measurements and randomness, the same in every test run."""

    def __init__(self) -> None:
        self.generator = np.random.default_rng(20)

    def params(self, dimension: int, **changes: object) -> Params:
        given: dict[str, object] = {
            "scalars": (LOSS, ROWS, AGES),
            "max_reports": 3,
            "clip": 1.5,
            "weight_cap": 100,
        }
        return Params.derive(dimension, **(given | changes))  # type: ignore[arg-type]

    def update(self, dimension: int) -> NDArray[np.float32]:
        return self.generator.standard_normal(dimension, np.float32)

    def measurement(self, dimension: int, weight: int = 100) -> Measurement:
        metrics: Metrics = {"loss": 2.0, "rows": 5, "ages": [1, 2, 3]}
        return Measurement(self.update(dimension), weight, metrics)

    def rand(self) -> bytes:
        return self.generator.bytes(RAND_BYTES)


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


def square_root(number: Fraction) -> Fraction:
    """To a relative error below 2**-200."""
    scaled = (number.numerator << 800) // number.denominator
    return Fraction(math.isqrt(scaled), 2**400)


def exact_mean(params: Params, measurements: list[Measurement]) -> list[Fraction]:
    """The weighted mean of the clipped updates, in exact arithmetic."""
    clip, total = Fraction(params.clip), [Fraction(0)] * params.dimension
    for given_ in measurements:
        assert given_.update is not None
        update = [Fraction(float(number)) for number in given_.update]
        squares = sum((number**2 for number in update), Fraction(0))
        shrink = clip / square_root(squares) if squares > clip**2 else Fraction(1)
        for at, number in enumerate(update):
            total[at] += given_.weight * shrink * number
    weight = sum(given_.weight for given_ in measurements)
    return [number / weight for number in total]


@st.composite
def rounds_of(draw: st.DrawFn) -> tuple[Params, list[Measurement]]:
    dimension, n = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    cap = draw(st.sampled_from([1, 100, (2**40 - 1) // n]))
    clip = draw(
        st.one_of(
            st.floats(2**-30, 2**60),
            st.integers(-20, 20).map(lambda bits: math.nextafter(2.0**bits, 0.0)),
        )
    )
    near_clip = finite.map(lambda number: np.float32(math.tanh(number) * clip))
    measurements = [
        Measurement(
            np.array(
                draw(
                    st.lists(
                        st.one_of(finite, near_clip),
                        min_size=dimension,
                        max_size=dimension,
                    )
                ),
                np.float32,
            ),
            draw(st.integers(1, cap)),
            {},
        )
        for _ in range(n)
    ]
    return Params.derive(dimension, (), n, clip, cap), measurements


@settings(max_examples=200)
@given(rounds_of())
def test_opened_mean_is_within_half_a_step_per_report_of_the_exact_mean(
    drawn: tuple[Params, list[Measurement]],
) -> None:
    params, measurements = drawn
    assert GUARANTEE in " ".join((scheme.__doc__ or "").split())
    rands = [bytes([seed]) * scheme.RAND_BYTES for seed in range(len(measurements))]
    mean = stages.run(params, measurements, rands)
    share = Fraction(mean.total_weight, params.weight_cap)
    bound = len(measurements) * Fraction(1, 2) / Fraction(params.scale) / share
    for opened, exact in zip(
        mean.update, exact_mean(params, measurements), strict=True
    ):
        assert abs(Fraction(float(opened)) - exact) <= bound * Fraction(101, 100)


@pytest.mark.parametrize(
    ("n", "clip"), [(1, 2147483646.5), (2, 1073741822.75), (3, 715827881.5)]
)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_equal_updates_at_the_largest_clip_open_to_themselves(
    n: int, clip: float, sign: float
) -> None:
    params = Params.derive(2, (), n, clip, 1)
    assert n * (clip * params.scale + 1) > 2**31 - 2
    update = np.array([0.0, sign * 3e38], np.float32)
    mean = stages.run(
        params,
        [Measurement(update, 1, {})] * n,
        [bytes([seed]) * scheme.RAND_BYTES for seed in range(n)],
    )
    assert mean.update[0] == 0.0
    assert abs(mean.update[1] - sign * clip) <= 0.505 / params.scale
    assert (mean.count, mean.clipped) == (n, n)


@pytest.mark.parametrize("dimension", [0, 1, 262143, 262144, 262145, 524288])
def test_sections_meet_the_record_boundary_anywhere(
    rounds: Rounds, dimension: int
) -> None:
    params = rounds.params(dimension, clip=1e3)
    measurements = [rounds.measurement(dimension, weight) for weight in (20, 30, 50)]
    mean = stages.run(params, measurements, [rounds.rand() for _ in range(3)])
    updates = [given_.update for given_ in measurements if given_.update is not None]
    expected = np.average(np.array(updates, np.float64), axis=0, weights=[20, 30, 50])
    assert np.abs(mean.update - expected).max(initial=0.0) <= 1.51 / params.scale
    assert mean.scalars == {"loss": 2.0, "rows": 15, "ages": [3, 6, 9]}
    assert (mean.count, mean.total_weight) == (3, 100)
    assert (mean.clipped, mean.clamped) == (0, 0)


def test_a_long_scalars_section_spills_over_a_record() -> None:
    params = Params.derive(262_140, (Scalar("bins", size=40),), 1, 1.0, 1)
    bins = list(range(40))
    measurement = Measurement(np.zeros(262_140, np.float32), 1, {"bins": bins})
    rand = bytes(scheme.RAND_BYTES)
    sizes = [
        len(chunk)
        for chunk in scheme.shard(params, SPEC, "a", measurement, rand).vector
    ]
    assert sizes == [CHUNK, params.layout.plaintext_bytes - CHUNK]
    assert stages.run(params, [measurement], [rand]).scalars == {"bins": bins}


def added(
    params: Params, rounds: Rounds, seeds: AggregateShare, vectors: AggregateShare
) -> None:
    """Add one report: its seed here, its vector there."""
    sharding = scheme.shard(
        params, SPEC, "a", rounds.measurement(params.dimension), rounds.rand()
    )
    context = scheme.ReportContext(SPEC, sharding.report_id, "a")
    vector = b"".join(map(bytes, sharding.vector))
    stages.add(params, seeds, context, "seed", sharding.seed)
    stages.add(params, vectors, context, "vector", vector)


def test_either_aggregator_may_get_the_seed(rounds: Rounds) -> None:
    params = rounds.params(5)
    sums = [AggregateShare.empty(params) for _ in range(2)]
    for turn in range(3):
        added(params, rounds, sums[turn % 2], sums[1 - turn % 2])
    one_way, other_way = (
        scheme.unshard(params, *sums),
        scheme.unshard(params, *sums[::-1]),
    )
    assert one_way.count == 3
    assert np.array_equal(one_way.update, other_way.update)


def test_aggregate_shares_survive_sealing(rounds: Rounds) -> None:
    params = rounds.params(262_145)
    share = AggregateShare.empty(params)
    added(params, rounds, share, share)
    pieces = [bytes(piece) for piece in share.to_records()]
    size = params.layout.plaintext_bytes
    assert [len(piece) for piece in pieces] == [CHUNK, size - CHUNK]
    again = AggregateShare.from_plaintext(params, b"".join(pieces), share.count)
    assert np.array_equal(again.tensor, share.tensor)
    assert np.array_equal(again.scalars, share.scalars)
    assert again.count == 2


def test_shares_of_another_round_or_set_are_refused(rounds: Rounds) -> None:
    params, other = rounds.params(5), rounds.params(6)
    a, b, nobody = (AggregateShare.empty(params) for _ in range(3))
    added(params, rounds, a, b)
    with pytest.raises(PeerError, match=r"FS-724.*1 and 0"):
        scheme.unshard(params, a, nobody)
    with pytest.raises(PeerError, match="FS-723"):
        scheme.unshard(params, a, AggregateShare.empty(other))
    with pytest.raises(PeerError, match="FS-724"):
        scheme.unshard(params, AggregateShare.empty(params), nobody)
    a.count = b.count = 4
    with pytest.raises(PeerError, match=r"FS-724.*4 of 3|FS-724.*4 and 4 of 3"):
        scheme.unshard(params, a, b)


def test_a_share_left_out_on_one_side_shows_as_an_impossible_sum(
    rounds: Rounds,
) -> None:
    params = rounds.params(1000)
    a, b, nowhere = (AggregateShare.empty(params) for _ in range(3))
    added(params, rounds, a, b)
    added(params, rounds, a, nowhere)
    b.count = 2
    with pytest.raises(PeerError, match="FS-725"):
        scheme.unshard(params, a, b)


@pytest.mark.parametrize("wrong", [-1, 1])
def test_an_input_share_of_the_wrong_size_is_refused(
    rounds: Rounds, wrong: int
) -> None:
    params = rounds.params(5)
    context = scheme.ReportContext(SPEC, bytes(16), "a")
    share = AggregateShare.empty(params)
    for kind in ("seed", "vector"):
        size = scheme.input_share_bytes(params, kind) + wrong
        with pytest.raises(PeerError, match=f"FS-723.*{size} bytes"):
            stages.add(params, share, context, kind, bytes(size))
    assert share.count == 0
    assert not share.tensor.any()
    assert not share.scalars.any()


@pytest.mark.parametrize(
    "update",
    [
        np.zeros(4, np.float32),
        np.zeros((5, 1), np.float32),
        np.zeros(5, np.float64),
        None,
    ],
)
def test_an_update_of_another_shape_or_type_is_refused(
    rounds: Rounds, update: NDArray[np.float32] | None
) -> None:
    given_ = replace(rounds.measurement(5), update=update)
    with pytest.raises(OperatorError, match=r"FS-211.*float32 of shape \(5,\)"):
        scheme.shard(rounds.params(5), SPEC, "a", given_, rounds.rand())


def test_each_byte_of_randomness_is_used_for_one_thing(rounds: Rounds) -> None:
    params, measurement = rounds.params(0), replace(rounds.measurement(0), update=None)
    rand = rounds.rand()

    def parts(rand: bytes) -> tuple[bytes | bool, ...]:
        got = scheme.shard(params, SPEC, "a", measurement, rand)
        return got.seed, got.report_id, got.seed_to_first, *got.content_keys

    for at in range(scheme.RAND_BYTES):
        changed = rand[:at] + bytes([rand[at] ^ 1]) + rand[at + 1 :]
        pairs = zip(parts(rand), parts(changed), strict=True)
        assert sum(one != other for one, other in pairs) == 1
    with pytest.raises(ValueError, match="113"):
        parts(rand[1:])


def shard_words(
    params: Params, update: NDArray[np.float32], rand: bytes
) -> NDArray[np.uint32]:
    sharding = scheme.shard(params, SPEC, "a", Measurement(update, 1, {}), rand)
    plaintext = b"".join(map(bytes, sharding.vector))[: params.layout.tensor_bytes]
    return np.frombuffer(plaintext, np.uint32)


def chi_square(counts: NDArray[np.int64]) -> float:
    expected = counts.sum() / counts.size
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("level", [0.0, 1.0, -1e30])
def test_a_vector_share_alone_is_uniform_whatever_the_update(level: float) -> None:
    params = Params.derive(2**16, (), 2, 1e3, 1)
    words = shard_words(params, np.full(2**16, level, np.float32), b"7" * 113)
    counts = np.bincount(words.view(np.uint8), minlength=256)
    assert chi_square(counts) < 255 + 5 * math.sqrt(2 * 255)


def test_a_vector_share_alone_is_distributed_alike_for_any_two_updates(
    rounds: Rounds,
) -> None:
    params = Params.derive(1, (), 2, 1.0, 1)
    counts = [
        np.bincount(
            [
                int(shard_words(params, np.array([x], np.float32), rounds.rand())[0])
                >> 28
                for _ in range(1600)
            ],
            minlength=16,
        )
        for x in (0.0, 1.0)
    ]
    for one in counts:
        assert chi_square(one) < 15 + 5 * math.sqrt(2 * 15)
    two_sample = ((counts[0] - counts[1]) ** 2 / (counts[0] + counts[1])).sum()
    assert two_sample < 15 + 5 * math.sqrt(2 * 15)


def test_the_seed_does_not_depend_on_the_update(rounds: Rounds) -> None:
    params, rand = rounds.params(5), rounds.rand()
    shardings = [
        scheme.shard(params, SPEC, "a", rounds.measurement(5, weight), rand)
        for weight in (1, 100)
    ]
    assert shardings[0].seed == shardings[1].seed
    assert b"".join(map(bytes, shardings[0].vector)) != b"".join(
        map(bytes, shardings[1].vector)
    )


def test_secrets_are_not_printed(rounds: Rounds) -> None:
    params = rounds.params(5)
    measurement = rounds.measurement(5, weight=77)
    sharding = scheme.shard(params, SPEC, "a", measurement, rounds.rand())
    mean = AggregateShare.empty(params)
    assert repr(measurement) == "Measurement()"
    assert repr(sharding) == f"Sharding(report_id={sharding.report_id!r})"
    assert repr(mean) == "AggregateShare(count=0)"


def test_protecting_an_update_takes_at_most_16_mib_whatever_its_size(
    rounds: Rounds,
) -> None:
    params = rounds.params(6_000_000)
    measurement = rounds.measurement(6_000_000)  # 24 MB
    key = sealing_key.SealingKey.from_seed(bytes(32))
    sink: Callable[[memoryview], object] = len
    tracemalloc.start()
    try:
        sharding = scheme.shard(params, SPEC, "a", measurement, rounds.rand())
        info = seal_info.report_info(SPEC, SPEC, "a", "b", sharding.report_id, "vector")
        sealed = seal.seal(
            key.public_bytes, info, sharding.content_keys[0], sharding.vector, sink
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sealed.length == payload_digest.sealed_length(params.layout.plaintext_bytes)
    assert peak <= 16 * 2**20


def test_the_whole_scheme_opens_an_update_of_many_chunks(rounds: Rounds) -> None:
    dimension = 900_000  # 3.4 chunks: the buffers have come round again
    params = rounds.params(dimension)
    measurement = rounds.measurement(dimension)
    mean = stages.run(params, [measurement], [rounds.rand()])
    assert measurement.update is not None
    length = np.linalg.norm(measurement.update.astype(np.float64))
    clipped = measurement.update * min(1.0, params.clip / length)
    np.testing.assert_allclose(
        mean.update, clipped, atol=params.weight_cap / params.scale
    )
