"""A round's noise: sensitivity, sigma and scale, exactly; refusals that help."""

from fractions import Fraction

import pytest
from hypothesis import assume, given, strategies as st

from fedsecure.core.dp.accountant import rho_pico
from fedsecure.core.dp.sensitivity import Noise, Unit
from fedsecure.core.params import Params, Scalar, Statistics
from fedsecure.errors import FedsecureError, OperatorError, PeerError

dimensions = st.integers(min_value=1, max_value=10**7)
cohorts = st.integers(min_value=1, max_value=10**5)
clips = st.floats(min_value=2**-20, max_value=2**20)
shares = st.floats(min_value=2**-6, max_value=1)
multipliers = st.floats(min_value=2**-6, max_value=2**7)


def noise_of(
    unit_clip: float, multiplier: float, scalars: float = 1.0, unit: Unit = Unit.ROW
) -> Noise:
    return Noise(unit, unit_clip, multiplier, scalars, equal_weights=True)


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
    noise = noise_of(clip * share, multiplier)
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
    enough = (clip * share * 2.0**bits) ** 2 >= 128**2 * dimension
    assert enough or not fits(bits + 1, finer.sigma)


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
    noise = noise_of(1.0, 1.0)
    apart = derive(noise, statistics=Statistics(80.0, ((0, 5),)))
    assert apart.noise_steps is not None
    unit = 2**apart.fraction_bits
    d = apart.noise_steps.sensitivity
    # D = ceil(sqrt(2) S + sqrt(650)), and 25**2 < 650 < 26**2
    assert (d - 25) ** 2 > 2 * unit**2 > (d - 27) ** 2


def test_a_root_that_is_whole_is_not_rounded_up() -> None:
    params = derive(noise_of(1.0, 4.0), dimension=1024)
    assert params.noise_steps is not None
    assert params.noise_steps.sensitivity == 2**params.fraction_bits + 32
    assert params.noise_steps.sigma == 4 * params.noise_steps.sensitivity


def test_a_round_without_noise_is_as_it_was() -> None:
    params = derive(None)
    assert params == Params(650, (), 50, 1.0, 1, 25)
    assert params.noise is None
    assert params.noise_steps is None


def test_another_scale_than_the_noise_allows_is_refused() -> None:
    noise = noise_of(1.0, 4.0)
    good = derive(noise)
    for bits in (good.fraction_bits - 1, good.fraction_bits + 1, 25):
        with pytest.raises(
            PeerError, match=f"FS-203.*it must be .*{good.fraction_bits}"
        ):
            Params(650, (), 50, 1.0, 1, bits, noise=noise)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_numbers_that_are_not_positive_are_refused(value: float) -> None:
    with pytest.raises(PeerError, match=f"FS-200.*unit_clip is {value}"):
        noise_of(value, 1.0)
    with pytest.raises(PeerError, match=f"FS-200.*noise is {value}"):
        noise_of(1.0, value)


def test_the_largest_noise_is_named_and_accepted() -> None:
    with pytest.raises(PeerError, match=r"FS-200.*262144"):
        noise_of(1.0, 262144.5)
    assert noise_of(1.0, 262144.0).multiplier == 262144


def test_a_unit_clip_above_the_clip_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"FS-200.*unit_clip is 1.5.*clip, 1.0"):
        derive(noise_of(1.5, 1.0))


def test_other_weights_than_equal_ones_are_refused() -> None:
    with pytest.raises(FedsecureError, match="FS-208"):
        Noise(Unit.ROW, 1.0, 1.0, 1.0, equal_weights=False)


def test_the_largest_model_is_accepted_and_the_next_refused() -> None:
    noise = noise_of(1.0, 4.0)
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
        derive(noise_of(1.0, 300.0), dimension=10**6)


@pytest.mark.parametrize(("dimension", "bits"), [(0, -60), (650, -59)])
def test_a_clip_that_leaves_no_scale_at_all_is_refused_with_one_that_does(
    dimension: int, bits: int
) -> None:
    noise = noise_of(2.0**88, 2.0**6)
    with pytest.raises(OperatorError, match=r"FS-202.*noise 64.0.*at most 1.2e\+21"):
        derive(noise, dimension, max_reports=2, clip=2.0**88)
    smaller = noise_of(1.2e21, 2.0**6)
    params = derive(smaller, dimension, max_reports=2, clip=1.2e21)
    assert params.fraction_bits == bits


@given(
    st.integers(min_value=0, max_value=40),
    st.integers(min_value=1, max_value=60),
    st.floats(min_value=2**-6, max_value=2**9),
)
def test_scalars_have_the_finest_steps_that_there_is_noise_for(
    declared: int, size: int, multiplier: float
) -> None:
    scalars = tuple(
        Scalar(f"m{number}", 0.0, 1.0, size if number == 0 else 1)
        for number in range(declared)
    )
    round_ = noise_of(1.0, 1.0, multiplier)
    try:
        params = Params.derive(3, scalars, 4, 1.0, 1, noise=round_)
    except OperatorError as error:
        assume(error.code != "FS-207")
        raise
    steps, found = params.metric_steps, params.scalar_noise_steps
    assert found is not None
    bits = steps.bit_length() - 1
    assert steps == 2**bits
    unit, words = steps**2 * (declared + 2), params.scalar_count
    assert words <= (Fraction(35, 100) ** 2) * unit
    d = found.sensitivity  # the least with d >= sqrt(unit) + sqrt(words)
    assert d**2 - unit - words >= 0
    assert (d**2 - unit - words) ** 2 >= 4 * unit * words
    less = (d - 1) ** 2 - unit - words
    assert less < 0 or less**2 < 4 * unit * words
    assert found.sigma >= Fraction(multiplier) * d > found.sigma - 1
    assert found.sigma <= 2**18
    finer = round_.scalar_steps(bits + 1, declared, words)
    assert bits == 10 or finer.sigma > 2**18


def test_scalars_that_no_steps_are_fine_enough_for_are_refused() -> None:
    many = tuple(Scalar(f"m{number}", 0.0, 1.0, 64) for number in range(2))
    with pytest.raises(OperatorError, match=r"FS-207.*134 words of scalars"):
        Params.derive(3, many, 4, 1.0, 1, noise=noise_of(1.0, 1.0, 8000.0))


def test_a_round_costs_what_its_sections_cost_together() -> None:
    loss = Scalar("loss", 0.0, 4.0)
    noise = noise_of(1.0, 4.0, 30.0)
    train = Params.derive(650, (loss,), 4, 1.0, 1, noise=noise)
    evaluation = Params.derive(0, (loss,), 4, 1.0, 1, noise=noise)
    assert train.noise_steps is not None
    assert train.scalar_noise_steps == evaluation.scalar_noise_steps is not None
    tensor = rho_pico(train.noise_steps.sensitivity, train.noise_steps.sigma)
    scalars = rho_pico(
        evaluation.scalar_noise_steps.sensitivity, evaluation.scalar_noise_steps.sigma
    )
    assert (train.cost, evaluation.cost) == (tensor + scalars, scalars)
    # 1 / (2 z**2), and nothing is said to cost less than it does
    assert 10**12 / 32 >= tensor > 10**12 / 32 * 0.999
    assert derive(None).cost is None


def test_where_a_data_owner_is_protected_its_whole_clip_counts() -> None:
    owner = noise_of(1.0, 4.0, unit=Unit.DATA_OWNER)
    assert derive(owner).noise_steps == derive(noise_of(1.0, 4.0)).noise_steps
    for unit_clip in (0.5, 1.5):
        with pytest.raises(OperatorError, match=r"FS-200.*use the clip, 1.0"):
            derive(noise_of(unit_clip, 4.0, unit=Unit.DATA_OWNER))


def test_what_has_no_range_is_no_data_owners_to_tell() -> None:
    rows = Scalar("rows")
    assert Params.derive(0, (rows,), 4, 1.0, 1, noise=noise_of(1.0, 1.0)).cost
    owner = noise_of(1.0, 1.0, unit=Unit.DATA_OWNER)
    with pytest.raises(OperatorError, match=r"FS-205.*rows without a range"):
        Params.derive(0, (rows,), 4, 1.0, 1, noise=owner)


def test_noise_that_hides_nothing_is_refused() -> None:
    with pytest.raises(OperatorError, match=r"FS-200.*hides nothing"):
        derive(noise_of(1.0, 1e-3))
