"""What a round's parties agree on, and why its sum cannot wrap.

With clip C, weight cap W, n_max data owners and scale S = 2**f, one report holds for
each coordinate an integer x with |x| <= C * S + 1 (`fedsecure.core.encoding`), and

    n_max * (C * S + 1) < 2**31        so no sum of up to n_max reports wraps;
    n_max * W * 2**24   < 2**64        the same for weighted metrics.

Coordinates that are statistics have a clip of their own, C', and are sent in units of
C' / C: so the same bound holds for them, with the same S.

f is the largest integer for which the first holds. It is a field of the signed spec
all the same, and every party computes it again in exact rational arithmetic: nobody
rounds with a scale that another party only claims to be safe. With noise f is smaller
(`fedsecure.core.fixed_point`), so that the noise fits beside the sum, and so are the
steps of scalars (`fedsecure.core.dp.sensitivity`).

    >>> params = Params.derive(10, (), max_reports=4, clip=1.0, weight_cap=1)
    >>> params.fraction_bits
    28
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from fedsecure.core.dp.accountant import rho_pico
from fedsecure.core.dp.sensitivity import Noise, NoiseSteps, Unit
from fedsecure.core.fixed_point import fraction_bits, noisy_fraction_bits
from fedsecure.core.integers import require_integer
from fedsecure.core.layout import CHUNK, Layout
from fedsecure.core.modulus import SCALARS, SUM32, Modulus
from fedsecure.errors import OperatorError, PeerError

METRIC_STEPS: Final = 2**24  # a metric's range is cut into so many steps, without noise
COUNTS: Final = (  # the scalars that core itself fills
    "weight",
    "clipped",
    "statistics-clipped",
    "clamped",
    "undefined",
    "measured",
)
MAX_SCALARS: Final = CHUNK // SCALARS.word_bytes  # so they need one piece of key stream

MOST_COST: Final = 2**53 - 1  # in 1e-12: what canonical JSON carries exactly

_MOST_RATIO: Final = 2.0**60  # of both clips

Range: TypeAlias = tuple[int, int]  # of coordinates: the first, and one past the last


@dataclass(frozen=True, slots=True)
class Statistics:
    """Which coordinates are statistics, such as moving averages, and their own clip.

    They are in other units than what is trained: in one norm with it, either would
    decide how much of the other is sent.

    Args:
        clip: C', the largest L2 norm of their part of an update, in their units.
        ranges: Ascending, none empty, none next to another.
    """

    clip: float
    ranges: tuple[Range, ...]

    def within(self, start: int, size: int) -> Iterator[slice]:
        """Yield where statistics lie in a piece of `size` coordinates from `start`."""
        first = bisect_right(self.ranges, start, key=lambda one: one[1])
        for begin, end in self.ranges[first:]:
            if begin >= start + size:
                return
            yield slice(max(begin - start, 0), min(end - start, size))

    def others(self, dimension: int) -> Iterator[Range]:
        """Yield the ranges of all other coordinates."""
        begins = [0, *(end for _, end in self.ranges)]
        ends = [*(begin for begin, _ in self.ranges), dimension]
        yield from (one for one in zip(begins, ends, strict=True) if one[0] < one[1])


@dataclass(frozen=True, slots=True)
class Scalar:
    """One declared number beside the update, or a vector of `size` such numbers.

    With a range low < high it is a metric: opened as the mean, weighted as the update
    is. Without one it is a count: a non-negative integer, opened as the exact sum.

    Raises:
        PeerError: FS-205 when name, range or size make no sense.
    """

    name: str
    low: float | None = None
    high: float | None = None
    size: int = 1

    def __post_init__(self) -> None:
        if not self.name or self.name in COUNTS:
            raise PeerError("FS-205", f"{self.name!r} cannot name a scalar")
        if not (type(self.size) is int and 1 <= self.size <= MAX_SCALARS):
            raise PeerError(
                "FS-205", f"{self.name} has size {self.size}, not 1 to {MAX_SCALARS}"
            )
        if (self.low, self.high) != (None, None):
            self._require_range()

    @property
    def is_count(self) -> bool:
        """Tell a count from a metric."""
        return self.low is None

    def _require_range(self) -> None:
        low, high = self.low, self.high
        if low is None or high is None or not 0 < high - low < math.inf:
            raise PeerError(
                "FS-205", f"{self.name} has range {low} to {high}, not low < high"
            )


@dataclass(frozen=True, slots=True)
class Params:
    """The public numbers of one round; the same at every party.

    Args:
        dimension: d, the update's length; 0 in evaluation rounds.
        scalars: Declared scalars, after the counts of `COUNTS`.
        max_reports: n_max, the cohort's size.
        clip: C, the largest L2 norm of an update, in model units.
        weight_cap: W, the largest weight.
        fraction_bits: f; S = 2**f steps to one model unit.
        statistics: Coordinates with a clip of their own; None: all have C together.
        modulus: Of the update; scalars are always mod 2**64.
        noise: What each aggregator adds; None: nothing.

    Raises:
        PeerError: FS-200 to FS-205, FS-207 and FS-213, with the numbers and what would
            be allowed.
    """

    dimension: int
    scalars: tuple[Scalar, ...]
    max_reports: int
    clip: float
    weight_cap: int
    fraction_bits: int
    statistics: Statistics | None = None
    modulus: Modulus = SUM32
    noise: Noise | None = None

    def __post_init__(self) -> None:
        require_integer("dimension", self.dimension, at_least=0)
        require_integer("max_reports", self.max_reports, at_least=1)
        require_integer("weight_cap", self.weight_cap, at_least=1)
        _require_scalars(self.scalars)
        _require_weights_fit(self.max_reports, self.weight_cap)
        bits = _bits(
            self.dimension,
            self.max_reports,
            self.clip,
            self.statistics,
            self.modulus,
            self.noise,
        )
        if self.fraction_bits != bits:
            raise PeerError(
                "FS-203",
                f"the round says 2**{self.fraction_bits}, it must be 2**{bits}",
            )
        _require_statistics(self.statistics, self.clip, self.dimension)
        _require_noise(self)

    @classmethod
    def derive(  # noqa: PLR0913, PLR0917 - a round's public numbers are that many
        cls,
        dimension: int,
        scalars: tuple[Scalar, ...],
        max_reports: int,
        clip: float,
        weight_cap: int,
        statistics: Statistics | None = None,
        modulus: Modulus = SUM32,
        noise: Noise | None = None,
    ) -> "Params":
        """Choose the finest fixed point that cannot wrap. Run by the model owner.

        Raises:
            OperatorError: FS-200 to FS-205, FS-207 and FS-213, as for `Params`: these
                are own numbers.
        """
        try:
            return cls(
                dimension,
                scalars,
                max_reports,
                clip,
                weight_cap,
                _bits(dimension, max_reports, clip, statistics, modulus, noise),
                statistics,
                modulus,
                noise,
            )
        except PeerError as error:
            raise OperatorError(error.code, error.detail) from error

    @property
    def scale(self) -> float:
        """S, the steps of the fixed point to one model unit; a power of two."""
        return math.ldexp(1.0, self.fraction_bits)

    @property
    def noise_steps(self) -> NoiseSteps | None:
        """D and sigma, in steps of the fixed point; None without noise."""
        if self.noise is None:
            return None
        parts = _parts(self.statistics)
        return self.noise.steps(self.fraction_bits, self.dimension, parts)

    @property
    def metric_steps(self) -> int:
        """T, the steps of a metric's range, and of a count of 1; a power of two."""
        if self.noise is None:
            return METRIC_STEPS
        return 1 << self.noise.scalar_bits(len(self.scalars), self.scalar_count)

    @property
    def scalar_noise_steps(self) -> NoiseSteps | None:
        """D_s and sigma_s, in steps of the scalars; None without noise."""
        if self.noise is None:
            return None
        bits = self.metric_steps.bit_length() - 1
        return self.noise.scalar_steps(bits, len(self.scalars), self.scalar_count)

    @property
    def cost(self) -> int | None:
        """What opening the round costs a member of its set, in 1e-12 of rho.

        None without noise: then no total means anything. Computed by everybody alike.
        """
        sections = [self.scalar_noise_steps]
        if self.dimension:
            sections.append(self.noise_steps)
        costs = [rho_pico(one.sensitivity, one.sigma) for one in sections if one]
        return sum(costs) if costs else None

    @property
    def statistics_unit(self) -> float:
        """C' / C, in which statistics are sent; 1 without any."""
        return self.statistics.clip / self.clip if self.statistics else 1.0

    @property
    def scalar_count(self) -> int:
        """k, the words of the scalars section: those of `COUNTS` and all declared."""
        return len(COUNTS) + sum(scalar.size for scalar in self.scalars)

    @property
    def layout(self) -> Layout:
        """Where a vector input share and an aggregate share hold their numbers."""
        return Layout(self.dimension, self.scalar_count, self.modulus)


def _bits(
    dimension: int,
    max_reports: int,
    clip: float,
    statistics: Statistics | None,
    modulus: Modulus,
    noise: Noise | None,
) -> int:
    if noise is None:
        return fraction_bits(modulus, max_reports, clip)
    parts = _parts(statistics)
    return noisy_fraction_bits(modulus, max_reports, clip, noise, dimension, parts)


def _parts(statistics: Statistics | None) -> int:
    """Return how many parts of an update have a clip each."""
    return 2 if statistics else 1


def _require_scalars(scalars: tuple[Scalar, ...]) -> None:
    names = [scalar.name for scalar in scalars]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PeerError("FS-205", f"scalars declared twice: {', '.join(twice)}")
    total = len(COUNTS) + sum(scalar.size for scalar in scalars)
    if not total <= MAX_SCALARS:
        raise PeerError("FS-205", f"{total} scalars, at most {MAX_SCALARS} fit")


def _require_statistics(
    statistics: Statistics | None, clip: float, dimension: int
) -> None:
    if statistics is None:
        return
    own = statistics.clip
    if not (0 < own < math.inf and 1 / _MOST_RATIO <= own / clip <= _MOST_RATIO):
        raise PeerError(
            "FS-213",
            f"the clip of statistics is {own} beside one of {clip}; use a finite "
            "number above 0, at most 2**60 times one or the other",
        )
    last = -1
    for begin, end in statistics.ranges:
        if not last < begin < end <= dimension:
            raise PeerError(
                "FS-213",
                f"statistics are said to lie at {begin} to {end} of {dimension} "
                "coordinates, not ascending and apart",
            )
        last = end
    if last < 0:
        raise PeerError("FS-213", "a clip of statistics, and none are named")


def _require_noise(params: Params) -> None:
    noise, cost = params.noise, params.cost
    if noise is None or cost is None:
        return
    counts = [scalar.name for scalar in params.scalars if scalar.is_count]
    if noise.unit is Unit.DATA_OWNER and counts:
        raise PeerError(
            "FS-205",
            f"{', '.join(counts)} without a range, and a data owner is to be protected",
        )
    if not cost <= MOST_COST:
        raise PeerError("FS-200", f"noise {noise.multiplier} hides nothing; use more")


def _require_weights_fit(max_reports: int, weight_cap: int) -> None:
    most = (2**SCALARS.bits - 1) // METRIC_STEPS  # of all weights together
    if not max_reports * weight_cap <= most:
        raise PeerError(
            "FS-204",
            f"{max_reports} data owners of weight up to {weight_cap}; use a weight cap "
            f"<= {most // max_reports} or at most {most // weight_cap} data owners",
        )
