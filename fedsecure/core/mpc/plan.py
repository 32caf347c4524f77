"""What follows from a program: shapes, ranges, bytes, and whose secrets are in what.

Everybody who takes part computes it anew, from the program alone: whoever grants a job,
gives an input to it, or opens its outputs.

Guarantee: in a program that has a plan, with inputs within their bounds, no value's
signed word reaches 2**62, so none wraps, and what is opened is exact.

`Value.owners` of an output says whose secret inputs it was computed from. It does not
say that they stay hidden in it: 2**30 a + b tells both, and so do two outputs a + b and
a - b. Who is asked for an input reads the program.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from fedsecure.core.mpc.program import LOGITS, MODEL, Circuit, Input, Linear, Program
from fedsecure.core.mpc.ranges import Value, given, in_range, require, step
from fedsecure.core.mpc.sharing import QUERY

MAX_INPUTS: Final = 1000
MAX_OPERATIONS: Final = 1000

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_DIGIT_ARRAYS: Final = 3  # of 8 bytes, for each word that a large product reads
_PRODUCT_ARRAYS: Final = 4  # of 8 bytes, for each word that it makes


@dataclass(frozen=True, slots=True)
class Plan:
    """All values of a program, and what computing them takes.

    Args:
        inputs: By name, what must be given before anything is computed.
        values: By name, every value: inputs and results of operations; of a linear
            model MODEL, QUERY and LOGITS.
        outputs: By name, in their order, what is opened.
        multiplications: Of words.
        workspace: Bytes that a server needs beside the values' own.
    """

    inputs: Mapping[str, Value]
    values: Mapping[str, Value]
    outputs: Mapping[str, Value]
    multiplications: int
    workspace: int

    @property
    def memory(self) -> int:
        """Bytes that one server needs to compute it."""
        return sum(value.bytes for value in self.values.values()) + self.workspace

    @property
    def input_bytes(self) -> int:
        """Bytes of all inputs as a server computes on them; a seed travels as 32."""
        return sum(value.bytes for value in self.inputs.values())

    @property
    def output_bytes(self) -> int:
        """Bytes of one server's words for the receiver, before they are sealed."""
        return sum(value.bytes for value in self.outputs.values())


def plan(program: Program, rows: int = 1) -> Plan:
    """Check a program, and compute what follows from it. Run by everybody.

    Args:
        program: As its proposer signed it.
        rows: Rows of one query; only a linear model has queries.

    Raises:
        PeerError: FS-223 for a program that is not well formed, FS-220 where a value
            could be too large for its word.
    """
    if isinstance(program, Linear):
        return _plan_linear(program, rows)
    return _plan_circuit(program)


def _plan_linear(program: Linear, rows: int) -> Plan:
    features, outputs, bits = program.features, program.outputs, program.bias_bits
    weights = given("W", (features, outputs), program.weight_bits, program.weight_bound)
    query = given("the query", (rows, features), program.fraction_bits, program.bound)
    bias = given("b", (1, outputs), bits, program.bias_bound)
    # W's rows, and b as one more; the bound is of whichever has the larger words.
    model = replace(weights, rows=features + 1, bound=max(weights.bound, bias.bound))
    bound = features * query.bound * weights.bound + bias.bound
    logits = replace(
        query, columns=outputs, fraction_bits=bits, bound=bound, secret=True
    )
    in_range(f"the logits of {features} features", logits)
    return Plan(
        inputs={MODEL: model},
        values={MODEL: model, QUERY: replace(query, secret=True), LOGITS: logits},
        outputs={LOGITS: logits},
        multiplications=rows * weights.words,
        workspace=_workspace((query, weights), logits),
    )


def _plan_circuit(program: Circuit) -> Plan:
    _require_form(program)
    inputs = {one.name: _input(one) for one in program.inputs}
    values, multiplications, workspace = dict(inputs), 0, 0
    for operation in program.operations:
        made = step(operation, values)
        values[operation.result] = made.result
        multiplications += made.multiplications
        if operation.op == "matmul":
            operands = [values[name] for name in operation.of]
            workspace = max(workspace, _workspace(operands, made.result))
    return Plan(
        inputs=inputs,
        values=values,
        outputs={name: _output(values, name) for name in program.outputs},
        multiplications=multiplications,
        workspace=workspace,
    )


def _input(one: Input) -> Value:
    value = given(
        f"input {one.name!r}", (one.rows, one.columns), one.fraction_bits, one.bound
    )
    owners = frozenset({one.owner} if one.secret else ())
    return replace(value, secret=one.secret, owners=owners)


def _output(values: Mapping[str, Value], name: str) -> Value:
    require(name in values, f"the output {name!r} is neither an input nor a result")
    require(
        values[name].secret,
        f"the output {name!r} is made of public numbers alone: nothing is to be opened",
    )
    return values[name]


def _require_form(program: Circuit) -> None:
    """Check sizes and names, and that nothing is asked for in vain."""
    inputs, operations = len(program.inputs), len(program.operations)
    require(
        inputs <= MAX_INPUTS and operations <= MAX_OPERATIONS,
        f"there are {inputs} inputs and {operations} operations; the most are "
        f"{MAX_INPUTS} and {MAX_OPERATIONS}",
    )
    require(bool(program.outputs), "nothing is opened: there is no output")
    names = [one.name for one in program.inputs]
    names += [operation.result for operation in program.operations]
    for name in names:
        require(
            _NAME.fullmatch(name) is not None,
            f"{name!r} is no name: at most 64 letters, digits and _, no digit first",
        )
    _require_once(names, "given to a value")
    _require_once(program.outputs, "an output")
    used = {name for operation in program.operations for name in operation.of}
    unused = [name for name in names if name not in used.union(program.outputs)]
    require(not unused, f"{', '.join(unused)}: neither used nor opened; leave it out")


def _require_once(names: Iterable[str], what: str) -> None:
    for name, times in Counter(names).most_common(1):
        require(times == 1, f"the name {name!r} is {what} {times} times")


def _workspace(operands: Iterable[Value], result: Value) -> int:
    read = sum(value.bytes for value in operands)
    return _DIGIT_ARRAYS * read + _PRODUCT_ARRAYS * result.bytes
