"""What a field of a statement may hold: its type, its form and its limits.

Canonical JSON (RFC 8785) carries integers exactly up to 2**53 - 1, and numbers that are
finite; the other limits are ours, so that every party refuses the same.
"""

from typing import Annotated, Any, Final

import rfc8785
from pydantic import AfterValidator, Field

from fedsecure.system.wording import form

MAX_INTEGER: Final = 2**53 - 1  # the largest that canonical JSON carries exactly
MAX_DIMENSION: Final = 2**31  # parameters
MAX_SCALARS: Final = 1024
MAX_DEPTH: Final = 32  # objects and lists in one another, the payload being the first
MAX_RANGES: Final = 4096

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Positive = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Time = Count
Finite = Annotated[float, Field(allow_inf_nan=False)]
PositiveFinite = Annotated[float, Field(gt=0, allow_inf_nan=False)]
RunId = Annotated[
    str,
    Field(
        pattern=form(
            r"^[a-z0-9][a-z0-9-]{0,62}$",
            "of a to z, 0 to 9 and hyphens, 63 characters at most",
        )
    ),
]
Label = Annotated[
    str,
    Field(
        pattern=form(
            r"^[a-zA-Z0-9][a-zA-Z0-9_./-]{0,62}$",
            "of letters, digits and _ . / -, 63 characters at most",
        )
    ),
]
Text = Annotated[
    str,
    Field(
        pattern=form(r"^[^\p{Cc}\p{Cf}]*$", "without control characters"),
        min_length=1,
        max_length=200,
    ),
]
"""One line for people; nothing in it steers a terminal or turns the writing round."""


def _not_too_deep(value: Any, depth: int = 2) -> Any:
    # A limit of ours: each JSON library has another, and some have none.
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            msg = f"it nests more than {MAX_DEPTH} deep"
            raise ValueError(msg)
        for item in value.values() if isinstance(value, dict) else value:
            _not_too_deep(item, depth + 1)
    return value


def _as_doubles(value: Any) -> Any:
    # Canonical JSON writes doubles up to 1e21 without a point, so they are read as
    # integers; beyond 2**53 they must become doubles again, or have no such form.
    if isinstance(value, dict):
        return {key: _as_doubles(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_doubles(item) for item in value]
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        if not abs(value) < 10**21 or rfc8785.dumps(float(value)) != b"%d" % value:
            msg = "an integer is beyond 2**53"
            raise ValueError(msg)
        return float(value)
    return value


Body = Annotated[
    dict[str, Any], AfterValidator(_not_too_deep), AfterValidator(_as_doubles)
]
