"""What a plan says, and which programs have none."""

from dataclasses import replace
from typing import Any

import pytest

from fedsecure.core.mpc import plan as planning, ranges
from fedsecure.core.mpc.plan import plan
from fedsecure.core.mpc.program import Circuit, Input, Linear, Operation
from fedsecure.errors import PeerError

A = Input("a", "clinic-a", 2, 3, 16, 100.0)
B = Input("b", "clinic-b", 2, 3, 16, 100.0)
C = Input("c", "lab", 3, 4, 8, 2.0, secret=False)
LINEAR = Linear(30, 2, 16, 16, 10.0, 4.0, 8.0)


def circuit(
    *operations: Operation, output: str | None = None, **changes: Any
) -> Circuit:
    outputs = (output or (operations[-1].result if operations else "a"),)
    inputs = tuple(
        one
        for one in (A, B, C)
        if one.name in outputs or any(one.name in step.of for step in operations)
    )
    return replace(Circuit(inputs, operations, outputs), **changes)


ADD = Operation("add", "s", ("a", "b"))
MATMUL = Operation("matmul", "p", ("s", "c"))


def test_a_plan_says_shapes_ranges_owners_and_costs() -> None:
    known = plan(circuit(ADD, MATMUL))
    total, opened = known.values["s"], known.outputs["p"]
    assert (total.shape, total.fraction_bits, total.bound) == ((2, 3), 16, 13_107_200)
    assert (opened.shape, opened.fraction_bits) == ((2, 4), 24)
    assert opened.bound == 3 * 13_107_200 * 2 * 2**8
    assert opened.secret
    assert opened.owners == {"clinic-a", "clinic-b"}
    assert known.multiplications == 2 * 3 * 4
    assert known.input_bytes == (6 + 6 + 12) * 8
    assert known.output_bytes == 8 * 8
    assert known.memory >= (6 + 6 + 12 + 6 + 8) * 8


def test_whoever_gives_public_numbers_owns_nothing_of_an_output() -> None:
    known = plan(circuit(Operation("matmul", "p", ("a", "c"))))
    assert known.outputs["p"].owners == {"clinic-a"}


def test_a_linear_model_is_planned_for_the_rows_of_a_query() -> None:
    known = plan(LINEAR, rows=5)
    logits = known.outputs["logits"]
    assert known.inputs["model"].shape == (31, 2)
    assert known.values["query"].shape == (5, 30)
    assert (logits.shape, logits.fraction_bits) == ((5, 2), 32)
    assert logits.bound == 30 * (10 * 2**16) * (4 * 2**16) + 8 * 2**32
    assert known.multiplications == 5 * 30 * 2


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (circuit(Operation("shift", "r", ("a",), 40)), r"shift 'r'.*2\*\*62\.6"),
        (
            circuit(replace(ADD, of=("a", "a")), inputs=(replace(A, bound=2.0**45),)),
            r"add 's'.*2\*\*62",
        ),
        (circuit(inputs=(replace(A, bound=2.0**46),)), "input 'a'"),
        (circuit(inputs=(replace(A, bound=1e300),)), "input 'a'"),
        (replace(LINEAR, bound=2.0**30, features=2), "the logits of 2 features"),
        (replace(LINEAR, bias_bound=2.0**30), "b: a word"),
    ],
)
def test_no_value_may_reach_two_to_the_62(program: Circuit | Linear, said: str) -> None:
    with pytest.raises(PeerError, match=f"FS-220.*{said}"):
        plan(program)


def test_a_value_may_come_as_near_as_one_step() -> None:
    widest = replace(A, fraction_bits=0, bound=2.0**61)
    just = Circuit(
        (widest, replace(widest, name="b", bound=2.0**61 - 2**9)), (ADD,), ("s",)
    )
    assert plan(just).outputs["s"].bound == 2**62 - 2**9
    with pytest.raises(PeerError, match="FS-220"):
        plan(replace(just, inputs=(widest, replace(widest, name="b"))))


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (circuit(outputs=()), "no output"),
        (circuit(outputs=("a", "a")), "'a' is an output 2 times"),
        (circuit(outputs=("a", "z")), "'z' is neither"),
        (circuit(inputs=(A, A)), "'a' is given to a value 2 times"),
        (circuit(replace(ADD, result="b")), "'b' is given to a value 2 times"),
        (circuit(inputs=(A, B)), "b: neither used nor opened"),
        (circuit(ADD, output="a"), "s: neither used nor opened"),
        (
            circuit(replace(MATMUL, of=("a", "b"))),
            "both factors are secret.*next stage",
        ),
        (circuit(Operation("multiply", "p", ("a", "b"))), "both factors are secret"),
        (circuit(Operation("multiply", "p", ("a", "c"))), "2 x 3 and 3 x 4"),
        (circuit(Operation("matmul", "p", ("c", "a"))), "4 columns cannot meet 2 rows"),
        (circuit(replace(ADD, of=("a",))), "is of 1 values, and takes 2"),
        (circuit(replace(ADD, of=("a", "z"))), "uses 'z'"),
        (circuit(MATMUL, ADD, output="p"), "uses 's', which nothing before"),
        (circuit(replace(ADD, bits=1)), "bits = 1"),
        (circuit(Operation("shift", "r", ("a",))), "bits = 0"),
        (circuit(Operation("shift", "r", ("a",), 62)), "bits = 62"),
        (circuit(Operation("relu", "r", ("a",))), "relu 'r': the operations are add"),  # type: ignore[arg-type]
        (
            circuit(ADD, inputs=(A, replace(B, fraction_bits=8))),
            "16 and 8 fraction bits",
        ),
        (circuit(ADD, inputs=(A, replace(B, rows=3))), "2 x 3 and 3 x 3"),
        (circuit(inputs=(replace(A, rows=0),)), "has 0 rows"),
        (circuit(inputs=(replace(A, rows=True),)), "has True rows"),
        (circuit(inputs=(replace(A, fraction_bits=62),)), "62 fraction"),
        (circuit(inputs=(replace(A, fraction_bits=-1),)), "-1 fraction"),
        (circuit(inputs=(replace(A, bound=0.0),)), "bound of input 'a' is 0"),
        (circuit(inputs=(replace(A, bound=float("nan")),)), "is nan"),
        (circuit(inputs=(replace(A, bound=float("inf")),)), "is inf"),
        (circuit(inputs=(replace(A, rows=2**27),)), "the most are 134217728"),
        (Circuit((replace(A, name="a b"),), (), ("a b",)), "'a b' is no name"),
        (Circuit((C,), (), ("c",)), "public numbers alone"),
        (replace(LINEAR, features=0), "W has 0 rows"),
        (replace(LINEAR, outputs=0), "W has 30 rows, 0 columns"),
        (replace(LINEAR, weight_bits=-1), "-1 fraction"),
    ],
)
def test_a_program_that_is_not_well_formed_has_no_plan(
    program: Circuit | Linear, said: str
) -> None:
    with pytest.raises(PeerError, match=f"FS-223.*{said}"):
        plan(program)


def test_a_query_has_at_least_one_row() -> None:
    with pytest.raises(PeerError, match=r"FS-223.*0 rows"):
        plan(LINEAR, rows=0)


def test_fraction_bits_stay_below_62_whatever_the_bound() -> None:
    tiny = replace(
        C, name="a", secret=True, rows=1, columns=1, fraction_bits=40, bound=1e-12
    )
    square = Operation("multiply", "p", ("a", "c"))
    program = Circuit((tiny, replace(tiny, name="c", secret=False)), (square,), ("p",))
    with pytest.raises(PeerError, match=r"FS-223.*80 fraction bits"):
        plan(program)


def test_a_program_has_at_most_a_thousand_operations() -> None:
    steps = [Operation("negate", "r0", ("a",))]
    steps += [
        Operation("negate", f"r{i}", (f"r{i - 1}",))
        for i in range(1, planning.MAX_OPERATIONS + 1)
    ]
    assert plan(circuit(*steps[:-1])).outputs
    with pytest.raises(PeerError, match=r"FS-223.*1001 operations"):
        plan(circuit(*steps))


def test_the_limits_fit_into_memory_sizes_that_servers_have() -> None:
    assert ranges.MAX_WORDS * 8 == 2**30
