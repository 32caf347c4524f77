"""The schema of a study over tables: what a row of a data owner's table means.

    version = 1

    [label]
    column = "num"
    positive = "> 0"              # or: classes = ["normal", "pneumonia"]

    [[columns]]
    name = "chol"
    type = "number"               # or "category", "boolean"
    unit = "mg/dl"
    range = [50, 700]
    missing = ["", "0"]
    impute = 240
    indicator = true
    scale = { centre = 240, spread = 50 }

The order of the columns is the order of the features.
"""

import operator
import re
from collections import Counter
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from fedsecure.study.schema.columns import (
    Bounds,
    CellError,
    Column,
    Name,
    Text,
    Values,
    index,
    number,
    require_classes,
)
from fedsecure.study.strict import Strict

MAX_COLUMNS: Final = 10_000
RULE: Final = re.compile(r"(>=|<=|==|>|<) *([+-]?\d+(?:\.\d+)?)", re.ASCII)
COMPARISONS: Final = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
}


class Label(Strict):
    """What is to be predicted: a rule over a number, or classes in order."""

    column: Name
    positive: Text | None = None
    range: Bounds | None = None
    classes: Values | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.positive is None) == (self.classes is None):
            msg = 'give either positive (such as "> 0") or classes (in order)'
            raise ValueError(msg)
        if self.positive is not None and not RULE.fullmatch(self.positive):
            msg = 'positive is a comparison with a number, such as "> 0"'
            raise ValueError(msg)
        if self.classes is not None:
            require_classes(self.classes)
        return self

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, by class number."""
        if self.classes is not None:
            return self.classes
        return (f"not {self.column} {self.positive}", f"{self.column} {self.positive}")

    def encode(self, cell: str) -> int:
        """Return the class number of one cell; run by a data owner.

        Raises:
            CellError: FS-107, the cell holds no label of this study.
        """
        try:
            return self._class_of(cell)
        except CellError as error:
            raise CellError("FS-107", error.reason) from error

    def _class_of(self, cell: str) -> int:
        if not cell:
            raise CellError("FS-107", "blank, and every row needs a label")
        rule = RULE.fullmatch(self.positive or "")
        if rule is None:
            return index(cell, self.class_names)
        value = number(cell)
        if self.range is not None and value not in self.range:
            low, high = self.range.low, self.range.high
            raise CellError("FS-107", f"a number outside {low:g} to {high:g}")
        return int(COMPARISONS[rule[1]](value, float(rule[2])))


class TableSchema(Strict):
    """The columns of a study in order, and the label."""

    SUFFIXES: ClassVar = (".csv", ".parquet")  # of a data owner's file

    kind: Literal["table"] = "table"
    version: Literal[1]
    label: Label
    columns: Annotated[tuple[Column, ...], Field(min_length=1, max_length=MAX_COLUMNS)]

    @model_validator(mode="after")
    def _every_column_once(self) -> Self:
        twice = sorted(name for name, n in Counter(self.names).items() if n > 1)
        if twice:
            msg = f"columns named twice: {', '.join(twice)}"
            raise ValueError(msg)
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of a file that the study reads, the label last."""
        return (*(column.name for column in self.columns), self.label.column)

    @property
    def reads(self) -> tuple[str, ...]:
        """What a data owner must offer: every column."""
        return self.names

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the entries of a feature vector, in order."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def width(self) -> int:
        """The length of a feature vector."""
        return len(self.feature_names)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row's features."""
        return (self.width,)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, by class number."""
        return self.label.class_names
