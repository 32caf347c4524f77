"""Formulas over shares against numpy, and programs in TOML."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from fedsecure import private
from fedsecure.compute.programs.circuits import compile_outputs
from fedsecure.compute.programs.expressions import Secret
from fedsecure.compute.programs.program_file import load_program
from fedsecure.core.mpc import evaluate, ring
from fedsecure.core.mpc.plan import plan
from fedsecure.errors import FedsecureError
from fedsecure.errors.exceptions import OperatorError
from tests.unit.compute.conftest import CLINIC, OWNER, Parties, refused

STEP = 2.0**-16


def computed(formula: Secret, **given_numbers: Any) -> Any:
    """Compute a formula as both aggregators do, on shares, and open it."""
    compiled = compile_outputs({"result": formula}, OWNER)
    circuit, shared = compiled.circuit, ({}, {})
    rng = np.random.default_rng(7)
    for one in circuit.inputs:
        numbers = compiled.public.get(one.name)
        if numbers is None:
            numbers = np.reshape(given_numbers[one.name], (one.rows, one.columns))
        words = ring.encode(numbers, one.fraction_bits, one.bound)
        mask = rng.integers(0, 2**64, words.shape, np.uint64) if one.secret else 0
        shared[0][one.name], shared[1][one.name] = (
            words - mask,
            (np.broadcast_to(np.uint64(mask), words.shape) if one.secret else words),
        )
    found = plan(circuit)
    parts = [
        evaluate.circuit(circuit, found, inputs, first=first)
        for inputs, first in zip(shared, (True, False), strict=True)
    ]
    (opened,) = evaluate.open_outputs(found, *parts).values()
    ((_, shape),) = compiled.shapes.items()
    return opened.reshape(shape)


def quantised(numbers: Any) -> Any:
    return np.rint(np.asarray(numbers, np.float64) / STEP) * STEP


numbers_within = st.floats(-1024, 1024, allow_nan=False, width=32)
factors = st.one_of(
    st.integers(-20, 20).map(float), st.floats(-4, 4, allow_nan=False, width=64)
)
vectors = arrays(np.float64, 3, elements=numbers_within)
matrices = arrays(np.float64, (3, 2), elements=numbers_within)


@given(a=vectors, b=vectors, factor=factors, constant=numbers_within)
def test_sums_and_public_products_are_those_of_numpy_to_one_step(
    a: Any, b: Any, factor: float, constant: float
) -> None:
    x, y = Secret.given("x", CLINIC, (3,)), Secret.given("y", CLINIC, (3,))
    found = computed(-(x + factor * y) - x + constant, x=a, y=b)
    expected = -(quantised(a) + factor * quantised(b)) - quantised(a) + constant
    np.testing.assert_allclose(found, expected, rtol=0, atol=STEP)


@given(a=vectors, w=arrays(np.float64, (2, 3), elements=factors))
def test_matrix_products_are_those_of_numpy_to_one_step(a: Any, w: Any) -> None:
    x = Secret.given("x", CLINIC, (3,))
    expected = w @ quantised(a)
    for formula in (w @ x, x @ w.T):
        found = computed(formula, x=a)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=STEP)


@given(a=matrices, w=arrays(np.float64, (2, 2), elements=factors))
def test_matrices_are_multiplied_from_either_side(a: Any, w: Any) -> None:
    x = Secret.given("x", CLINIC, (3, 2))
    np.testing.assert_allclose(
        computed(x @ w, x=a), quantised(a) @ w, rtol=0, atol=STEP
    )
    left = np.ascontiguousarray(np.vstack([w, w])[:, :1].T[:, :3])
    np.testing.assert_allclose(
        computed(left @ x, x=a), left @ quantised(a), rtol=0, atol=STEP
    )


def test_a_number_meets_arrays() -> None:
    x, one = Secret.given("x", CLINIC, (2, 2)), Secret.given("one", CLINIC, ())
    a = np.arange(4.0).reshape(2, 2)
    np.testing.assert_array_equal(computed(x + one, x=a, one=5), a + 5)
    np.testing.assert_array_equal(computed(one - x, x=a, one=5), 5 - a)
    np.testing.assert_array_equal(computed(one * a, one=5), 5 * a)
    np.testing.assert_array_equal(computed(a * x - a, x=a), a * a - a)
    assert computed(2 * one, one=21) == 42


def test_an_array_on_the_left_leaves_the_operation_to_the_secret() -> None:
    x = Secret.given("x", CLINIC, (3,))
    for formula in (np.ones(3) + x, np.ones(3) * x, np.float64(2) * x):
        assert isinstance(formula, Secret)


WRONG = {
    "a product of two secrets": lambda x: x * x,
    "a matrix product of two secrets": lambda x: x @ x,
    "other shapes": lambda x: x + np.ones(4),
    "a column to a matrix": lambda x: x + Secret.given("y", CLINIC, (3, 2)),
    "what is no number": lambda x: x + "one",
    "what is not finite": lambda x: x * np.nan,
    "three axes": lambda x: x + np.ones((3, 1, 1)),
    "a matrix that does not meet": lambda x: np.ones((2, 4)) @ x,
    "a matrix product with a number": lambda x: 2 @ x,
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_computed_is_said_at_once(case: str) -> None:
    with refused("FS-223"):
        WRONG[case](Secret.given("x", CLINIC, (3,)))


def test_a_product_of_two_secrets_says_that_it_comes_later() -> None:
    x = Secret.given("x", CLINIC, (3,))
    with pytest.raises(FedsecureError, match="this version multiplies by public"):
        x * x


def test_numbers_that_cannot_fit_are_refused_before_anything_is_sent() -> None:
    x = Secret.given("x", CLINIC, (3,), bound=2.0**30)
    compiled = compile_outputs({"r": x * 2.0**20}, CLINIC)
    with refused("FS-220"):
        plan(compiled.circuit)


def test_secret_numbers_decide_nothing() -> None:
    with pytest.raises(TypeError):
        bool(Secret.given("x", CLINIC, ()))


SUMS = """
name = "sums"
title = "Visits"
[inputs.ages]
owner = "basel"
rows = 2
bound = 120
[inputs.visits]
owner = "bern"
rows = 2
fraction_bits = 0
[public]
w = [1.0, 2.0]
[outputs]
total = "{formula}"
"""


def load(tmp_path: Path, formula: str) -> Any:
    path = tmp_path / "sums.toml"
    path.write_text(SUMS.replace("{formula}", formula))
    return load_program(path).compiled(CLINIC)


def test_a_program_in_toml_is_a_circuit(tmp_path: Path) -> None:
    compiled = load(tmp_path, "w @ (ages + 3 * visits) - 1")
    owners = {one.name: one.owner for one in compiled.circuit.inputs if one.secret}
    assert owners == {"ages": "basel", "visits": "bern"}
    assert {one.owner for one in compiled.circuit.inputs if not one.secret} == {CLINIC}
    assert compiled.circuit.outputs == ("total",)
    assert plan(compiled.circuit).outputs["total"].shape == (1, 1)


@pytest.mark.parametrize(
    "formula",
    [
        "ages * visits",
        "ages / 2",
        "ages ** 2",
        "unknown + ages",
        "__import__('os')",
        "ages.shape",
        "ages +",
        "w",
        "ages if 1 else visits",
        "(" * 300 + "ages" + ")" * 300,
        "ages + 1e999",
        "ages",
    ],
)
def test_a_formula_has_sums_and_public_products_alone(
    tmp_path: Path, formula: str
) -> None:
    with pytest.raises(OperatorError, match="FS-223"):
        load(tmp_path, formula)


@contextmanager
def session(parties: Parties) -> Iterator[private.Session]:
    yield private.Session(parties.start(CLINIC))


def test_a_session_shares_computes_and_opens(parties: Parties) -> None:
    with session(parties) as s:
        a, b = s.share([1.0, 2.0]), s.share([10.0, 20.5])
        np.testing.assert_array_equal(s.open(a + 3 * b), [31.0, 63.5])
        np.testing.assert_array_equal(s.open(a), [1.0, 2.0])
        assert s.open(s.share(20) + 1) == 21


def test_a_session_keeps_nothing_of_what_it_has_opened(parties: Parties) -> None:
    with session(parties) as s:
        s.open(s.share([1.0]) + 1)
    assert not [path for path in (parties.folder / CLINIC).rglob("*") if path.is_file()]


def test_a_session_refuses_numbers_beyond_their_bound(parties: Parties) -> None:
    with session(parties) as s:
        with refused("FS-224"):
            s.share([2000.0])
        with refused("FS-224"):
            s.share([np.nan])
        assert s.open(s.share([2000.0], bound=4000)) == 2000.0


def test_a_session_ends_the_job_that_it_could_not_open(parties: Parties) -> None:
    parties.south.lies.words = lambda words: words + np.uint64(2**61)
    with session(parties) as s, refused("FS-725"):
        s.open(s.share([1.0]) + 1)
    assert all(job.void for job in parties.north.jobs.values())


def test_the_numbers_of_a_session_do_not_print(parties: Parties) -> None:
    with session(parties) as s:
        secret = s.share([123.456])
        assert "123.456" not in repr((s, secret, secret + 1))
