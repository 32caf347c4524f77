"""What openings cost in privacy: an accountant of zero-concentrated privacy (zCDP).

One opening of a sum that one unit moves by at most D (L2), with discrete Gaussian noise
of sigma, costs

    rho = D**2 / (2 sigma**2)

and openings add up, however each was chosen by what the ones before had shown. All sums
are integers of 1e-12, each opening's rounded up (`rho_pico`), so that no party can have
another total than the next one, and no total is below the exact one. What people agree
on is epsilon at a delta, and

    epsilon = min over a > 1 of  rho a + ln(1 - 1/a) - (ln(delta) + ln(a)) / (a - 1)

holds for every a, so a minimum that is missed by a little costs a little, and promises
nothing wrong. The minimum is looked for among a - 1 = 2**(i / 1024), which misses it by
less than a part in 10**6; the value there is computed by decimal numbers of 50 digits
and rounded up.

Run by each aggregator and each agent before it agrees, by the model owner for planning,
and by whoever audits.

Neighbouring worlds: the openings of two worlds are compared that differ in one unit, a
row or all that a data owner holds, which in one of them adds nothing (zero-out). To
replace a unit by another costs 4 rho; who has rows at k data owners is protected with
k**2 rho.

Guarantee: with all openings of total cost rho, whoever sees them and one aggregator's
noise distinguishes two neighbouring worlds only as (epsilon(rho), delta)-differential
privacy allows ("one server corrupt"). Who sees no aggregator's noise faces both
noises, twice the variance, half of rho ("outsider").
Assumption: one aggregator adds its noise and tells nobody of it; the data owner's agent
clips what a unit adds. Nothing is claimed from sampling. The sampler's own distance
(`fedsecure.core.dp.sampler`) is to be added to delta: below 2**-60 for 10**10 draws at
an epsilon of up to 5.

Sources: Bun, Steinke, "Concentrated differential privacy", 2016 (arXiv 1605.02065), for
zCDP and its sums; Canonne, Kamath, Steinke, 2020 (arXiv 2004.00010), theorem 4 for the
discrete Gaussian and proposition 12 for epsilon.
"""

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from typing import Final

from fedsecure.core.integers import require_integer
from fedsecure.errors import PeerError

PICO: Final = 10**12  # rho_pico of a rho of 1
MOST_RHO_PICO: Final = 10**6 * PICO  # what `largest_rho` looks up to

_EXACT: Final = Context(prec=50)
_MILLION: Final = 10**6
_GRID: Final = 1024  # places for a - 1 from one power of two to the next
_LEAST, _MOST = -30 * _GRID, 50 * _GRID  # a - 1 is 2**-30 to 2**50


@dataclass(frozen=True, slots=True)
class Epsilons:
    """What one total cost means, by who looks.

    Args:
        one_server_corrupt: Epsilon for who knows the noise of one aggregator.
        outsider: Epsilon for who knows neither's.
    """

    one_server_corrupt: float
    outsider: float


def rho_pico(sensitivity: int, sigma: int) -> int:
    """Return what one opening costs, in 1e-12, rounded up.

    Args:
        sensitivity: D, the largest L2 distance by which one unit moves the sum, in
            steps.
        sigma: Of one aggregator's noise, in steps.

    Raises:
        PeerError: FS-200 for a number that is no integer, or is out of range.
    """
    require_integer("sensitivity", sensitivity, at_least=0)
    require_integer("sigma", sigma, at_least=1)
    return math.ceil(Fraction(PICO * sensitivity**2, 2 * sigma**2))


def epsilon(rho: int, delta: float) -> float:
    """Return the epsilon that a total cost means at delta; never less than it is.

    Args:
        rho: The total, in 1e-12.
        delta: The probability that is left to chance; above 0, below 1.

    Raises:
        PeerError: FS-200 for a number out of range.
    """
    require_integer("rho_pico", rho, at_least=0)
    _require_delta(delta)
    if rho == 0:
        return 0.0
    index = _minimum(rho / PICO, math.log(delta))
    return max(0.0, _rounded_up(_exactly(rho, delta, index)))


def epsilons(rho: int, delta: float) -> Epsilons:
    """Return both numbers to show for a total cost, in 1e-12.

    Raises:
        PeerError: FS-200 for a number out of range.
    """
    return Epsilons(epsilon(rho, delta), epsilon(-(-rho // 2), delta))


def recorded_epsilons(rho: int, delta: float) -> Epsilons:
    """Return both numbers as records keep them: rounded up to a millionth.

    So an audit on another machine, whose logarithms differ in their last digits, has
    the same ones.

    Args:
        rho: The total, in 1e-12.
        delta: The probability that is left to chance.

    Raises:
        PeerError: FS-200 for a number out of range.
    """
    exact = epsilons(rho, delta)
    one, outsider = exact.one_server_corrupt, exact.outsider
    return Epsilons(_to_a_millionth(one), _to_a_millionth(outsider))


def largest_rho(epsilon_limit: float, delta: float) -> int:
    """Return the largest total cost, in 1e-12, that keeps to a budget.

    Args:
        epsilon_limit: Of the budget; above 0.
        delta: Of the budget.

    Raises:
        PeerError: FS-200 for a number out of range.
    """
    if not 0 < epsilon_limit < math.inf:
        raise PeerError(
            "FS-200", f"epsilon is {epsilon_limit}; use a finite number above 0"
        )
    low, high = 0, MOST_RHO_PICO + 1
    while high - low > 1:
        middle = (low + high) // 2
        within = epsilon(middle, delta) <= epsilon_limit
        low, high = (middle, high) if within else (low, middle)
    return low


def multiplier(rho: int, openings: int) -> float:
    """Return the least z with which so many openings cost at most rho together.

    Run by the model owner, for planning. sigma is z times the sensitivity or a little
    more, so no opening costs more than 1 / (2 z**2).

    Args:
        rho: What all openings may cost, in 1e-12.
        openings: How many.

    Raises:
        PeerError: FS-200 for a number out of range, or too little for one opening.
    """
    require_integer("openings", openings, at_least=1)
    require_integer("rho_pico", rho, at_least=openings)
    square = Fraction(PICO, 2 * (rho // openings))
    z = math.sqrt(square)
    while Fraction(z) ** 2 < square:
        z = math.nextafter(z, math.inf)
    return z


def _require_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise PeerError("FS-200", f"delta is {delta}; use a number above 0, below 1")


def _minimum(rho: float, log_delta: float) -> int:
    """Return where on the grid epsilon is least: it falls up to there, then rises."""

    def value(index: int) -> float:
        b = math.exp2(index / _GRID)  # a - 1
        return rho * (1 + b) - math.log1p(1 / b) - (log_delta + math.log1p(b)) / b

    low, high = _LEAST, _MOST
    while low < high:
        middle = (low + high) // 2
        falls = value(middle + 1) < value(middle)
        low, high = (middle + 1, high) if falls else (low, middle)
    return low


def _exactly(rho: int, delta: float, index: int) -> Decimal:
    """Return epsilon for one place of the grid, to about 45 digits."""
    b = Decimal(math.exp2(index / _GRID))
    a = _EXACT.add(b, 1)
    logs = _EXACT.ln(Decimal(delta)) + _EXACT.ln(a)
    first = _EXACT.divide(_EXACT.multiply(Decimal(rho), a), Decimal(PICO))
    second = _EXACT.ln(_EXACT.divide(b, a))
    third = _EXACT.divide(logs, b)
    return _EXACT.subtract(_EXACT.add(first, second), third)


def _rounded_up(number: Decimal) -> float:
    """Return the least float that is surely not below a number of 45 good digits."""
    slack = Context(prec=40, rounding=ROUND_CEILING).plus(number)
    nearest = float(slack)
    below = Decimal(nearest) < slack
    return math.nextafter(nearest, math.inf) if below else nearest


def _to_a_millionth(number: float) -> float:
    return math.ceil(number * _MILLION) / _MILLION
