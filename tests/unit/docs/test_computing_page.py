"""docs/computing.md: what it warns of is possible, and what it shows runs."""

import re
import tomllib

import click
import numpy as np
import pytest
from typer.main import get_command

from fedsecure import cli
from fedsecure.compute.programs.program_file import ProgramFile
from fedsecure.core.mpc import evaluate, ring
from fedsecure.core.mpc.program import Linear
from fedsecure.core.mpc.ring import Words
from fedsecure.core.mpc.sharing import combine
from tests.unit.docs import page

PAGE = page.read("computing.md")
TYPED = [
    line
    for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
]

FEATURES, BITS = 3, 16
MODEL = Linear(FEATURES, 1, BITS, BITS, bound=8.0, weight_bound=4.0, bias_bound=4.0)
RNG = np.random.default_rng(7)
WEIGHTS = RNG.uniform(-4, 4, (FEATURES, 1))
BIAS = np.array([[0.75]])


def served(rows: Words) -> Words:
    """What both aggregators answer to rows of any words, opened."""
    model = np.vstack(
        [ring.encode(WEIGHTS, BITS, 4.0), ring.encode(BIAS, 2 * BITS, 4.0)]
    )
    mine = RNG.integers(0, 2**64, rows.shape, np.uint64)
    return combine(
        evaluate.linear(MODEL, model, mine, first=True),
        evaluate.linear(MODEL, model, rows - mine, first=False),
    )


def test_as_many_answers_as_features_and_one_more_are_the_model() -> None:
    rows = RNG.uniform(-8, 8, (FEATURES + 1, FEATURES))
    answers = ring.decode(served(ring.encode(rows, BITS, 8.0)), 2 * BITS)
    equations = np.hstack([rows, np.ones((FEATURES + 1, 1))])
    found = np.linalg.solve(equations, answers)
    np.testing.assert_allclose(found, np.vstack([WEIGHTS, BIAS]), atol=1e-3)


def test_a_client_that_packs_weights_into_one_answer_needs_fewer() -> None:
    nothing = np.zeros((1, FEATURES), np.uint64)
    places = np.array([[1, 2**21, 2**42]], np.uint64)  # no number of any patient
    packed = int((served(places) - served(nothing))[0, 0])
    found = []
    for _ in range(FEATURES):
        word = ((packed & (2**21 - 1)) ^ 2**20) - 2**20  # signed, 21 bits
        found.append(word)
        packed = (packed - word) >> 21
    wanted = ring.encode(WEIGHTS, BITS, 4.0).view(np.int64).ravel().tolist()
    assert found == wanted


@pytest.mark.parametrize("line", TYPED)
def test_a_command_of_the_page_can_be_typed(line: str) -> None:
    """Words and options are known; tests/e2e/test_review.py runs them in real."""
    cli._mount()
    program, *words = line.split()
    assert program == "fedsecure"
    command: click.Command = get_command(cli.app)
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, line
        command = found
    command.make_context("fedsecure", list(words), resilient_parsing=True)
    known = {name for one in command.params for name in one.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_program_of_the_page_is_one() -> None:
    (text,) = re.findall(r"<!-- program -->\n```toml\n(.*?)```", PAGE, re.DOTALL)
    compiled = ProgramFile.model_validate(tomllib.loads(text)).compiled("clinic")
    assert {one.owner for one in compiled.circuit.inputs} == {"basel", "bern"}
    assert list(compiled.circuit.outputs) != []


def test_the_page_says_of_everybody_what_they_learn() -> None:
    (table,) = re.findall(r"<!-- who learns what -->\n(.*?)\n\n", PAGE, re.DOTALL)
    rows = page.table(table)
    assert len(rows) == 7
    assert all(len(row) == 4 and all(row) for row in rows)
