"""The accountant: whole numbers that add up, never less than what was spent."""

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from dp_accounting import GaussianDpEvent, NeighboringRelation
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings, strategies as st

from fedsecure.core.dp.accountant import (
    PICO,
    epsilon,
    epsilons,
    largest_rho,
    multiplier,
    rho_pico,
)
from fedsecure.errors import PeerError
from tests.vectors import noise_reference

sensitivities = st.integers(min_value=0, max_value=2**31)
sigmas = st.integers(min_value=1, max_value=2**18)
totals = st.integers(min_value=0, max_value=1000 * PICO)
deltas = st.floats(min_value=1e-30, max_value=0.1)


@given(sensitivities, sigmas)
def test_a_cost_is_the_exact_one_rounded_up_to_the_next_whole(
    sensitivity: int, sigma: int
) -> None:
    exact = Fraction(sensitivity**2, 2 * sigma**2) * PICO
    assert exact <= rho_pico(sensitivity, sigma) < exact + 1


@given(st.lists(st.tuples(sensitivities, sigmas), max_size=8))
def test_a_sum_of_costs_is_never_below_the_exact_sum(
    openings: list[tuple[int, int]],
) -> None:
    exact = sum((Fraction(d**2, 2 * s**2) for d, s in openings), Fraction(0))
    charged = sum(rho_pico(*one) for one in openings)
    assert exact * PICO <= charged < exact * PICO + max(1, len(openings))


@given(sensitivities, sigmas)
def test_a_larger_sensitivity_or_less_noise_never_costs_less(
    d: int, sigma: int
) -> None:
    assert rho_pico(d, sigma) <= rho_pico(d + 1, sigma)
    assert rho_pico(d, sigma + 1) <= rho_pico(d, sigma)


@given(totals, st.integers(min_value=0, max_value=PICO), deltas)
def test_epsilon_grows_with_what_was_spent(rho: int, more: int, delta: float) -> None:
    assert epsilon(rho, delta) <= epsilon(rho + more, delta)


@given(totals, deltas, deltas)
def test_epsilon_falls_as_delta_grows(rho: int, one: float, other: float) -> None:
    assert epsilon(rho, max(one, other)) <= epsilon(rho, min(one, other))


@settings(max_examples=25)
@given(totals, deltas)
def test_epsilon_is_never_below_the_exact_one_and_hardly_above(
    rho: int, delta: float
) -> None:
    exact = noise_reference.epsilon(rho, delta) if rho else Decimal(0)
    found = Decimal(epsilon(rho, delta))
    assert (
        exact - Decimal("1e-25")
        <= found
        <= exact * (1 + Decimal("1e-6")) + Decimal("1e-9")
    )


@given(totals, deltas)
def test_an_outsider_learns_what_half_the_cost_means(rho: int, delta: float) -> None:
    both = epsilons(rho, delta)
    assert both.one_server_corrupt == epsilon(rho, delta)
    assert epsilon(rho // 2, delta) <= both.outsider <= both.one_server_corrupt
    assert both.outsider == epsilon(math.ceil(Fraction(rho, 2)), delta)


def test_nothing_spent_is_epsilon_zero() -> None:
    assert epsilon(0, 1e-5) == 0
    assert epsilons(0, 1e-5).outsider == 0


@settings(max_examples=30)
@given(st.floats(min_value=1e-3, max_value=100), deltas)
def test_the_largest_cost_within_a_budget_is_found(limit: float, delta: float) -> None:
    most = largest_rho(limit, delta)
    assert epsilon(most, delta) <= limit < epsilon(most + 1, delta)


@given(
    st.integers(min_value=1, max_value=PICO),
    st.integers(min_value=1, max_value=10**4),
    st.integers(min_value=1, max_value=2**18),
)
def test_openings_with_the_planned_noise_keep_to_what_they_may_cost(
    each: int, openings: int, sensitivity: int
) -> None:
    budget = each * openings + openings // 2
    z = multiplier(budget, openings)
    sigma = math.ceil(Fraction(z) * sensitivity)
    assert openings * rho_pico(sensitivity, sigma) <= budget


@given(st.integers(min_value=1, max_value=PICO))
def test_the_planned_noise_is_the_least(rho: int) -> None:
    z = Fraction(multiplier(rho, 1))
    assert PICO / (2 * z**2) <= rho
    below = Fraction(math.nextafter(float(z), 0.0))
    assert PICO / (2 * below**2) > rho


@pytest.mark.parametrize("delta", [1e-5, 1e-6, 1e-9])
@pytest.mark.parametrize("openings", [1, 20, 100, 1000])
@pytest.mark.parametrize("z", [1, 2, 4, 10, 40])
def test_epsilon_agrees_with_dp_accounting(z: int, openings: int, delta: float) -> None:
    accountant = RdpAccountant(
        orders=[1 + 2 ** (place / 32) for place in range(-320, 640)],
        neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE,
    )
    accountant.compose(GaussianDpEvent(z), openings)
    found = epsilon(openings * rho_pico(1, z), delta)
    assert found == pytest.approx(accountant.get_epsilon(delta), rel=0.001)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5, math.nan])
def test_a_delta_that_is_no_probability_is_refused_with_its_value(delta: float) -> None:
    with pytest.raises(PeerError, match=f"FS-200.*delta is {delta}"):
        epsilon(1, delta)


def test_a_budget_that_is_too_small_for_its_openings_is_refused() -> None:
    with pytest.raises(PeerError, match=r"FS-200.*rho_pico is 9.*>= 10"):
        multiplier(9, 10)
