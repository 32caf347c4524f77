"""The schema of a study over arrays: what a data owner's NPZ file holds.

version = 1
kind = "arrays"

[features]
array = "ecg"                 # its name in the file; shape (rows, 1000, 12)
shape = [1000, 12]            # of one row
dtype = "float32"
range = [-10, 10]
scale = { centre = 0, spread = 1 }

[label]
array = "rhythm"              # shape (rows,)
classes = ["sinus", "fibrillation", "other"]
type = "number"               # 0 is the first class; or "name"
"""

import math
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from fedsecure.study.schema.columns import (
    Bounds,
    Name,
    Scale,
    Values,
    require_classes,
    require_float32,
)
from fedsecure.study.strict import Strict
from fedsecure.system.wording import form

MAX_EXAMPLE: Final = 2**24  # numbers of one row

ArrayName = Annotated[Name, Field(pattern=form(r"^[^/\\]+$", "without / and \\"))]
Length = Annotated[int, Field(ge=1, le=MAX_EXAMPLE)]
DType = Literal[
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
    "float16", "float32", "float64",
]  # fmt: skip


class ArrayFeatures(Strict):
    """The section `[features]`: the one array that a model sees."""

    array: ArrayName
    shape: Annotated[tuple[Length, ...], Field(min_length=1, max_length=4)]
    dtype: DType
    range: Bounds
    scale: Scale | None = None

    @model_validator(mode="after")
    def _within_limits(self) -> Self:
        if not math.prod(self.shape) <= MAX_EXAMPLE:
            msg = f"a row of more than {MAX_EXAMPLE} numbers"
            raise ValueError(msg)
        require_float32([self.range.low, self.range.high], self.scale)
        return self


class ArrayLabel(Strict):
    """The section `[label]`: classes in order, as numbers from 0 or as names."""

    array: ArrayName
    classes: Values
    type: Literal["number", "name"] = "number"

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        require_classes(self.classes)
        return self


class ArraysSchema(Strict):
    """One array of features and one of labels, by name."""

    SUFFIXES: ClassVar = (".npz",)  # of a data owner's file

    kind: Literal["arrays"]
    version: Literal[1]
    features: ArrayFeatures
    label: ArrayLabel

    @model_validator(mode="after")
    def _two_arrays(self) -> Self:
        if self.features.array == self.label.array:
            msg = f"{self.label.array} holds either features or labels"
            raise ValueError(msg)
        return self

    @property
    def reads(self) -> tuple[str, ...]:
        """What a data owner must offer: both arrays."""
        return (self.features.array, self.label.array)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row's features."""
        return self.features.shape

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, by class number."""
        return self.label.classes
