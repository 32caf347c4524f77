"""Encoding: clip, fixed point, counts and metrics, and what is out of range."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from fedsecure.core.encoding import (
    Metrics,
    TensorEncoder,
    Totals,
    decode_scalars,
    decode_tensor,
    encode_scalars,
    norm,
    read_totals,
)
from fedsecure.core.params import METRIC_STEPS, Params, Scalar
from fedsecure.errors import OperatorError, PeerError

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
    """The scalars section without its three counts, and the clamp count."""
    section = encode_scalars(params(), weight, False, GOOD | metrics)  # type: ignore[operator]
    return section[3:].tolist(), int(section[2])


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
        (-math.inf, 0, 1),
        (math.inf, METRIC_STEPS, 1),
        (math.nan, 0, 1),
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
        (math.nan, 0, 1),
        ((2**64 - 1) // 3, (2**64 - 1) // 3, 0),
        (2**64 - 1, (2**64 - 1) // 3, 1),
        (math.inf, (2**64 - 1) // 3, 1),
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
    section = encode_scalars(params(), weight, True, GOOD)
    assert section[:3].tolist() == [counted, 1, moved]


def test_every_clamped_number_is_counted() -> None:
    _, count = clamped(weight=0, loss=math.nan, rows=-1, bins=[-1, 2.5])
    assert count == 5


@given(st.lists(st.tuples(st.integers(1, 100), st.floats(-2.0, 8.0)), min_size=1))
def test_an_opened_metric_is_the_weighted_mean_to_half_a_step(
    reports: list[tuple[int, float]],
) -> None:
    round_ = params(max_reports=len(reports))
    sections = [
        encode_scalars(round_, weight, False, {**GOOD, "loss": loss})
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
            params(), 1, False, {"rows": 1, "bins": [1, 2], "f1": 1.0, "auc": 1.0}
        )
    with pytest.raises(OperatorError, match=r"FS-212.*bins has 3 numbers.*2"):
        encode_scalars(params(), 1, False, {**GOOD, "bins": [1, 2, 3]})
    with pytest.raises(OperatorError, match=r"FS-212.*loss has 2 numbers.*1"):
        encode_scalars(params(), 1, False, {**GOOD, "loss": [1.0, 2.0]})


@pytest.mark.parametrize(
    "section",
    [
        [1, 0, 0, 0, 0, 0, 0],  # two reports weigh at least 2
        [201, 0, 0, 0, 0, 0, 0],  # and at most 2 * W
        [2**64 - 1, 0, 0, 0, 0, 0, 0],
        [200, 3, 0, 0, 0, 0, 0],  # more clipped than reported
        [200, 0, 15, 0, 0, 0, 0],  # more clamped than there are numbers
    ],
)
def test_counts_that_two_reports_cannot_have_are_refused(section: list[int]) -> None:
    with pytest.raises(PeerError, match="FS-725"):
        read_totals(params(), np.array(section, np.uint64), 2)


def test_a_mean_metric_above_its_range_is_refused() -> None:
    sums = (200 * METRIC_STEPS + 1, 0, 0, 0)
    with pytest.raises(PeerError, match=r"FS-725.*loss"):
        decode_scalars(params(), Totals(200, 0, 0, sums))


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
