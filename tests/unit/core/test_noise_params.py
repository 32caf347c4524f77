"""A round's noise: sensitivity, sigma and scale, exactly; refusals that help."""

from fractions import Fraction

import pytest
from hypothesis import assume, given, strategies as st

from fedsecure.core.fixed_point import Noise
from fedsecure.core.params import Params, Statistics
from fedsecure.errors import FedsecureError, OperatorError, PeerError

dimensions = st.integers(min_value=1, max_value=10**7)
cohorts = st.integers(min_value=1, max_value=10**5)
clips = st.floats(min_value=2**-20, max_value=2**20)
shares = st.floats(min_value=2**-6, max_value=1)
multipliers = st.floats(min_value=2**-10, max_value=2**7)


def derive(
    noise: Noise | None,
    dimension: int = 650,
    max_reports: int = 50,
    clip: float = 1.0,
    statistics: Statistics | None = None,
) -> Params:
    return Params.derive(
        dimension, (), max_reports, clip, 1, statistics=statistics, noise=noise
    )


def derived(
    dimension: int, max_reports: int, clip: float, share: float, multiplier: float
) -> Params:
    """Parameters, unless the model is too large for them."""
    noise = Noise(clip * share, multiplier, equal_weights=True)
    try:
        return derive(noise, dimension, max_reports, clip)
    except OperatorError as error:
        assume(error.code != "FS-207")
        raise


@given(dimensions, cohorts, clips, shares, multipliers)
def test_sum_and_noise_fit_and_no_finer_scale_does(
    dimension: int, max_reports: int, clip: float, share: float, multiplier: float
) -> None:
    params = derived(dimension, max_reports, clip, share, multiplier)
    assert params.noise is not None
    assert params.noise_steps is not None

    def fits(bits: int, sigma: int) -> bool:
        steps = max_reports * (Fraction(clip) * Fraction(2) ** bits + 1)
        room = 2**31 - steps
        return sigma <= 2**18 and room > 0 and room**2 > 162 * sigma**2

    bits = params.fraction_bits
    assert fits(bits, params.noise_steps.sigma)
    finer = params.noise.steps(bits + 1, dimension, 1)
    assert not fits(bits + 1, finer.sigma)


@given(dimensions, cohorts, clips, shares, multipliers)
def test_sensitivity_and_sigma_are_the_least_integers_that_suffice(
    dimension: int, max_reports: int, clip: float, share: float, multiplier: float
) -> None:
    params = derived(dimension, max_reports, clip, share, multiplier)
    assert params.noise_steps is not None
    unit = Fraction(clip * share) * Fraction(2) ** params.fraction_bits
    d, sigma = params.noise_steps.sensitivity, params.noise_steps.sigma
    assert d >= unit
    assert (d - unit) ** 2 >= dimension
    assert d - 1 < unit or (d - 1 - unit) ** 2 < dimension
    assert sigma >= Fraction(multiplier) * d > sigma - 1


@given(dimensions, cohorts, clips, shares, multipliers)
def test_rounding_never_costs_more_than_allowed(
    dimension: int, max_reports: int, clip: float, share: float, multiplier: float
) -> None:
    params = derived(dimension, max_reports, clip, share, multiplier)
    unit = Fraction(clip * share) * Fraction(2) ** params.fraction_bits
    assert dimension <= (Fraction(35, 100) * unit) ** 2


def test_statistics_of_their_own_clip_make_a_unit_move_the_sum_further() -> None:
    noise = Noise(1.0, 1.0, equal_weights=True)
    apart = derive(noise, statistics=Statistics(80.0, ((0, 5),)))
    assert apart.noise_steps is not None
    unit = 2**apart.fraction_bits
    d = apart.noise_steps.sensitivity
    # D = ceil(sqrt(2) S + sqrt(650)), and 25**2 < 650 < 26**2
    assert (d - 25) ** 2 > 2 * unit**2 > (d - 27) ** 2


def test_a_root_that_is_whole_is_not_rounded_up() -> None:
    params = derive(Noise(1.0, 4.0, equal_weights=True), dimension=1024)
    assert params.noise_steps is not None
    assert params.noise_steps.sensitivity == 2**params.fraction_bits + 32
    assert params.noise_steps.sigma == 4 * params.noise_steps.sensitivity


def test_a_round_without_noise_is_as_it_was() -> None:
    params = derive(None)
    assert params == Params(650, (), 50, 1.0, 1, 25)
    assert params.noise is None
    assert params.noise_steps is None


def test_another_scale_than_the_noise_allows_is_refused() -> None:
    noise = Noise(1.0, 4.0, equal_weights=True)
    good = derive(noise)
    for bits in (good.fraction_bits - 1, good.fraction_bits + 1, 25):
        with pytest.raises(
            PeerError, match=f"FS-203.*it must be .*{good.fraction_bits}"
        ):
            Params(650, (), 50, 1.0, 1, bits, noise=noise)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_numbers_that_are_not_positive_are_refused(value: float) -> None:
    with pytest.raises(PeerError, match=f"FS-200.*unit_clip is {value}"):
        Noise(value, 1.0, equal_weights=True)
    with pytest.raises(PeerError, match=f"FS-200.*noise is {value}"):
        Noise(1.0, value, equal_weights=True)


def test_the_largest_noise_is_named_and_accepted() -> None:
    with pytest.raises(PeerError, match=r"FS-200.*262144"):
        Noise(1.0, 262144.5, equal_weights=True)
    assert Noise(1.0, 262144.0, equal_weights=True).multiplier == 262144


def test_a_unit_clip_above_the_clip_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"FS-200.*unit_clip is 1.5.*clip, 1.0"):
        derive(Noise(1.5, 1.0, equal_weights=True))


def test_other_weights_than_equal_ones_are_refused() -> None:
    with pytest.raises(FedsecureError, match="FS-208"):
        Noise(1.0, 1.0, equal_weights=False)


def test_the_largest_model_is_accepted_and_the_next_refused() -> None:
    noise = Noise(1.0, 4.0, equal_weights=True)
    bits = 15  # S = 2**15, so sqrt(d) is at most 11468.8
    most = int((0.35 * 2**bits) ** 2)
    assert derive(noise, dimension=most).fraction_bits == bits
    with pytest.raises(OperatorError, match="FS-207") as caught:
        derive(noise, dimension=most + 1)
    assert "1.147e+04" in caught.value.detail
    assert f"{most + 1} parameters" in caught.value.detail


def test_a_model_that_no_scale_fits_is_refused_by_what_a_smaller_one_would_have() -> (
    None
):
    with pytest.raises(OperatorError, match=r"FS-207.*1000 steps.*179.2.*0.35"):
        derive(Noise(1.0, 300.0, equal_weights=True), dimension=10**6)


@pytest.mark.parametrize("dimension", [0, 650])
def test_a_clip_that_leaves_no_scale_at_all_is_refused_with_one_that_does(
    dimension: int,
) -> None:
    noise = Noise(2.0**88, 2.0**6, equal_weights=True)
    with pytest.raises(OperatorError, match=r"FS-202.*noise 64.0.*at most 1.2e\+21"):
        derive(noise, dimension, max_reports=2, clip=2.0**88)
    smaller = Noise(1.2e21, 2.0**6, equal_weights=True)
    assert derive(smaller, dimension, max_reports=2, clip=1.2e21).fraction_bits == -59
