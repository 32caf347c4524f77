"""Which rounds of a run a person wants to see: by verdict, by date, by page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement

from fedsecure.errors import OperatorError
from fedsecure.owner.store.models import Round

PER_PAGE: Final = 100  # rounds


class Judged(StrEnum):
    """What the model owner said of a round."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NONE = "none"  # nothing yet


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a long list; page 1 holds the newest rounds."""

    number: int = 1
    size: int = PER_PAGE

    @property
    def offset(self) -> int:
        """How many newer rounds are left out."""
        return (self.number - 1) * self.size


@dataclass(frozen=True, slots=True)
class Choice:
    """Conditions on rounds; none of them: every round.

    `since` and `until` are of the proposal, in seconds since 1970.
    """

    verdict: Judged | None = None
    since: float | None = None
    until: float | None = None

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions on the table of rounds, each with its index."""
        if self.verdict is Judged.NONE:
            yield Round.verdict.is_(None)
        elif self.verdict is not None:
            yield Round.verdict == self.verdict.value
        if self.since is not None:
            yield Round.proposed_at >= self.since
        if self.until is not None:
            yield Round.proposed_at < self.until


def instant(written: str | None) -> float | None:
    """Return a date or a time that a person wrote as seconds since 1970.

    Args:
        written: Such as 2026-03-02, 2026-03-02T14:00 or 2026-03-02T15:00+01:00; UTC
            unless it says otherwise.

    Raises:
        OperatorError: FS-650 when it is neither.
    """
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise OperatorError("FS-650", f"{written!r}") from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return moment.timestamp()
