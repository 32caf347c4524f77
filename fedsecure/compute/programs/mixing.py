"""Whose numbers hide whose in the outputs of a circuit.

An output that depends on the numbers of several parties tells them apart all the same
if one's vanish (times 0), cancel (a + b - b), lie beside the others (2**30 a + b), or
come twice (a + b and a - b). So a party's input counts as a mask of another's numbers
only where both are added, and

    (1) it is used once in the whole program, and so is whatever was made of it before
    (2) it has the rows and columns of the sum: each of its numbers hides one number
    (3) until then it passed sums, negations, shifts and products with one known number
    (4) it blurs: its largest word reaches a step of what it hides
    (5) it leaves no remainder: what it hides is known at most modulo `MODULUS` steps

A step is by how much words change when a number changes by its last bit: a number times
3 has steps of 3. Whatever is made of a sum that is hidden is hidden, too.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import gcd
from typing import Final

import numpy as np

from fedsecure.core.mpc.plan import Plan
from fedsecure.core.mpc.program import Circuit, Operation, Program
from fedsecure.core.mpc.ring import Shape, Words

MODULUS: Final = 16  # of a + 3 b the receiver learns a modulo 3 steps


@dataclass(frozen=True, slots=True)
class Mask:
    """An input that may hide others': its owner, its steps, and how far it reaches."""

    owner: str
    step: int
    reach: int

    def times(self, factor: int) -> "Mask":
        """Return it after a product with one known number."""
        return Mask(self.owner, self.step * factor, self.reach * factor)

    def hides(self, steps: frozenset[int]) -> bool:
        """Tell whether it hides numbers of these steps."""
        return all(
            self.reach >= step and self.step // gcd(self.step, step) <= MODULUS
            for step in steps
        )


@dataclass(frozen=True, slots=True)
class Part:
    """What of one party's numbers is in a value, and who hides it there.

    Args:
        steps: Of its inputs; None: nobody knows.
        hidden_by: Other parties.
    """

    steps: frozenset[int] | None
    hidden_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Mixing:
    """What a program's outputs mix.

    Args:
        program: As the spec says it.
        plan: What follows from it.
        public: Words of its public inputs, as far as they are known for certain.
    """

    program: Program
    plan: Plan
    public: Mapping[str, Words] = field(default_factory=dict, repr=False)

    def outputs_of(self, party: str) -> Iterator[str]:
        """Yield the outputs that depend on a party's secret numbers."""
        for name, value in self.plan.outputs.items():
            if party in value.owners:
                yield name

    def parties(self, output: str, me: str) -> frozenset[str]:
        """Return this party, and all whose numbers hide its in an output.

        Args:
            output: Of the program.
            me: Whose numbers are to be hidden.
        """
        if not isinstance(self.program, Circuit):
            return frozenset({me})
        part = _Walk(self, self.program, me).parts.get(output, Part(None))
        return part.hidden_by | {me}

    def hint(self, output: str, me: str) -> str:
        """Say who else is in an output, and does not hide a party's numbers there."""
        beside = self.plan.outputs[output].owners - self.parties(output, me)
        if not beside:
            return ""
        return f"; {', '.join(sorted(beside))} is in it and does not hide each number"

    def factor(self, name: str) -> int | None:
        """Return the one number, without its sign, that a public value holds, in words.

        None: it is not known, or it holds several.
        """
        words = self.public.get(name)
        if words is None:
            return None
        found = np.unique(np.abs(words.view(np.int64)))
        return int(found[0]) if len(found) == 1 else None


class _Walk:
    """One party's parts in all values, and the masks that are left in each."""

    def __init__(self, mixing: Mixing, program: Circuit, me: str) -> None:
        self._mixing, self._me = mixing, me
        self._values = mixing.plan.values
        self._used = Counter(
            name for operation in program.operations for name in operation.of
        )
        self._used.update(program.outputs)
        secret = [one for one in program.inputs if one.secret]
        self.parts = {
            one.name: Part(frozenset({1})) for one in secret if one.owner == me
        }
        self.masks: dict[str, Sequence[Mask]] = {
            one.name: [Mask(one.owner, 1, self._values[one.name].bound)]
            for one in secret
        }
        for operation in program.operations:
            self._pass(operation)

    def _pass(self, operation: Operation) -> None:
        shape = self._values[operation.result].shape
        masks = {name: self._left(name, shape) for name in operation.of}
        parts = {name: self.parts[name] for name in operation.of if name in self.parts}
        if operation.op in {"add", "subtract"}:
            self.masks[operation.result] = [m for left in masks.values() for m in left]
            joined = [
                self._hidden(
                    part, [m for o, left in masks.items() if o != name for m in left]
                )
                for name, part in parts.items()
            ]
        else:
            factor = self._factor(operation)
            self.masks[operation.result] = [
                mask.times(factor) for left in masks.values() for mask in left if factor
            ]
            joined = [_scaled(part, factor) for part in parts.values()]
        if joined:
            self.parts[operation.result] = _joined(joined)

    def _left(self, name: str, shape: Shape) -> Sequence[Mask]:
        """Return the masks in a value that nothing else can take off again."""
        fresh = self._used[name] == 1 and self._values[name].shape == shape
        return self.masks.get(name, ()) if fresh else ()

    def _hidden(self, part: Part, masks: Sequence[Mask]) -> Part:
        steps = part.steps
        if steps is None:
            return part
        found = {m.owner for m in masks if m.owner != self._me and m.hides(steps)}
        return Part(steps, part.hidden_by | found)

    def _factor(self, operation: Operation) -> int | None:
        """Return by what all words are multiplied; None: by several, or unknown."""
        if operation.op == "negate":
            return 1
        if operation.op == "shift":
            return 1 << operation.bits
        if operation.op != "multiply":
            return None
        public = [one for one in operation.of if not self._values[one].secret]
        return self._mixing.factor(public[0]) if public else None


def _scaled(part: Part, factor: int | None) -> Part:
    if part.steps is None or factor is None:
        return Part(None, part.hidden_by)
    return Part(frozenset(step * factor for step in part.steps), part.hidden_by)


def _joined(parts: Sequence[Part]) -> Part:
    """Return the part of a sum of parts: hidden by who hides each of them."""
    known = [part.steps for part in parts if part.steps is not None]
    steps = frozenset().union(*known) if len(known) == len(parts) else None
    hidden = frozenset.intersection(*(part.hidden_by for part in parts))
    return Part(steps, hidden)
