"""A job's program in TOML: whose inputs, which formulas.

    name = "sums"
    title = "Visits of two hospitals"
    days = 7

    [inputs.ages]
    owner = "basel"
    rows = 10
    columns = 1
    bound = 120

    [inputs.visits]
    owner = "bern"
    rows = 10
    columns = 1
    bound = 1000

    [public]
    weights = [1.0, 2.0]

    [outputs]
    total = "ages + 3 * visits"

Formulas have +, -, * and @ (a matrix product), names, numbers and parentheses; every
product has a public factor. Inputs have 16 fraction bits unless `fraction_bits` says
otherwise: whole numbers need none.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, TypeGuard

import numpy as np
from pydantic import Field

from fedsecure.compute.programs.circuits import Compiled, compile_outputs
from fedsecure.compute.programs.expressions import (
    BOUND,
    FRACTION_BITS,
    Secret,
)
from fedsecure.core.mpc.ring import Numbers
from fedsecure.errors import OperatorError
from fedsecure.protocol.identity import Name
from fedsecure.protocol.jobs.parts import ValueName
from fedsecure.protocol.jobs.programs import MAX_BITS, MAX_SIDE
from fedsecure.protocol.statement_fields import PositiveFinite, RunId, Text
from fedsecure.system import toml_file
from fedsecure.system.toml_file import Settings

MAX_FORMULA: Final = 10_000  # characters

Number = Annotated[float, Field(allow_inf_nan=False, strict=False)]


class InputSection(Settings):
    """A section `[inputs.NAME]`: a matrix that one party gives, in secret."""

    owner: Name
    rows: Annotated[int, Field(ge=1, le=MAX_SIDE)] = 1
    columns: Annotated[int, Field(ge=1, le=MAX_SIDE)] = 1
    bound: Annotated[PositiveFinite, Field(strict=False)] = BOUND
    fraction_bits: Annotated[int, Field(ge=0, le=MAX_BITS)] = FRACTION_BITS


class ProgramFile(Settings):
    """The content of a job's program."""

    name: RunId
    title: Text
    days: Annotated[float, Field(gt=0, le=366, strict=False)] = 7.0
    inputs: Annotated[dict[ValueName, InputSection], Field(min_length=1)]
    public: dict[ValueName, Number | list[Number] | list[list[Number]]] = Field(
        default_factory=dict
    )
    outputs: Annotated[dict[ValueName, str], Field(min_length=1)]

    def compiled(self, proposer: str) -> Compiled:
        """Return the circuit of its formulas.

        Raises:
            OperatorError: FS-223 for a formula that is none.
        """
        named: dict[str, Secret | Numbers] = {
            name: np.array(numbers, np.float64) for name, numbers in self.public.items()
        }
        for name, one in self.inputs.items():
            shape = (one.rows, one.columns) if one.rows * one.columns > 1 else ()
            named[name] = Secret.given(
                name, one.owner, shape, one.bound, one.fraction_bits
            )
        outputs = {
            name: _secret(name, formula, named)
            for name, formula in self.outputs.items()
        }
        self._require_names(outputs)
        return compile_outputs(outputs, proposer)

    def _require_names(self, outputs: Mapping[str, Secret]) -> None:
        taken = self.inputs.keys() & self.public.keys()
        for name, one in outputs.items():
            if name in self.inputs and one.name != name:
                taken.add(name)
            if one.name and one.name != name:
                raise OperatorError(
                    "FS-223", f"the output {name} is the input {one.name}: call it so"
                )
        if taken:
            raise OperatorError("FS-223", f"{', '.join(sorted(taken))} stands for two")


def load_program(path: Path) -> ProgramFile:
    """Read a job's program.

    Raises:
        OperatorError: FS-801 to FS-803 with the file and the key.
    """
    return toml_file.load(path, ProgramFile)


def _secret(name: str, formula: str, named: Mapping[str, Secret | Numbers]) -> Secret:
    what = f"the output {name} = {formula[:80]!r}"
    try:
        if not len(formula) <= MAX_FORMULA:
            raise OperatorError("FS-223", f"{what} is longer than {MAX_FORMULA}")
        found = _value(ast.parse(formula.strip(), mode="eval").body, named)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise OperatorError("FS-223", f"{what} is no formula") from error
    except OperatorError as error:
        raise OperatorError(error.code, f"{what}: {error.detail}") from error
    if not isinstance(found, Secret):
        raise OperatorError("FS-223", f"{what} is of public numbers alone")
    return found


def _value(node: ast.expr, named: Mapping[str, Secret | Numbers]) -> Any:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left, named), _value(node.right, named)
        return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, named)
    if isinstance(node, ast.Name):
        if node.id not in named:
            known = ", ".join(named)
            raise OperatorError("FS-223", f"{node.id} is not known; known are {known}")
        return named[node.id]
    if isinstance(node, ast.Constant) and _is_number(node.value):
        return np.float64(float(node.value))
    raise OperatorError("FS-223", f"{ast.unparse(node)[:40]} is not +, -, * or @")


def _is_number(value: object) -> TypeGuard[int | float]:
    return type(value) in {int, float}


_OPERATORS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.MatMult: operator.matmul,
}
