"""What a round's spec says about arithmetic, as the core's parameters.

Every party derives them anew from the signed spec, so that nobody computes with
numbers that another party only claims to be safe.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from fedsecure.core.dp.sensitivity import Noise
from fedsecure.core.modulus import suite
from fedsecure.core.params import Params, Scalar, Statistics
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.statements import (
    PrivacyField,
    Purpose,
    RoundSpec,
    ScalarField,
    StatisticsField,
    Weighting,
)


def params_of(spec: RoundSpec) -> Params:
    """Return the parameters of a round; run by every party.

    Raises:
        FedsecureError: FS-2xx when sums could wrap, or the fixed point of the spec
            is not the one that its own numbers give.
    """
    return Params(
        dimension=spec.dimension,
        scalars=sent_scalars(spec.scalars, spec.privacy, spec.purpose),
        max_reports=len(spec.cohort),
        clip=spec.clip,
        weight_cap=spec.weight_cap,
        fraction_bits=spec.fraction_bits,
        statistics=statistics_of(spec.statistics, spec.dimension),
        modulus=suite(spec.suite),
        noise=noise_of(spec.privacy, spec.purpose, spec.weighting),
    )


class Asked(Protocol):
    """What of a request, of terms or of a spec the numbers of a round follow from."""

    @property
    def scalars(self) -> Sequence[ScalarField]:
        """The declared metrics."""

    @property
    def clip(self) -> float:
        """The largest L2 norm of an update."""

    @property
    def weight_cap(self) -> int:
        """The largest weight."""

    @property
    def weighting(self) -> Weighting:
        """What a weight tells."""

    @property
    def statistics(self) -> StatisticsField | None:
        """Which coordinates have a clip of their own."""

    @property
    def privacy(self) -> PrivacyField | None:
        """What noise is to hide."""


def planned_params(
    asked: Asked, purpose: Purpose, dimension: int, max_reports: int
) -> Params:
    """Return the numbers of a round before there is a spec of it.

    Args:
        asked: What is asked for.
        purpose: Of the round.
        dimension: Parameters of the update; 0 unless it trains.
        max_reports: How many are asked.

    Raises:
        OperatorError: FS-2xx when they do not fit: these are own numbers.
    """
    try:
        noise = noise_of(asked.privacy, purpose, asked.weighting)
    except PeerError as error:
        raise OperatorError(error.code, error.detail) from error
    return Params.derive(
        dimension=dimension,
        scalars=sent_scalars(asked.scalars, asked.privacy, purpose),
        max_reports=max_reports,
        clip=asked.clip,
        weight_cap=asked.weight_cap,
        statistics=statistics_of(asked.statistics, dimension),
        noise=noise,
    )


def cost_of(spec: RoundSpec) -> int | None:
    """Return what opening a round costs each member of its set, in 1e-12 of rho.

    Computed by everybody alike; None without noise.

    Raises:
        FedsecureError: FS-2xx for numbers that no round with noise can have.
    """
    return None if spec.privacy is None else params_of(spec).cost


def sent_scalars(
    fields: Iterable[ScalarField], privacy: PrivacyField | None, purpose: Purpose
) -> tuple[Scalar, ...]:
    """Return the declared scalars that are sent in a round of such a purpose.

    Where noise is to hide a unit, training rounds have none unless the study says so:
    each costs, and what is left of a metric in every round would be noise. The fields
    are there all the same: they belong to the study, which does not change.
    """
    if privacy and purpose is Purpose.TRAIN and not privacy.every_round:
        return ()
    return scalars_of(fields)


def noise_of(
    privacy: PrivacyField | None, purpose: Purpose, weighting: Weighting
) -> Noise | None:
    """Return the noise of a round as the core knows it.

    Raises:
        PeerError: FS-200, FS-208.
    """
    if privacy is None:
        return None
    train = purpose is Purpose.TRAIN
    return Noise(
        unit=privacy.unit,
        unit_clip=privacy.unit_clip,
        multiplier=privacy.noise,
        scalar_multiplier=privacy.scalar_noise if train else privacy.evaluation_noise,
        equal_weights=weighting is Weighting.EQUAL,
    )


def scalars_of(fields: Iterable[ScalarField]) -> tuple[Scalar, ...]:
    """Return the declared scalars as the core knows them."""
    return tuple(
        Scalar(field.name, field.low, field.high, field.size) for field in fields
    )


def statistics_of(field: StatisticsField | None, dimension: int) -> Statistics | None:
    """Return a round's statistics as the core knows them; none in an evaluation.

    The field is there all the same: it belongs to the study, which does not change.
    """
    if field is None or dimension == 0:
        return None
    return Statistics(field.clip, tuple((begin, end) for begin, end in field.ranges))
