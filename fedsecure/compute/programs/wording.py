"""A job in words, for a person who is asked to share numbers in it.

The words are made from the signed program alone; a title is its proposer's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from fedsecure.compute.programs.mixing import Mixing
from fedsecure.core.mpc.program import Circuit, Linear, Operation
from fedsecure.core.mpc.ring import Numbers

SIGNS: Final = {"add": " + ", "subtract": " - ", "multiply": " * ", "matmul": " @ "}
LONGEST: Final = 200  # characters of a formula


@dataclass(frozen=True, slots=True)
class OutputInWords:
    """One output: its formula, and who is in it.

    Args:
        name: As in the program.
        formula: Of inputs by their names; public single numbers as they are.
        rows: Of the output.
        columns: Of the output.
        owners: Whose secret numbers it depends on.
        tells: What its receiver learns of one party's numbers.
    """

    name: str
    formula: str
    rows: int
    columns: int
    owners: tuple[str, ...]
    tells: str = field(default="")


def outputs_in_words(
    mixing: Mixing, public: Mapping[str, Numbers], receiver: str, me: str
) -> Iterator[OutputInWords]:
    """Yield what each output of a circuit is, and what it tells about one party.

    Args:
        mixing: What its outputs mix.
        public: Public numbers by input, as far as they are known: float64, shape
            (rows, columns).
        receiver: Who opens them.
        me: The party that is asked for numbers.
    """
    formulas = _formulas(mixing, public)
    for name, value in mixing.plan.outputs.items():
        yield OutputInWords(
            name,
            _short(formulas.get(name, name)),
            value.rows,
            value.columns,
            tuple(sorted(value.owners)),
            _tells(mixing, name, receiver, me),
        )


def _tells(mixing: Mixing, output: str, receiver: str, me: str) -> str:
    if receiver == me:
        return "you receive it"
    if me not in mixing.plan.outputs[output].owners:
        return "none of your numbers is in it"
    hiding = sorted(mixing.parties(output, me) - {me, receiver})
    if not hiding:
        return f"{receiver} can compute your numbers, or sums of them, from it"
    return f"{receiver} learns sums of yours and those of {' and '.join(hiding)}"


def _formulas(mixing: Mixing, public: Mapping[str, Numbers]) -> dict[str, str]:
    """Return the formula of every value, in terms of inputs."""
    if isinstance(mixing.program, Linear):
        return {}
    program: Circuit = mixing.program
    formulas = {one.name: _known(one.name, public) for one in program.inputs}
    for operation in program.operations:
        formulas[operation.result] = _formula(operation, formulas)
    return formulas


def _formula(operation: Operation, formulas: Mapping[str, str]) -> str:
    of = [_short(formulas[name]) for name in operation.of]
    if operation.op == "shift":  # the same numbers
        return of[0]
    if operation.op == "negate":
        return f"-{_closed(of[0])}"
    if operation.op == "add":
        return SIGNS["add"].join(of)
    if operation.op == "subtract":
        return f"{of[0]} - {_closed(of[1])}"
    return SIGNS[operation.op].join(map(_closed, of))


def _closed(formula: str) -> str:
    return f"({formula})" if " + " in formula or " - " in formula else formula


def _known(name: str, public: Mapping[str, Numbers]) -> str:
    numbers = public.get(name)
    if numbers is None or numbers.size > 1:
        return name
    return f"{numbers.item():.12g}"


def _short(formula: str) -> str:
    return formula if len(formula) <= LONGEST else f"{formula[:LONGEST]}..."
