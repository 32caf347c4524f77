"""What two servers are asked to compute: typed steps, and no numbers.

A `Circuit` names inputs, operations and outputs; a `Linear` is a model that answers
rows, x W + b. Nothing is checked here: whoever receives a program plans it
(`fedsecure.core.mpc.plan`), and a plan is had of good programs alone.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

OperationName: TypeAlias = Literal[
    "add", "subtract", "negate", "multiply", "matmul", "shift"
]
OPERATIONS: Final[tuple[OperationName, ...]] = get_args(OperationName)


@dataclass(frozen=True, slots=True)
class Input:
    """One matrix that one party gives.

    Args:
        name: As operations call it.
        owner: The party, by its name in federation.toml.
        rows: Rows.
        columns: Columns.
        fraction_bits: Bits behind the point of its numbers.
        bound: The largest number, either sign, in the owner's units.
        secret: Whether it is shared; else both servers get the numbers as they are.
    """

    name: str
    owner: str
    rows: int
    columns: int
    fraction_bits: int
    bound: float
    secret: bool = True


@dataclass(frozen=True, slots=True)
class Operation:
    """One step: `result` becomes what `op` makes of the values named in `of`.

        add, subtract  two values of one shape and as many fraction bits
        negate         one value
        multiply       two values, element by element, not both secret
        matmul         two values, not both secret
        shift          one value, with `bits` more fraction bits: the same numbers

    A value of one row and one column is a scalar for add, subtract and multiply.
    """

    op: OperationName
    result: str
    of: tuple[str, ...]
    bits: int = 0


@dataclass(frozen=True, slots=True)
class Circuit:
    """Inputs of any parties, operations in their order, and which results are opened.

    Args:
        inputs: In any order; names are used once, whether of inputs or results.
        operations: Each uses inputs and results of those before it.
        outputs: Names of secret values, in the order in which their words are sent.
    """

    inputs: tuple[Input, ...]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear model that answers rows: logits = x W + b.

    Its one input, MODEL, has W's rows and b as the last: (features + 1, outputs)
    words, b's with the fraction bits of a product.

    Args:
        features: Numbers in a row.
        outputs: Logits of a row.
        fraction_bits: Of a row's numbers.
        weight_bits: Fraction bits of W.
        bound: The largest number of a row, either sign.
        weight_bound: The largest number of W, either sign.
        bias_bound: The largest number of b, either sign.
    """

    features: int
    outputs: int
    fraction_bits: int
    weight_bits: int
    bound: float
    weight_bound: float
    bias_bound: float

    @property
    def bias_bits(self) -> int:
        """Fraction bits of b, and of logits."""
        return self.fraction_bits + self.weight_bits


MODEL: Final = "model"  # the input of a linear model
LOGITS: Final = "logits"  # its output

Program: TypeAlias = Circuit | Linear
