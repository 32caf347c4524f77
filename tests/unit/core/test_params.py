"""Parameters: the finest fixed point that cannot wrap, and refusals that help."""

import math
import re
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from fedsecure.core.modulus import SUITES, suite
from fedsecure.core.params import METRIC_STEPS, Params, Scalar
from fedsecure.errors import FedsecureError, OperatorError, PeerError

clips = st.floats(min_value=2**-30, max_value=2**60)
cohorts = st.integers(min_value=1, max_value=100_000)


def derive(
    max_reports: int = 4, clip: float = 1.0, weight_cap: int = 1, dimension: int = 4
) -> Params:
    return Params.derive(dimension, (), max_reports, clip, weight_cap)


@given(clips, cohorts)
def test_scale_is_the_largest_power_of_two_that_cannot_wrap(
    clip: float, max_reports: int
) -> None:
    params = derive(max_reports, clip)
    steps = Fraction(clip) * Fraction(params.scale)
    assert max_reports * (steps + 1) < 2**31
    assert max_reports * (2 * steps + 1) >= 2**31
    assert steps >= 2**12


@given(clips, cohorts, st.sampled_from([-60, -1, 1, 60]))
def test_every_other_scale_is_refused(
    clip: float, max_reports: int, error: int
) -> None:
    good = derive(max_reports, clip)
    with pytest.raises(PeerError, match="FS-203"):
        Params(4, (), max_reports, clip, 1, good.fraction_bits + error)


@pytest.mark.parametrize("clip", [math.nan, math.inf, -math.inf, 0.0, -1.0])
def test_a_clip_that_is_no_positive_number_is_refused(clip: float) -> None:
    with pytest.raises(OperatorError, match="FS-200"):
        derive(clip=clip)
    with pytest.raises(PeerError, match="FS-200"):
        Params(4, (), 4, clip, 1, 28)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("dimension", -1),
        ("max_reports", 0),
        ("max_reports", True),
        ("weight_cap", 0),
        ("weight_cap", 1.0),
        ("weight_cap", math.nan),
    ],
)
def test_a_number_that_must_be_an_integer_in_range_is_refused(
    field: str, value: int
) -> None:
    with pytest.raises(OperatorError, match=f"FS-200.*{field}"):
        derive(**{field: value})


def test_the_largest_cohort_named_in_a_refusal_is_accepted() -> None:
    with pytest.raises(OperatorError, match="FS-201") as caught:
        derive(max_reports=10**6)
    most = int(caught.value.detail.rpartition("at most ")[2])
    for clip in (0.1, 1.0, math.nextafter(2.0, 0.0), 2.0, 3.0):
        assert derive(max_reports=most, clip=clip).scale * clip >= 2**12


@pytest.mark.parametrize("clip", [5e-324, 1e-10, 1e30, 1.7e308])
def test_the_range_of_clips_named_in_a_refusal_is_accepted(clip: float) -> None:
    with pytest.raises(OperatorError, match="FS-202") as caught:
        derive(clip=clip)
    low, high = re.findall(r"2\*\*(-?\d+) \(", caught.value.detail)
    for named in (2.0 ** int(low), 2.0 ** int(high)):
        assert derive(clip=named).clip == named


def test_the_weight_cap_named_in_a_refusal_is_the_largest() -> None:
    with pytest.raises(OperatorError, match="FS-204") as caught:
        derive(max_reports=7, weight_cap=2**40)
    named = re.search(r"weight cap <= (\d+)", caught.value.detail)
    assert named is not None
    most = int(named[1])
    assert 7 * most * METRIC_STEPS < 2**64 <= 7 * (most + 1) * METRIC_STEPS
    assert derive(max_reports=7, weight_cap=most).weight_cap == most
    with pytest.raises(OperatorError, match="FS-204"):
        derive(max_reports=7, weight_cap=most + 1)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1.0, 1.0),
        (2.0, 1.0),
        (math.nan, 1.0),
        (0.0, math.nan),
        (0.0, math.inf),
        (-1.7e308, 1.7e308),
        (None, 1.0),
        (0.0, None),
    ],
)
def test_a_range_that_is_not_low_to_high_is_refused(
    low: float | None, high: float | None
) -> None:
    with pytest.raises(PeerError, match="FS-205"):
        Scalar("loss", low, high)


@pytest.mark.parametrize("name", ["", "weight", "clipped", "clamped", "undefined"])
def test_names_that_core_uses_itself_are_refused(name: str) -> None:
    with pytest.raises(PeerError, match="FS-205"):
        Scalar(name)


@pytest.mark.parametrize("size", [0, -1, True, 2**17 + 1])
def test_a_vector_of_scalars_has_a_sensible_size(size: int) -> None:
    with pytest.raises(PeerError, match="FS-205"):
        Scalar("bins", size=size)


def test_scalars_have_different_names_and_fit_one_piece_of_key_stream() -> None:
    with pytest.raises(FedsecureError, match=r"FS-205.*loss"):
        Params.derive(4, (Scalar("loss"), Scalar("loss", 0.0, 1.0)), 4, 1.0, 1)
    with pytest.raises(FedsecureError, match=r"FS-205.*131078"):
        Params.derive(4, (Scalar("bins", size=2**17),), 4, 1.0, 1)


def test_an_unknown_suite_is_refused_with_those_that_are_known() -> None:
    assert suite("sum32") is SUITES["sum32"]
    with pytest.raises(PeerError, match=r"FS-206.*'sum8'.*sum32"):
        suite("sum8")
