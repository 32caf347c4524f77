"""All rows of the table in one place, and the family of each."""

from typing import Final

from fedsecure.errors import (
    configuration,
    data,
    numbers,
    policies,
    records,
    rounds,
    servers,
    statements,
)
from fedsecure.errors.problem import Family, Problem

_HUNDREDS: Final = (
    data,
    numbers,
    rounds,
    policies,
    servers,
    records,
    statements,
    configuration,
)
PROBLEMS: Final[dict[str, Problem]] = {
    row.code: row for hundred in _HUNDREDS for row in hundred.PROBLEMS
}
"""Every problem by its code, in the order of the codes."""
FAMILIES: Final[tuple[Family, ...]] = tuple(
    family for hundred in _HUNDREDS for family in hundred.FAMILIES
)
"""Every family; the first whose `last` is not below a code's number is the code's."""


def family(code: str) -> Family:
    """Return the one family that a code belongs to."""
    return next(one for one in FAMILIES if int(code[3:]) <= one.last)
