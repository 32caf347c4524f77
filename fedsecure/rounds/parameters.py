"""What a round's spec says about arithmetic, as the core's parameters.

Every party derives them anew from the signed spec, so that nobody computes with
numbers that another party only claims to be safe.
"""

from collections.abc import Iterable

from fedsecure.core.modulus import suite
from fedsecure.core.params import Params, Scalar
from fedsecure.statements import RoundSpec, ScalarField


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
        modulus=suite(spec.suite),
    )


def scalars_of(fields: Iterable[ScalarField]) -> tuple[Scalar, ...]:
    """Return the declared scalars as the core knows them."""
    return tuple(
        Scalar(field.name, field.low, field.high, field.size) for field in fields
    )
