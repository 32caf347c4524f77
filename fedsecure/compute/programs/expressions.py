"""Formulas over secret numbers, written as Python.

    x = Secret.given("ages", "basel", (10, 1), bound=120.0)
    total = x + 3 * y

Nothing is computed by a formula: it is what both aggregators will compute, on shares,
as a circuit (`circuits`).

Fixed point: a value's number is its word by 2**fraction_bits.
A sum needs two values of as many bits, so the one with fewer is shifted; a product has
the bits of both, which nobody cuts off. A public factor gets as many bits as it needs
to be exact, at most as many that the result is right to one step of the secret's; less
where words have no more room.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from fedsecure.core.mpc.program import OperationName
from fedsecure.core.mpc.ring import Numbers, Shape
from fedsecure.errors import OperatorError

FRACTION_BITS: Final = 16
BOUND: Final = 1024.0  # of a secret number, where nothing else is said
ROOM: Final = 59  # bits of a product's largest word that a factor may fill
MOST_BITS: Final = 48  # of a public number

Logical: TypeAlias = tuple[int, ...]  # the shape as numpy has it, at most 2 axes


@dataclass(frozen=True, eq=False)
class Secret:
    """A matrix of secret numbers, or what is made of some; made by nobody yet.

    Args:
        shape: As of a numpy array: of none, one or two axes.
        matrix: Rows and columns that it has in a circuit; one axis is a column, or
            the row that a product with a row is.
        fraction_bits: Of its words.
        bound: The largest number, either sign.
        step: What makes it; None: it is an input.
    """

    shape: Logical
    matrix: Shape
    fraction_bits: int
    bound: float
    name: str = ""
    owner: str = ""
    step: "Step | None" = field(default=None, repr=False)

    __array_ufunc__ = None  # so that numpy's arrays leave + and * to this class

    @classmethod
    def given(
        cls,
        name: str,
        owner: str,
        shape: Logical,
        bound: float = BOUND,
        fraction_bits: int = FRACTION_BITS,
    ) -> "Secret":
        """Return an input that a party will give.

        Raises:
            OperatorError: FS-223 for more than two axes.
        """
        return cls(shape, matrix_of(shape), fraction_bits, bound, name, owner)

    def __add__(self, other: "Operand") -> "Secret":
        """Add a secret of the same shape, or public numbers."""
        return _sum("add", self, other)

    def __radd__(self, other: "Operand") -> "Secret":
        """Add public numbers."""
        return _sum("add", self, other)

    def __sub__(self, other: "Operand") -> "Secret":
        """Subtract a secret of the same shape, or public numbers."""
        return _sum("subtract", self, other)

    def __rsub__(self, other: "Operand") -> "Secret":
        """Subtract from public numbers."""
        return _sum("add", -self, other)

    def __neg__(self) -> "Secret":
        """Turn the sign."""
        return _made(
            self.shape, self.matrix, self.fraction_bits, self.bound, "negate", self
        )

    def __mul__(self, other: "Operand") -> "Secret":
        """Multiply by public numbers, one by one."""
        return _product(self, other)

    def __rmul__(self, other: "Operand") -> "Secret":
        """Multiply by public numbers, one by one."""
        return _product(self, other)

    def __matmul__(self, other: "Operand") -> "Secret":
        """Multiply by a public matrix or vector from the right."""
        return _matmul_right(self, other)

    def __rmatmul__(self, other: "Operand") -> "Secret":
        """Multiply by a public matrix or vector from the left."""
        return _matmul_left(self, other)

    def __bool__(self) -> bool:
        """Refuse to decide anything by secret numbers."""
        msg = "nobody knows the numbers before they are opened"
        raise TypeError(msg)


@dataclass(frozen=True, eq=False)
class Public:
    """Numbers that both aggregators know: shape (rows, columns), float64."""

    numbers: Numbers
    fraction_bits: int

    @property
    def matrix(self) -> Shape:
        """Rows and columns."""
        rows, columns = self.numbers.shape
        return rows, columns


Operand: TypeAlias = Secret | ArrayLike


@dataclass(frozen=True, eq=False)
class Step:
    """An operation that makes a value of one or two others."""

    op: OperationName
    of: tuple["Secret | Public", ...]
    bits: int = 0


def matrix_of(shape: Logical) -> Shape:
    """Return the rows and columns of what has none, one or two axes.

    Raises:
        OperatorError: FS-223 for more.
    """
    if len(shape) > 2:
        raise OperatorError("FS-223", f"{len(shape)} axes; the most are 2")
    rows, columns = (*shape, 1, 1)[:2]
    return rows, columns


def _sum(op: OperationName, a: Secret, other: Operand) -> Secret:
    if not isinstance(other, Secret):
        return _sum_public(op, a, _numbers(other))
    b = other
    if a.shape != b.shape and () not in (a.shape, b.shape):
        raise OperatorError("FS-223", f"shapes {a.shape} and {b.shape} differ")
    if a.matrix != b.matrix and (1, 1) not in (a.matrix, b.matrix):
        raise OperatorError("FS-223", "one of both is a row, the other a column")
    bits = max(a.fraction_bits, b.fraction_bits)
    wide = b if a.matrix == (1, 1) else a
    shape = b.shape if a.shape == () else a.shape
    parts = _shifted(a, bits), _shifted(b, bits)
    return _made(shape, wide.matrix, bits, a.bound + b.bound, op, *parts)


def _sum_public(op: OperationName, a: Secret, numbers: Numbers) -> Secret:
    if numbers.shape not in ((), a.shape):
        raise OperatorError("FS-223", f"shapes {a.shape} and {numbers.shape} differ")
    bits = max(a.fraction_bits, min(_exact_bits(numbers), FRACTION_BITS))
    matrix = a.matrix if numbers.shape else (1, 1)
    known = Public(numbers.reshape(matrix), bits)
    bound = a.bound + largest(numbers)
    return _made(a.shape, a.matrix, bits, bound, op, _shifted(a, bits), known)


def _product(a: Secret, other: Operand) -> Secret:
    numbers = _numbers(other)
    if numbers.shape not in ((), a.shape) and a.shape != ():
        raise OperatorError("FS-223", f"shapes {a.shape} and {numbers.shape} differ")
    shape = a.shape or numbers.shape
    matrix = a.matrix if numbers.shape == a.shape else matrix_of(numbers.shape)
    known = _factor(a, numbers.reshape(matrix), 1)
    result = a.matrix if a.shape else matrix_of(shape)
    bound = a.bound * max(largest(numbers), 2.0**-known.fraction_bits)
    bits = a.fraction_bits + known.fraction_bits
    return _made(shape, result, bits, bound, "multiply", a, known)


def _matmul_right(a: Secret, other: Operand) -> Secret:
    numbers = _numbers(other)
    if a.shape == () or numbers.shape == ():
        raise OperatorError("FS-223", "@ takes matrices and vectors; for one number: *")
    if len(a.shape) == 1:  # a row of it would have to be made: x @ W is W.T @ x
        return _matmul_left(a, numbers.T)
    if numbers.shape[0] != a.shape[1]:
        raise OperatorError(
            "FS-223", f"shapes {a.shape} and {numbers.shape} do not meet"
        )
    known = _factor(a, numbers.reshape(matrix_of(numbers.shape)), a.shape[1])
    shape = (a.shape[0], *numbers.shape[1:])
    result = a.matrix[0], known.matrix[1]
    return _multiplied(shape, result, a, known, (a, known))


def _matmul_left(a: Secret, other: Operand) -> Secret:
    numbers = _numbers(other)
    if a.shape == () or numbers.shape == ():
        raise OperatorError("FS-223", "@ takes matrices and vectors; for one number: *")
    if numbers.shape[-1] != a.shape[0]:
        raise OperatorError(
            "FS-223", f"shapes {numbers.shape} and {a.shape} do not meet"
        )
    shape = (*numbers.shape[:-1], *a.shape[1:])
    left = numbers.reshape(-1, a.shape[0])
    if a.matrix[0] != a.shape[0]:  # a row, and what it meets is known: turn that
        known = _factor(a, left.T, a.shape[0])
        return _multiplied(shape, (1, known.matrix[1]), a, known, (a, known))
    known = _factor(a, left, a.shape[0])
    result = known.matrix[0], a.matrix[1]
    return _multiplied(shape, result, a, known, (known, a))


def _multiplied(
    shape: Logical,
    matrix: Shape,
    a: Secret,
    known: Public,
    of: tuple["Secret | Public", "Secret | Public"],
) -> Secret:
    inner = known.numbers.size // (known.matrix[1] if of[0] is a else known.matrix[0])
    most = max(largest(known.numbers), 2.0**-known.fraction_bits)
    bits = a.fraction_bits + known.fraction_bits
    return _made(shape, matrix, bits, inner * a.bound * most, "matmul", *of)


def _made(
    shape: Logical,
    matrix: Shape,
    bits: int,
    bound: float,
    op: OperationName,
    *of: "Secret | Public",
) -> Secret:
    return Secret(shape, matrix, bits, bound, step=Step(op, of))


def _shifted(a: Secret, bits: int) -> Secret:
    if a.fraction_bits == bits:
        return a
    step = Step("shift", (a,), bits - a.fraction_bits)
    return Secret(a.shape, a.matrix, bits, a.bound, step=step)


def _factor(a: Secret, numbers: Numbers, inner: int) -> Public:
    """Give a public factor its fraction bits; shape (rows, columns), float64."""
    most = max(largest(numbers), 2.0**-MOST_BITS)
    wanted = a.fraction_bits + 1 + math.ceil(math.log2(max(a.bound, 1.0) * inner))
    filled = a.fraction_bits + math.ceil(math.log2(a.bound * most * inner))
    room = max(ROOM - filled, FRACTION_BITS)
    return Public(numbers, min(_exact_bits(numbers), wanted, room, MOST_BITS))


def _exact_bits(numbers: Numbers) -> int:
    """Return with how few fraction bits all numbers are exact; 1074 at most."""
    for bits in range(MOST_BITS):
        if np.array_equal(np.rint(np.ldexp(numbers, bits)), np.ldexp(numbers, bits)):
            return bits
    return MOST_BITS


def largest(numbers: Numbers) -> float:
    """Return the largest of numbers, either sign; any shape, float64."""
    return float(np.max(np.abs(numbers), initial=0.0))


def _numbers(other: Any) -> Numbers:
    """Return public numbers of none, one or two axes, float64.

    Raises:
        OperatorError: FS-223 for anything else, such as another secret.
    """
    if isinstance(other, Secret):
        raise OperatorError(
            "FS-223",
            "a product of two secrets: this version multiplies by public numbers alone",
        )
    try:
        numbers = np.asarray(other, np.float64)
    except (TypeError, ValueError) as error:
        raise OperatorError(
            "FS-223", f"{type(other).__name__} is no numbers"
        ) from error
    matrix_of(numbers.shape)
    if not (np.isfinite(numbers).all() and numbers.size):
        raise OperatorError("FS-223", "a public number is not finite, or there is none")
    return numbers
