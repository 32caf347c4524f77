"""One server's part of a program, on its shares alone.

Sums of shares are shares of sums; a share times a public number is a share of the
product. A public number that is added is added by the first server alone; so the two
servers' words add up to the words of the outputs.

    evaluate  each aggregator  its shares, all public words -> its output words
    open      receiver         both servers' output words   -> numbers
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

import numpy as np

from fedsecure.core.mpc import ring
from fedsecure.core.mpc.matmul import product
from fedsecure.core.mpc.plan import Plan
from fedsecure.core.mpc.program import Circuit, Linear
from fedsecure.core.mpc.ranges import Value
from fedsecure.core.mpc.ring import Numbers, Words
from fedsecure.core.mpc.sharing import combine
from fedsecure.errors import PeerError


def circuit(
    program: Circuit, plan: Plan, inputs: Mapping[str, Words], *, first: bool
) -> Words:
    """Compute one server's words of all outputs. Run by an aggregator.

    They must be made fresh (`fedsecure.core.mpc.zero_sharing`) before they leave.

    Args:
        program: A circuit.
        plan: What follows from it.
        inputs: By name, of the plan's shapes, uint64: this server's share of a secret
            input, the words themselves of a public one.
        first: Whether this is the first server of the pair.

    Returns:
        Shape (words of all outputs,), uint64: output by output, row by row.

    Raises:
        PeerError: FS-730 when inputs are missing or have other shapes.
    """
    _require_inputs(plan, inputs)
    words = dict(inputs)
    for operation in program.operations:
        operands = [words[name] for name in operation.of]
        if operation.op in _SUMS:
            known = [plan.values[name] for name in operation.of]
            operands = _own_part(known, operands, first=first)
        if operation.op == "shift":
            words[operation.result] = operands[0] << np.uint64(operation.bits)
        else:
            words[operation.result] = _COMPUTE[operation.op](*operands)
        # What was broadcast from 1 x 1 has the other's shape, as the plan says.
    return np.concatenate([words[name].reshape(-1) for name in program.outputs])


def linear(program: Linear, model: Words, query: Words, *, first: bool) -> Words:
    """Compute one server's words of the logits, x W + b. Run by an aggregator.

    Args:
        program: A linear model whose weights both servers know.
        model: Shape (features + 1, outputs), uint64: W, and b as the last row.
        query: Shape (rows, features), uint64: this server's share of x.
        first: Whether this is the first server of the pair.

    Returns:
        Shape (rows, outputs), uint64.

    Raises:
        PeerError: FS-730 for other shapes.
    """
    _require_shape("the model", model, (program.features + 1, program.outputs))
    _require_shape("the query", query, (len(query), program.features))
    logits = product(query, model[:-1])
    return logits + model[-1] if first else logits


def open_outputs(plan: Plan, first: Words, second: Words) -> Mapping[str, Numbers]:
    """Add up both servers' words and read the outputs. Run by the receiver.

    Args:
        plan: What follows from the program.
        first: Shape (words of all outputs,), uint64.
        second: The same of the other server.

    Returns:
        By name, in the program's order, shape (rows, columns), float64.

    Raises:
        PeerError: FS-730 for another number of words; FS-725 when a sum is beyond what
            the program can give.
    """
    wanted = plan.output_bytes // ring.WORD_BYTES
    for words in (first, second):
        _require_shape("a server's answer", words, (wanted,))
    total, start, opened = combine(first, second), 0, {}
    for name, value in plan.outputs.items():
        part = total[start : start + value.words].reshape(value.shape)
        opened[name] = _read(name, value, part)
        start += value.words
    return opened


def _read(name: str, value: Value, words: Words) -> Numbers:
    if not ring.is_within(words, value.bound):
        raise PeerError(
            "FS-725",
            f"output {name!r} holds a number that no inputs within their bounds give",
        )
    return ring.decode(words, value.fraction_bits)


def _own_part(known: list[Value], operands: list[Words], *, first: bool) -> list[Words]:
    """Return what this server adds of two summands: public ones are the first's."""
    secret = any(value.secret for value in known)
    return [
        words if value.secret or first or not secret else np.zeros_like(words)
        for value, words in zip(known, operands, strict=True)
    ]


def _require_inputs(plan: Plan, inputs: Mapping[str, Words]) -> None:
    if inputs.keys() != plan.inputs.keys():
        missing = ", ".join(sorted(plan.inputs.keys() - inputs.keys()))
        raise PeerError("FS-730", f"inputs are missing or unknown; missing: {missing}")
    for name, value in plan.inputs.items():
        _require_shape(f"input {name!r}", inputs[name], value.shape)


def _require_shape(what: str, words: Words, wanted: tuple[int, ...]) -> None:
    if words.shape != wanted:
        raise PeerError("FS-730", f"{what} has shape {words.shape}, not {wanted}")


_Operation: TypeAlias = Callable[..., Words]
_SUMS: Final = ("add", "subtract")
_COMPUTE: Final[Mapping[str, _Operation]] = {
    "add": np.add,
    "subtract": np.subtract,
    "negate": np.negative,
    "multiply": np.multiply,
    "matmul": product,
}
