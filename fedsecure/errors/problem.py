"""What a row of the table of errors is, and a family of rows."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

ALONE: Final = (
    "Only this data owner sees it; the model owner hears `not_reported`, never why."
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the table.

    `status` is the HTTP status with which an aggregator answers it.
    """

    code: str
    title: str
    remedy: str
    status: HTTPStatus = HTTPStatus.BAD_REQUEST


@dataclass(frozen=True, slots=True)
class Family:
    """The codes up to `last` that the same people meet, for the same kind of reason.

    `answered`: an aggregator gives each of them as its answer to a request.
    """

    last: int
    name: str
    meaning: str
    answered: bool = False
