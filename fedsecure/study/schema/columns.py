"""The kinds of columns, and what each makes of the text in one cell.

A column's type is fixed here, by the study, and never by what one file holds: pandas
reads a column of TRUE and FALSE as booleans at one hospital and, where a cell is blank,
as text at the next. So a cell is always text, and one rule turns it into numbers.

A cell is stripped of surrounding blanks first. A missing code is compared as text, and
as a number where it is one, so that "0" also covers "0.0". A column without missing
codes takes no blank.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from fedsecure.study.strict import Strict

MAX_VALUES: Final = 4096  # categories or classes of one column
NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
LARGEST: Final = 3.4e38  # that a float32 holds


def _printable(text: str) -> str:
    # A schema comes over the network, and its names stand in errors on a screen.
    _require(text.isprintable(), "a character that cannot be printed")
    return text


Text = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Values = Annotated[tuple[Name, ...], Field(min_length=1, max_length=MAX_VALUES)]
Codes = Annotated[tuple[Text, ...], Field(max_length=MAX_VALUES)]


class CellError(ValueError):
    """A cell does not fit its column.

    The reason describes the kind of value and never repeats it, for it is a data
    owner's.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Bounds(Strict):
    """A closed interval, written `[low, high]` in a file."""

    low: float
    high: float

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: object) -> object:
        if isinstance(value, list) and len(value) == 2:
            return {"low": value[0], "high": value[1]}
        return value

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if not self.low < self.high:
            msg = f"{self.low} is not below {self.high}"
            raise ValueError(msg)
        return self

    def __contains__(self, value: float) -> bool:
        """Tell whether `value` lies in the interval; NaN does not."""
        return self.low <= value <= self.high


class Scale(Strict):
    """Public constants that bring a number near 1: (x - centre) / spread."""

    centre: float
    spread: Annotated[float, Field(gt=0)]


def scaled(value: float, scale: Scale | None) -> float:
    """Return a number as a model sees it."""
    return value if scale is None else (value - scale.centre) / scale.spread


class NumberColumn(Strict):
    """A measured number."""

    type: Literal["number"]
    name: Name
    unit: Text = ""
    range: Bounds
    scale: Scale | None = None
    missing: Codes = ()
    impute: float | None = None
    indicator: bool = False

    @model_validator(mode="after")
    def _imputes_what_may_be_missing(self) -> Self:
        _require(
            (self.impute is not None) == bool(self.missing),
            "impute says what stands for a missing value: set it with missing, "
            "and only then",
        )
        _require(self.missing or not self.indicator, "indicator needs missing")
        values = (self.range.low, self.range.high, self.impute or 0.0)
        require_float32(values, self.scale)
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that one cell becomes."""
        return (self.name, f"{self.name} missing")[: 1 + self.indicator]

    def encode(self, cell: str) -> tuple[float, ...]:
        """Return the features of one cell; run by a data owner.

        Raises:
            CellError: FS-103 not a number, FS-104 out of range, FS-106 blank.
        """
        if is_missing(cell, self.missing):
            return self._features(self.impute or 0.0, missing=True)
        value = number(cell)
        if value not in self.range:
            low, high = self.range.low, self.range.high
            raise CellError("FS-104", f"a number outside {low:g} to {high:g}")
        return self._features(value, missing=False)

    def _features(self, value: float, *, missing: bool) -> tuple[float, ...]:
        return (scaled(value, self.scale), float(missing))[: 1 + self.indicator]


class CategoryColumn(Strict):
    """One of some values, in the study's order; one feature a value."""

    type: Literal["category"]
    name: Name
    values: Values
    missing: Codes = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _require_distinct(self.values + self.missing)
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that one cell becomes."""
        return tuple(f"{self.name} = {value}" for value in self.values)

    def encode(self, cell: str) -> tuple[float, ...]:
        """Return 1 for the cell's value, 0 for others, only 0 for a missing one.

        Raises:
            CellError: FS-105 unknown value, FS-106 blank.
        """
        if is_missing(cell, self.missing):
            return (0.0,) * len(self.values)
        chosen = index(cell, self.values)
        return tuple(float(chosen == place) for place in range(len(self.values)))


class BooleanColumn(Strict):
    """Yes or no, in spellings that the study accepts."""

    type: Literal["boolean"]
    name: Name
    true: Values = ("TRUE", "True", "true", "1", "yes")
    false: Values = ("FALSE", "False", "false", "0", "no")
    missing: Codes = ()
    impute: float | None = None
    indicator: bool = False

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        _require_distinct(self.true + self.false + self.missing)
        _require(
            (self.impute is not None) == bool(self.missing),
            "impute (0 to 1) stands for a missing value: set it with missing, "
            "and only then",
        )
        _require(self.missing or not self.indicator, "indicator needs missing")
        return self

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that one cell becomes."""
        return (self.name, f"{self.name} missing")[: 1 + self.indicator]

    def encode(self, cell: str) -> tuple[float, ...]:
        """Return 1 for yes and 0 for no.

        Raises:
            CellError: FS-105 another spelling, FS-106 blank.
        """
        if is_missing(cell, self.missing):
            return (self.impute or 0.0, 1.0)[: 1 + self.indicator]
        chosen = index(cell, self.true + self.false)
        return (float(chosen < len(self.true)), 0.0)[: 1 + self.indicator]


Column = Annotated[
    NumberColumn | CategoryColumn | BooleanColumn, Field(discriminator="type")
]


def is_missing(cell: str, codes: Codes) -> bool:
    """Tell whether a cell holds one of the missing codes.

    Raises:
        CellError: FS-106, the cell is blank and blank is not a missing code.
    """
    if cell in codes or _same_number(cell, codes):
        return True
    if not cell:
        raise CellError("FS-106", "blank, and the study takes no blank here")
    return False


def _same_number(cell: str, codes: Codes) -> bool:
    if not NUMBER.fullmatch(cell):
        return False
    return any(float(cell) == float(code) for code in codes if NUMBER.fullmatch(code))


def number(cell: str) -> float:
    """Return the number in a cell.

    Raises:
        CellError: FS-103, not a number with a decimal point.
    """
    if not NUMBER.fullmatch(cell):
        comma = NUMBER.fullmatch(cell.replace(",", ".", 1))
        kind = "a decimal comma" if comma else "text"
        raise CellError("FS-103", f"{kind} where a number is expected")
    return float(cell)


def index(cell: str, values: Values) -> int:
    """Return the place of a cell among `values`.

    Raises:
        CellError: FS-105, it is none of them.
    """
    try:
        return values.index(cell)
    except ValueError:
        reason = f"a value that is none of: {listed(values)}"
        if cell.casefold() in map(str.casefold, values):
            reason = f"a value in other capitals than: {listed(values)}"
        raise CellError("FS-105", reason) from None


def listed(values: Values) -> str:
    """Return the first of the values, for an error."""
    return ", ".join(values[:8]) + (", ..." if len(values) > 8 else "")


def require_classes(classes: Values) -> None:
    """Check the classes of a label.

    Raises:
        ValueError: There is only one, or two of one name.
    """
    distinct = 2 <= len(set(classes)) == len(classes)
    _require(distinct, "classes are two or more different names")


def require_float32(values: Iterable[float], scale: Scale | None) -> None:
    """Check that a model can take the ends of a range.

    Raises:
        ValueError: One of them, scaled, is no float32.
    """
    for value in values:
        fits = abs(scaled(value, scale)) <= LARGEST
        _require(fits, f"{value:g} is too large for a float32 once it is scaled")


def _require(holds: object, message: str) -> None:
    if not holds:
        raise ValueError(message)


def _require_distinct(values: tuple[str, ...]) -> None:
    twice = sorted(value for value, n in Counter(values).items() if n > 1)
    _require(not twice, f"listed twice: {', '.join(map(repr, twice))}")
