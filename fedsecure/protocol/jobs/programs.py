"""What a job computes, as its spec says it: typed operations, shapes and scales.

A program holds no numbers but shapes, scales and bounds. Ranges, bytes and memory
follow from it, and every party recomputes them (`fedsecure.core.mpc.program`).
"""

import json
from dataclasses import asdict
from typing import Annotated, Final, Literal

from pydantic import Field

from fedsecure.core.mpc.plan import Plan, plan
from fedsecure.core.mpc.program import (
    Circuit,
    Input,
    Linear,
    Operation,
    OperationName,
    Program,
)
from fedsecure.protocol.identity import Name
from fedsecure.protocol.jobs.parts import ValueName
from fedsecure.protocol.statement_fields import PositiveFinite
from fedsecure.protocol.statement_parts import Strict

MAX_SIDE: Final = 2**24  # rows or columns of one value
MAX_INPUTS: Final = 256
MAX_OPERATIONS: Final = 1000
MAX_BITS: Final = 48  # fraction bits of an input

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Bits = Annotated[int, Field(ge=0, le=MAX_BITS)]


class InputField(Strict):
    """A value that one party brings: a matrix of fixed-point numbers.

    `bound` is the largest of its numbers, either sign. What is not `secret` is known to
    both aggregators.
    """

    name: ValueName
    owner: Name
    rows: Side
    columns: Side
    fraction_bits: Bits
    bound: PositiveFinite
    secret: bool


class OperationField(Strict):
    """One step: which operation, of which values, and what its result is called.

    `bits` says how far `shift` shifts; everything else has 0.
    """

    op: OperationName
    result: ValueName
    of: Annotated[list[ValueName], Field(min_length=1, max_length=2)]
    bits: Annotated[int, Field(ge=0, le=62)] = 0


class CircuitField(Strict):
    """Operations on inputs of any parties, and which values are opened."""

    type: Literal["circuit"]
    inputs: Annotated[list[InputField], Field(min_length=1, max_length=MAX_INPUTS)]
    operations: Annotated[list[OperationField], Field(max_length=MAX_OPERATIONS)]
    outputs: Annotated[list[ValueName], Field(min_length=1, max_length=MAX_INPUTS)]


class LinearField(Strict):
    """z = x W + b, for as many rows x as a query brings.

    x has `fraction_bits` and numbers within `bound`; W (features, outputs) has
    `weight_bits` and `weight_bound`; b has the bits of both and `bias_bound`. All
    bounds are of numbers, either sign.
    """

    type: Literal["linear"]
    features: Side
    outputs: Side
    fraction_bits: Bits
    weight_bits: Bits
    bound: PositiveFinite
    weight_bound: PositiveFinite
    bias_bound: PositiveFinite


ProgramField = Annotated[CircuitField | LinearField, Field(discriminator="type")]


def program_of(field: CircuitField | LinearField) -> Program:
    """Return a program as the core knows it; nothing of it is checked."""
    content = field.model_dump(exclude={"type"})
    if isinstance(field, LinearField):
        return Linear(**content)
    return Circuit(
        inputs=tuple(Input(**one) for one in content["inputs"]),
        operations=tuple(
            Operation(**one | {"of": tuple(one["of"])}) for one in content["operations"]
        ),
        outputs=tuple(content["outputs"]),
    )


def field_of(program: Program) -> CircuitField | LinearField:
    """Return a program as a spec says it.

    Raises:
        ValueError: A name, a shape or a scale is none that a spec can say.
    """
    if isinstance(program, Linear):
        return LinearField.model_validate({"type": "linear", **asdict(program)})
    content = json.dumps({"type": "circuit", **asdict(program)})
    return CircuitField.model_validate_json(content)


def plan_of(field: CircuitField | LinearField, rows: int = 1) -> Plan:
    """Return what follows from a program; run by every party.

    Args:
        field: Of the spec.
        rows: Of a query, if it is of a service.

    Raises:
        PeerError: FS-220 when numbers could overflow, FS-223 when it is no program.
    """
    return plan(program_of(field), rows)
