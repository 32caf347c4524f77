"""Encoding: clip, fixed point, counts and metrics, and what is out of range."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from fedsecure.core.encoding import TensorEncoder, decode_tensor, norm
from fedsecure.core.params import METRIC_STEPS, Params, Scalar, Statistics
from fedsecure.core.scalars import (
    Metrics,
    Totals,
    decode_scalars,
    encode_scalars,
    read_totals,
)
from fedsecure.errors import OperatorError, PeerError

NEITHER = (False, False)  # clipped: neither what is trained nor statistics
GOOD: Metrics = {"loss": 2.0, "rows": 5, "bins": [1, 2]}
SCALARS = (Scalar("loss", -2.0, 8.0), Scalar("rows"), Scalar("bins", size=2))


def params(dimension: int = 1, **changes: object) -> Params:
    given: dict[str, object] = {"max_reports": 3, "clip": 1.0, "weight_cap": 100}
    return Params.derive(dimension, SCALARS, **(given | changes))  # type: ignore[arg-type]


def encoder_of(
    round_: Params, update: NDArray[np.float32], weight: int = 100
) -> TensorEncoder:
    scratch = np.empty(TensorEncoder.scratch_bytes(round_), np.uint8)
    return TensorEncoder(round_, update, weight, scratch)


def encoded(
    round_: Params, update: NDArray[np.float32], weight: int = 100
) -> list[int]:
    out = np.empty(update.size, np.uint32)
    encoder_of(round_, update, weight).write(0, out)
    return [int(word) for word in out.view(np.int32)]


def clamped(weight: int = 50, **metrics: object) -> tuple[list[int], int]:
    """The declared scalars, and the clamp count."""
    section = encode_scalars(params(), weight, NEITHER, GOOD | metrics)  # type: ignore[operator]
    return section[6:].tolist(), int(section[3])


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_norm_is_that_of_exact_arithmetic_to_2_to_the_minus_40(
    numbers: list[float],
) -> None:
    update = np.array(numbers, np.float32)
    exact = sum((Fraction(number) ** 2 for number in numbers), Fraction(0))
    got = Fraction(norm(update, np.empty(max(update.size, 1)))) ** 2
    assert abs(got - exact) <= exact * Fraction(2, 2**40)


def test_norm_of_many_small_numbers_is_not_lost_beside_a_large_one() -> None:
    update = np.full(2**18 + 9, 2.0**-12, np.float32)
    update[0] = 1.0  # in float32, each small square would vanish in the sum
    exact = math.sqrt(1 + (update.size - 1) * 2.0**-24)
    assert norm(update, np.empty(2**18)) == pytest.approx(exact, rel=2**-40)


@pytest.mark.parametrize(
    ("max_reports", "clip"),
    [
        (1, 2147483646.5),  # C * S + 1 is just below 2**31
        (2, 1073741822.75),
        (1, math.nextafter(2.0**30, 0.0)),
        (1, math.nextafter(1.0, 0.0)),
        (3, math.nextafter(2.0**-20, 0.0)),
        (262112, 1.0),
    ],
)
@pytest.mark.parametrize("coordinate", [3.4e38, -3.4e38, 1e-30, 7.0])
def test_no_cohort_of_equal_reports_wraps_at_the_limits(
    max_reports: int, clip: float, coordinate: float
) -> None:
    round_ = params(3, max_reports=max_reports, clip=clip, weight_cap=1)
    update = np.array([0.0, coordinate, 0.0], np.float32)
    zero, x, _ = encoded(round_, update, weight=1)
    assert zero == 0
    assert abs(x) <= Fraction(clip) * Fraction(round_.scale) + 1
    assert abs(max_reports * x) < 2**31


def test_products_are_rounded_half_to_even() -> None:
    round_ = params(8, clip=2.0**20)
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 0.0])
    update = (halves / round_.scale).astype(np.float32)
    assert encoded(round_, update) == [-2, -2, 0, 0, 2, 2, 4, 0]


def test_an_update_at_the_clip_is_left_alone_and_a_longer_one_is_shrunk() -> None:
    round_ = params(2, clip=5.0)
    at_clip = encoder_of(round_, np.array([3.0, 4.0], np.float32))
    longer = encoder_of(round_, np.array([6.0, 8.0], np.float32))
    assert (at_clip.clipped, longer.clipped) == (False, True)
    assert encoded(round_, np.array([6.0, 8.0], np.float32)) == encoded(
        round_, np.array([3.0, 4.0], np.float32)
    )


def test_integers_do_not_depend_on_where_the_update_is_cut() -> None:
    round_ = params(600_000)
    update = np.random.default_rng(1).standard_normal(600_000, np.float32)
    encoder = encoder_of(round_, update)
    whole, parts = np.empty((2, 600_000), np.uint32)
    encoder.write(0, whole)
    for start, end in ((0, 7), (7, 262_151), (262_151, 600_000)):
        encoder.write(start, parts[start:end])
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("at", [0, 300_000])
def test_an_update_that_is_not_finite_is_refused_without_details(
    bad: float, at: int
) -> None:
    update = np.zeros(300_001, np.float32)
    update[at] = bad
    with pytest.raises(OperatorError, match="FS-210") as caught:
        encoder_of(params(update.size), update)
    assert caught.value.detail == "the update holds NaN or infinity"


@pytest.mark.parametrize(
    ("value", "steps", "moved"),
    [
        (-2.0, 0, 0),
        (8.0, METRIC_STEPS, 0),
        (3.0, METRIC_STEPS // 2, 0),
        (np.float32(3.0), METRIC_STEPS // 2, 0),
        (math.nextafter(-2.0, -3.0), 0, 1),
        (math.nextafter(8.0, 9.0), METRIC_STEPS, 1),
    ],
)
def test_a_metric_out_of_range_counts_as_the_nearer_end(
    value: float, steps: int, moved: int
) -> None:
    words, count = clamped(loss=value)
    assert (words[0], count) == (50 * steps, moved)


@pytest.mark.parametrize(
    ("value", "word", "moved"),
    [
        (0, 0, 0),
        (2**53 + 1, 2**53 + 1, 0),
        (np.int64(7), 7, 0),
        (7.0, 7, 0),
        (7.5, 8, 1),
        (-1, 0, 1),
        ((2**64 - 1) // 3, (2**64 - 1) // 3, 0),
        (2**64 - 1, (2**64 - 1) // 3, 1),
        (10**400, (2**64 - 1) // 3, 1),
    ],
)
def test_a_count_is_exact_up_to_what_the_cohort_can_sum(
    value: float, word: int, moved: int
) -> None:
    words, count = clamped(rows=value)
    assert (words[1], count) == (word, moved)


@pytest.mark.parametrize(
    ("weight", "counted", "moved"),
    [(1, 1, 0), (100, 100, 0), (101, 100, 1), (10**30, 100, 1), (0, 1, 1), (-5, 1, 1)],
)
def test_a_weight_out_of_range_counts_as_the_nearer_end(
    weight: int, counted: int, moved: int
) -> None:
    section = encode_scalars(params(), weight, (True, False), GOOD)
    assert section[:6].tolist() == [counted, 1, 0, moved, 0, counted]


def test_every_clamped_number_is_counted() -> None:
    _, count = clamped(weight=0, loss=-9.0, rows=-1, bins=[-1, 2.5])
    assert count == 5


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
@pytest.mark.parametrize("name", ["loss", "rows", "bins"])
def test_what_is_not_finite_is_at_no_end_of_a_range_but_counted(
    name: str, value: float
) -> None:
    given = {name: [1, value] if name == "bins" else value}
    section = encode_scalars(params(), 50, NEITHER, {**GOOD, **given})
    assert section.tolist() == [50, 0, 0, 0, 1, 0, 0, 0, 0, 0]


def opened(*reports: tuple[int, float]) -> tuple[Totals, object]:
    """The totals and the mean loss of some reports: weight and loss."""
    round_ = params(max_reports=len(reports))
    sections = [
        encode_scalars(round_, weight, NEITHER, {**GOOD, "loss": loss})
        for weight, loss in reports
    ]
    totals = read_totals(round_, sum(sections[1:], sections[0]), len(reports))
    return totals, decode_scalars(round_, totals)["loss"]


def test_a_mean_is_that_of_those_who_could_measure() -> None:
    totals, loss = opened((10, 2.0), (90, math.nan), (30, 6.0))
    assert (totals.weight, totals.measured, totals.undefined) == (130, 40, 1)
    assert loss == pytest.approx(5.0, abs=1e-6)


def test_a_mean_of_nobody_is_none_and_not_the_lower_end() -> None:
    totals, loss = opened((10, math.nan), (30, -math.inf))
    assert (totals.measured, totals.undefined, loss) == (0, 2, None)


@given(st.lists(st.tuples(st.integers(1, 100), st.floats(-2.0, 8.0)), min_size=1))
def test_an_opened_metric_is_the_weighted_mean_to_half_a_step(
    reports: list[tuple[int, float]],
) -> None:
    round_ = params(max_reports=len(reports))
    sections = [
        encode_scalars(round_, weight, NEITHER, {**GOOD, "loss": loss})
        for weight, loss in reports
    ]
    totals = read_totals(round_, sum(sections[1:], sections[0]), len(reports))
    opened = decode_scalars(round_, totals)
    whole = sum(weight for weight, _ in reports)
    losses = [weight * Fraction(loss) for weight, loss in reports]
    mean = sum(losses, Fraction(0)) / whole
    assert isinstance(opened["loss"], float)
    error = abs(Fraction(opened["loss"]) - mean)
    assert error <= Fraction(10, METRIC_STEPS) * Fraction(0.5001)
    assert totals.weight == whole
    assert opened["rows"] == 5 * len(reports)
    assert opened["bins"] == [len(reports), 2 * len(reports)]


def test_metrics_other_than_the_declared_are_refused_by_name() -> None:
    with pytest.raises(OperatorError, match=r"FS-212.*missing: loss.*auc, f1"):
        encode_scalars(
            params(), 1, NEITHER, {"rows": 1, "bins": [1, 2], "f1": 1.0, "auc": 1.0}
        )
    with pytest.raises(OperatorError, match=r"FS-212.*bins has 3 numbers.*2"):
        encode_scalars(params(), 1, NEITHER, {**GOOD, "bins": [1, 2, 3]})
    with pytest.raises(OperatorError, match=r"FS-212.*loss has 2 numbers.*1"):
        encode_scalars(params(), 1, NEITHER, {**GOOD, "loss": [1.0, 2.0]})


@pytest.mark.parametrize(
    "section",
    [
        [1, 0, 0, 0, 0, 1],  # two reports weigh at least 2
        [201, 0, 0, 0, 0, 200],  # and at most 2 * W
        [2**64 - 1, 0, 0, 0, 0, 2],
        [200, 3, 0, 0, 0, 200],  # more clipped than reported
        [200, 0, 1, 0, 0, 200],  # statistics were clipped, and there are none
        [200, 0, 0, 21, 0, 200],  # more clamped than there are numbers
        [200, 0, 0, 0, 3, 0],  # more could not measure than reported
        [200, 0, 0, 0, 0, 100],  # all measured, and not all weight is measured
        [200, 0, 0, 0, 1, 101],  # one report weighs at most W
        [100, 0, 0, 0, 1, 100],  # who could not measure weighs 1 at least
        [200, 0, 0, 0, 2, 1],  # nobody measured, and weighs
    ],
)
def test_counts_that_two_reports_cannot_have_are_refused(section: list[int]) -> None:
    with pytest.raises(PeerError, match="FS-725"):
        read_totals(params(), np.array([*section, 0, 0, 0, 0], np.uint64), 2)


def test_a_mean_metric_above_its_range_is_refused() -> None:
    sums = (200 * METRIC_STEPS + 1, 0, 0, 0)
    with pytest.raises(PeerError, match=r"FS-725.*loss"):
        decode_scalars(params(), Totals(300, 0, 0, 0, 1, 200, sums))


def test_a_sum_of_updates_beyond_all_clips_is_refused() -> None:
    round_ = params(1)
    most = int(round_.scale) + 1  # one report of full weight: C * S + 1, with C = 1
    zero = np.zeros(1, np.uint32)
    for x in (most, -most):
        share = np.array([x % 2**32], np.uint32)
        assert decode_tensor(round_, share, zero, 100, 1)[0] == x / round_.scale
    for x in (most + 1, -most - 1):
        share = np.array([x % 2**32], np.uint32)
        with pytest.raises(PeerError, match="FS-725"):
            decode_tensor(round_, share, zero, 100, 1)


APART = Statistics(80.0, ((1, 3), (5, 6)))


def test_statistics_and_what_is_trained_are_clipped_each_by_its_own() -> None:
    round_ = params(6, clip=5.0, statistics=APART)
    update = np.array([3.0, 96.0, -128.0, 4.0, 0.0, 0.0], np.float32)
    encoder = encoder_of(round_, update)
    assert (encoder.clipped, encoder.statistics_clipped) == (False, True)
    unit, steps = 80.0 / 5.0, round_.scale
    wanted = [3 * steps, 48 * steps / unit, -64 * steps / unit, 4 * steps, 0, 0]
    assert encoded(round_, update) == wanted
    assert decoded(round_, encoded(round_, update)) == [3, 48, -64, 4, 0, 0]


def test_a_long_part_leaves_the_other_part_as_it_is() -> None:
    round_ = params(6, clip=5.0, statistics=APART)
    update = np.array([3e9, 48.0, -64.0, 4e9, 0.0, 0.0], np.float32)
    encoder = encoder_of(round_, update)
    assert (encoder.clipped, encoder.statistics_clipped) == (True, False)
    assert decoded(round_, encoded(round_, update))[1:3] == [48, -64]


def decoded(round_: Params, integers: list[int]) -> list[float]:
    share = np.array([number % 2**32 for number in integers], np.uint32)
    return decode_tensor(round_, share, np.zeros_like(share), 100, 1).tolist()


@st.composite
def rounds_with_statistics(
    draw: st.DrawFn,
) -> tuple[Params, list[NDArray[np.float32]]]:
    dimension, n = draw(st.integers(2, 9)), draw(st.integers(1, 4))
    edges = draw(
        st.lists(st.integers(0, dimension), min_size=2, max_size=6, unique=True)
    )
    pairs = zip(*[iter(sorted(edges))] * 2, strict=False)
    clips = st.floats(2**-20, 2**20)
    statistics = Statistics(draw(clips), tuple((a, b) for a, b in pairs))
    round_ = Params.derive(dimension, (), n, draw(clips), 1, statistics)
    number = st.one_of(
        st.floats(width=32, allow_nan=False, allow_infinity=False),
        st.floats(-2.0, 2.0, width=32),
    )
    update = st.lists(number, min_size=dimension, max_size=dimension)
    drawn = [np.array(draw(update), np.float32) for _ in range(n)]
    return round_, drawn


@given(rounds_with_statistics())
def test_both_parts_are_within_half_a_step_of_themselves_and_cannot_wrap(
    drawn: tuple[Params, list[NDArray[np.float32]]],
) -> None:
    round_, updates = drawn
    assert round_.statistics is not None
    chosen = np.zeros(round_.dimension, bool)
    for begin, end in round_.statistics.ranges:
        chosen[begin:end] = True
    most = Fraction(round_.clip) * Fraction(round_.scale) + 1
    for update in updates:
        integers = encoded(round_, update, 1)
        assert max(map(abs, integers)) <= most
        for part, clip, unit in (
            (chosen, round_.statistics.clip, round_.statistics_unit),
            (~chosen, round_.clip, 1.0),
        ):
            wide = update[part].astype(np.float64)
            length = math.hypot(*wide) if wide.size else 0.0
            exact = wide * min(1.0, clip / length if length else 1.0)
            sent = np.array(integers)[part] / round_.scale * unit
            assert np.abs(sent - exact).max(initial=0.0) <= 0.505 / round_.scale * unit


def test_statistics_do_not_depend_on_where_the_update_is_cut() -> None:
    size = 600_000
    ranges = ((0, 5), (262_140, 262_150), (300_000, 599_999))
    round_ = params(size, statistics=Statistics(7.0, ranges))
    update = np.random.default_rng(1).standard_normal(size, np.float32)
    encoder = encoder_of(round_, update)
    whole, parts = np.empty((2, size), np.uint32)
    encoder.write(0, whole)
    for start, end in ((0, 7), (7, 262_151), (262_151, 300_001), (300_001, size)):
        encoder.write(start, parts[start:end])
    assert np.array_equal(whole, parts)
    zero = np.zeros(size, np.uint32)
    opened_ = decode_tensor(round_, whole, zero, 100, 1)
    inside = np.zeros(size, bool)
    for begin, end in ranges:
        inside[begin:end] = True
    for part, clip in ((inside, 7.0), (~inside, 1.0)):
        assert np.linalg.norm(opened_[part]) == pytest.approx(clip, rel=1e-3)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_statistics_that_are_not_finite_are_refused(bad: float) -> None:
    update = np.array([0.0, bad, 0.0, 0.0, 0.0, 0.0], np.float32)
    with pytest.raises(OperatorError, match="FS-210"):
        encoder_of(params(6, statistics=APART), update)
