"""The range of a value: what an operation makes of what it is given.

All bounds are exact integers, of signed words; none may reach 2**62.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from fedsecure.core.mpc.program import Operation
from fedsecure.core.mpc.ring import LIMIT, WORD_BYTES, Shape, largest_word
from fedsecure.errors import PeerError

MAX_WORDS: Final = 2**27  # of one value: 1 GiB
MAX_BITS: Final = 61  # behind the point; beyond, no number but 0 is below the limit


@dataclass(frozen=True, slots=True)
class Value:
    """What is known of a value before anybody computes it.

    Args:
        rows: Rows.
        columns: Columns.
        fraction_bits: Bits behind the point.
        bound: No signed word of it is larger, either sign.
        secret: Whether the servers hold shares of it.
        owners: Whose secret inputs it was made of.
    """

    rows: int
    columns: int
    fraction_bits: int
    bound: int
    secret: bool
    owners: frozenset[str]

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def words(self) -> int:
        """How many words it has."""
        return self.rows * self.columns

    @property
    def bytes(self) -> int:
        """Bytes of those words."""
        return self.words * WORD_BYTES


@dataclass(frozen=True, slots=True)
class Step:
    """What one operation makes, and of how many products of words."""

    result: Value
    multiplications: int = 0


def require(holds: bool, otherwise: str) -> None:
    """Check one thing about a program; if not, FS-223 says what is otherwise."""
    if not holds:
        raise PeerError("FS-223", otherwise)


def given(name: str, shape: Shape, fraction_bits: int, bound: float) -> Value:
    """Return the value that a program says it is given: public, nobody's.

    Raises:
        PeerError: FS-223 for numbers that make no sense, FS-220 for a bound that words
            cannot hold.
    """
    whole = all(type(number) is int for number in (*shape, fraction_bits))
    require(
        whole and min(shape) > 0 and 0 <= fraction_bits <= MAX_BITS,
        f"{name} has {shape[0]} rows, {shape[1]} columns and {fraction_bits} fraction "
        f"bits; use at least 1, 1 and 0, and at most {MAX_BITS} bits",
    )
    require(
        math.isfinite(bound) and bound > 0,
        f"the bound of {name} is {bound}; use a number above 0",
    )
    word = largest_word(bound, fraction_bits)
    return in_range(
        name, Value(*shape, fraction_bits, word, secret=False, owners=frozenset())
    )


def in_range(what: str, value: Value) -> Value:
    """Return the value, if words can hold its numbers, and a server's memory them.

    Raises:
        PeerError: FS-220, FS-223.
    """
    if value.bound >= LIMIT:
        raise PeerError(
            "FS-220",
            f"{what}: a word could reach {value.bound}, that is "
            f"2**{math.log2(value.bound):.1f}, and must stay below 2**62; it has "
            f"{value.fraction_bits} fraction bits",
        )
    require(
        value.words <= MAX_WORDS,
        f"{what} has {value.rows} x {value.columns} numbers, the most are {MAX_WORDS}",
    )
    require(
        value.fraction_bits <= MAX_BITS,
        f"{what} has {value.fraction_bits} fraction bits, the most are {MAX_BITS}",
    )
    return value


def step(operation: Operation, values: Mapping[str, Value]) -> Step:
    """Return what an operation makes of the values before it.

    Raises:
        PeerError: FS-223 for an operation that is not well formed, FS-220 for a result
            that words cannot hold.
    """
    what = f"{operation.op} {operation.result!r}"
    require(operation.op in _RULES, f"{what}: the operations are {', '.join(_RULES)}")
    operands, rule = _RULES[operation.op]
    require(
        len(operation.of) == operands,
        f"{what} is of {len(operation.of)} values, and takes {operands}",
    )
    for name in operation.of:
        require(name in values, f"{what} uses {name!r}, which nothing before it makes")
    shifts = operation.op == "shift"
    require(
        type(operation.bits) is int
        and (0 < operation.bits <= MAX_BITS if shifts else operation.bits == 0),
        f"{what} has bits = {operation.bits}; a shift has 1 to {MAX_BITS}, others 0",
    )
    found = rule(what, operation, [values[name] for name in operation.of])
    in_range(what, found.result)
    return found


def _sum(what: str, _: Operation, operands: list[Value]) -> Step:
    a, b = operands
    require(
        a.fraction_bits == b.fraction_bits,
        f"{what}: {a.fraction_bits} and {b.fraction_bits} fraction bits; shift the one "
        "with fewer",
    )
    shape = _broadcast(what, a, b)
    return Step(_joined(a, b, shape, a.fraction_bits, a.bound + b.bound))


def _negated(_what: str, _: Operation, operands: list[Value]) -> Step:
    return Step(operands[0])


def _shifted(_what: str, operation: Operation, operands: list[Value]) -> Step:
    value, bits = operands[0], operation.bits
    wider = replace(
        value, fraction_bits=value.fraction_bits + bits, bound=value.bound << bits
    )
    return Step(wider)


def _elementwise(what: str, _: Operation, operands: list[Value]) -> Step:
    a, b = operands
    _require_public_factor(what, a, b)
    shape = _broadcast(what, a, b)
    bits, bound = a.fraction_bits + b.fraction_bits, a.bound * b.bound
    return Step(_joined(a, b, shape, bits, bound), shape[0] * shape[1])


def _matrix_product(what: str, _: Operation, operands: list[Value]) -> Step:
    a, b = operands
    _require_public_factor(what, a, b)
    require(
        a.columns == b.rows, f"{what}: {a.columns} columns cannot meet {b.rows} rows"
    )
    bits, bound = a.fraction_bits + b.fraction_bits, a.columns * a.bound * b.bound
    result = _joined(a, b, (a.rows, b.columns), bits, bound)
    return Step(result, result.words * a.columns)


def _require_public_factor(what: str, a: Value, b: Value) -> None:
    require(
        not (a.secret and b.secret),
        f"{what}: both factors are secret. This version multiplies by public numbers "
        "alone; products of two secrets come with its next stage",
    )


def _broadcast(what: str, a: Value, b: Value) -> Shape:
    """Return the shape of what is made of two values, element by element."""
    require(
        a.shape == b.shape or 1 in (a.words, b.words),
        f"{what}: {a.rows} x {a.columns} and {b.rows} x {b.columns} do not fit; use "
        "one shape, or 1 x 1 beside it",
    )
    return b.shape if a.words == 1 else a.shape


def _joined(a: Value, b: Value, shape: Shape, bits: int, bound: int) -> Value:
    owners = a.owners | b.owners
    return Value(*shape, bits, bound, secret=a.secret or b.secret, owners=owners)


_Rule: TypeAlias = Callable[[str, Operation, list[Value]], Step]
_RULES: Final[Mapping[str, tuple[int, _Rule]]] = {
    "add": (2, _sum),
    "subtract": (2, _sum),
    "negate": (1, _negated),
    "multiply": (2, _elementwise),
    "matmul": (2, _matrix_product),
    "shift": (1, _shifted),
}
