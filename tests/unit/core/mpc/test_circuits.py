"""Random circuits on shares: exact, and within the ranges that their plans say."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings, strategies as st

from fedsecure.core.mpc import evaluate, ring, sharing, zero_sharing
from fedsecure.core.mpc.plan import plan
from fedsecure.core.mpc.program import OPERATIONS, Circuit, Input, Linear, Operation
from fedsecure.core.mpc.ranges import Value, step
from fedsecure.core.mpc.ring import Words
from fedsecure.errors import PeerError

Matrix = list[list[int]]  # signed words, as Python's integers

SHAPES = [(1, 1), (2, 3), (3, 2)]
KEYS = (b"k" * 32, b"K" * 32)


def widened(matrix: Matrix, like: Matrix) -> Matrix:
    """Return a scalar as often as the other operand has numbers."""
    if len(matrix) * len(matrix[0]) > 1:
        return matrix
    return [[matrix[0][0]] * len(like[0]) for _ in like]


def python(operation: Operation, operands: list[Matrix]) -> Matrix:
    """The oracle: one operation on integers of any size."""
    a, b = operands[0], operands[-1]
    if operation.op == "negate":
        return [[-x for x in row] for row in a]
    if operation.op == "shift":
        return [[x * 2**operation.bits for x in row] for row in a]
    if operation.op == "matmul":
        columns = list(zip(*b, strict=True))
        return [
            [sum(x * y for x, y in zip(row, column, strict=True)) for column in columns]
            for row in a
        ]
    rows = zip(widened(a, b), widened(b, a), strict=True)
    pairs = [list(zip(*row, strict=True)) for row in rows]
    if operation.op == "multiply":
        return [[x * y for x, y in row] for row in pairs]
    sign = 1 if operation.op == "add" else -1
    return [[x + sign * y for x, y in row] for row in pairs]


@st.composite
def inputs(draw: st.DrawFn, number: int) -> tuple[Input, Matrix]:
    rows, columns = draw(st.sampled_from(SHAPES))
    bits, bound = draw(st.sampled_from([0, 8])), draw(st.sampled_from([1.0, 100.0]))
    owner = draw(st.sampled_from(["clinic-a", "clinic-b"]))
    secret = number == 0 or draw(st.booleans())
    one = Input(f"x{number}", owner, rows, columns, bits, bound, secret)
    largest = ring.largest_word(bound, bits)
    word = st.integers(-largest, largest) | st.sampled_from([-largest, largest])
    row = st.lists(word, min_size=columns, max_size=columns)
    return one, draw(st.lists(row, min_size=rows, max_size=rows))


@st.composite
def circuits(draw: st.DrawFn) -> tuple[Circuit, dict[str, Matrix]]:
    """Return a circuit that opens every secret value, and all exact values."""
    given_inputs = [draw(inputs(number)) for number in range(draw(st.integers(1, 4)))]
    exact = {one.name: matrix for one, matrix in given_inputs}
    values: dict[str, Value] = {}
    for one, _ in given_inputs:
        alone = Circuit((replace(one, secret=True),), (), (one.name,))
        values[one.name] = replace(
            plan(alone).values[one.name],
            secret=one.secret,
            owners=frozenset({one.owner} if one.secret else ()),
        )
    operations = []
    for number in range(draw(st.integers(0, 8))):
        op = draw(st.sampled_from(OPERATIONS))
        names = st.sampled_from(sorted(values))
        of = tuple(draw(names) for _ in range(1 if op in {"negate", "shift"} else 2))
        bits = draw(st.integers(1, 9)) if op == "shift" else 0
        operation = Operation(op, f"r{number}", of, bits)
        try:
            values[operation.result] = step(operation, values).result
        except PeerError:
            continue
        operations.append(operation)
        exact[operation.result] = python(operation, [exact[name] for name in of])
    return pruned([one for one, _ in given_inputs], operations, values), exact


def pruned(
    given_inputs: list[Input], operations: list[Operation], values: dict[str, Value]
) -> Circuit:
    """Leave out public values that nothing uses, from the last to the first."""
    used = {name for name, value in values.items() if value.secret}
    kept: list[Operation] = []
    for operation in reversed(operations):
        if operation.result in used:
            kept.insert(0, operation)
            used.update(operation.of)
    return Circuit(
        inputs=tuple(one for one in given_inputs if one.name in used),
        operations=tuple(kept),
        outputs=tuple(
            name for name, value in values.items() if value.secret and name in used
        ),
    )


def as_words(matrix: Matrix) -> Words:
    return np.array([[x % 2**64 for x in row] for row in matrix], np.uint64)


def both_servers(
    program: Circuit, exact: dict[str, Matrix], seed: int
) -> tuple[Words, Words]:
    """Share the inputs, evaluate at two servers, make both answers fresh."""
    rng, known = np.random.default_rng(seed), plan(program)
    held: tuple[dict[str, Words], dict[str, Words]] = {}, {}
    for one in program.inputs:
        words = as_words(exact[one.name])
        if not one.secret:
            held[0][one.name] = held[1][one.name] = words
            continue
        context = sharing.InputContext(bytes(32), bytes(16), one.owner, one.name)
        made = sharing.share(words, context, rng.bytes(sharing.RAND_BYTES))
        shares = [sharing.expand(made.seed, words.shape, context), made.vector]
        place = 0 if made.seed_to_first else 1
        held[place][one.name], held[1 - place][one.name] = shares
    parts = [
        evaluate.circuit(program, known, held[0], first=True),
        evaluate.circuit(program, known, held[1], first=False),
    ]
    zeros = zero_sharing.zero_words(
        KEYS, zero_sharing.AnswerContext(bytes(32)), parts[0].size
    )
    return (
        zero_sharing.refreshed(parts[0], zeros, first=True),
        zero_sharing.refreshed(parts[1], zeros, first=False),
    )


@settings(deadline=None, max_examples=150)
@given(circuits(), st.integers(0, 2**32))
def test_two_servers_compute_any_circuit_exactly_and_within_its_ranges(
    drawn: tuple[Circuit, dict[str, Matrix]], seed: int
) -> None:
    program, exact = drawn
    known = plan(program)
    opened = evaluate.open_outputs(known, *both_servers(program, exact, seed))
    for name, value in known.outputs.items():
        assert (len(exact[name]), len(exact[name][0])) == value.shape
        assert max(abs(x) for row in exact[name] for x in row) <= value.bound < 2**62
        expected = [[x / 2**value.fraction_bits for x in row] for row in exact[name]]
        assert opened[name].tolist() == expected


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 3), st.integers(1, 3))
def test_two_servers_compute_a_linear_model_as_float64_does(
    seed: int, features: int, outputs: int, rows: int
) -> None:
    program = Linear(features, outputs, 16, 16, 50.0, 4.0, 10.0)
    rng = np.random.default_rng(seed)
    x = rng.uniform(-50, 50, (rows, features))
    weights, bias = (
        rng.uniform(-4, 4, (features, outputs)),
        rng.uniform(-10, 10, outputs),
    )
    model = np.concatenate(
        [
            ring.encode(weights, 16, 4.0),
            ring.encode(bias[None], program.bias_bits, 10.0),
        ]
    )
    context = sharing.InputContext(bytes(32), bytes(16), "clinic", sharing.QUERY)
    made = sharing.share(
        ring.encode(x, 16, 50.0), context, rng.bytes(sharing.RAND_BYTES)
    )
    seeded = sharing.expand(made.seed, x.shape, context)
    first = evaluate.linear(program, model, seeded, first=True)
    second = evaluate.linear(program, model, made.vector, first=False)
    known = plan(program, rows)
    logits = evaluate.open_outputs(known, first.reshape(-1), second.reshape(-1))
    error = np.abs(logits["logits"] - (x @ weights + bias))
    # Half a step of each factor, times the other's bound, for every feature.
    assert np.all(error <= features * (50 + 4 + 1) * 2.0**-17 + 2.0**-32)
