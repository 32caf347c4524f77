"""One rule of a data owner's policy beside what a study asks for."""

from collections.abc import Callable
from dataclasses import dataclass

from fedsecure.errors import FedsecureError


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the data owner's policy beside what a study asks for.

    `code`: of the error with which the agent would refuse, or None.
    """

    name: str
    asked: str
    allowed: str
    code: str | None


def code_of(check: Callable[[], None]) -> str | None:
    """Return the code with which a check refuses, or None."""
    try:
        check()
    except FedsecureError as error:
        return error.code
    return None
