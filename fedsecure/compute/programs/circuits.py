"""A formula as a circuit: its inputs, its operations in their order, public numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fedsecure.compute.programs.expressions import Logical, Public, Secret, largest
from fedsecure.core.mpc.program import Circuit, Input, Operation
from fedsecure.core.mpc.ring import Numbers


@dataclass(frozen=True)
class Compiled:
    """A circuit, and the public numbers in it; its values are named as they were given.

    Args:
        circuit: What both aggregators compute.
        public: Public numbers by input: shape (rows, columns), float64.
        shapes: As numpy has them, of each output.
    """

    circuit: Circuit
    public: Mapping[str, Numbers] = field(repr=False)
    shapes: Mapping[str, Logical]


def compile_outputs(outputs: Mapping[str, Secret], proposer: str) -> Compiled:
    """Return the circuit that makes outputs of the inputs in them.

    Args:
        outputs: By the name that each is to have. One that is an input itself keeps
            the input's name.
        proposer: Gives all public numbers.
    """
    build = _Build(proposer, {name: one for name, one in outputs.items() if one.step})
    named = {build.value(one): one.shape for one in outputs.values()}
    circuit = Circuit(tuple(build.inputs), tuple(build.operations), tuple(named))
    return Compiled(circuit, build.public, named)


class _Build:
    """A circuit under way."""

    def __init__(self, proposer: str, roots: Mapping[str, Secret]) -> None:
        self.inputs: list[Input] = []
        self.operations: list[Operation] = []
        self.public: dict[str, Numbers] = {}
        self._proposer = proposer
        self._roots = {id(one): name for name, one in roots.items()}
        self._names: dict[int, str] = {}
        self._taken = set(roots)
        for one in roots.values():
            self._taken |= {leaf.name for leaf in _leaves(one)}

    def value(self, one: "Secret | Public") -> str:
        """Return the name of a value, once it is in the circuit."""
        if id(one) not in self._names:
            self._names[id(one)] = self._made(one)
        return self._names[id(one)]

    def _made(self, one: "Secret | Public") -> str:
        if isinstance(one, Public):
            return self._given_public(one)
        if one.step is None:
            rows, columns = one.matrix
            self.inputs.append(
                Input(one.name, one.owner, rows, columns, one.fraction_bits, one.bound)
            )
            return one.name
        of = tuple(self.value(part) for part in one.step.of)
        name = self._roots.get(id(one)) or self._fresh("v")
        self.operations.append(Operation(one.step.op, name, of, one.step.bits))
        return name

    def _given_public(self, one: Public) -> str:
        name = self._fresh("p")
        rows, columns = one.matrix
        bound = max(largest(one.numbers), 2.0**-one.fraction_bits)
        self.inputs.append(
            Input(
                name,
                self._proposer,
                rows,
                columns,
                one.fraction_bits,
                bound,
                secret=False,
            )
        )
        self.public[name] = one.numbers
        return name

    def _fresh(self, letter: str) -> str:
        number = 1
        while f"{letter}{number}" in self._taken:
            number += 1
        self._taken.add(f"{letter}{number}")
        return f"{letter}{number}"


def _leaves(one: "Secret | Public") -> Iterator[Secret]:
    seen, left = set(), [one]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, Public):
            continue
        seen.add(id(one))
        if one.step is None:
            yield one
        else:
            left += one.step.of
