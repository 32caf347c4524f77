"""What a round's spec says about arithmetic, as the core's parameters.

Every party derives them anew from the signed spec, so that nobody computes with
numbers that another party only claims to be safe.
"""

from collections.abc import Iterable

from fedsecure.core.modulus import suite
from fedsecure.core.params import Params, Scalar, Statistics
from fedsecure.protocol.statements import RoundSpec, ScalarField, StatisticsField


def params_of(spec: RoundSpec) -> Params:
    """Return the parameters of a round; run by every party.

    Raises:
        FedsecureError: FS-2xx when sums could wrap, or the fixed point of the spec
            is not the one that its own numbers give.
    """
    return Params(
        dimension=spec.dimension,
        scalars=scalars_of(spec.scalars),
        max_reports=len(spec.cohort),
        clip=spec.clip,
        weight_cap=spec.weight_cap,
        fraction_bits=spec.fraction_bits,
        statistics=statistics_of(spec.statistics, spec.dimension),
        modulus=suite(spec.suite),
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
