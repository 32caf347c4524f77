"""Which rounds of a run a person wants to see: by verdict, by date, by page."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, TableClause

from fedsecure.errors import OperatorError

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
    """Conditions on v_round; none of them: every round.

    `since` and `until` are instants in the views' own form, of the proposal.
    """

    verdict: Judged | None = None
    since: str | None = None
    until: str | None = None

    def conditions(self, view: TableClause) -> Iterator[ColumnElement[Any]]:
        """Yield the conditions as SQL."""
        if self.verdict is Judged.NONE:
            yield view.c.verdict.is_(None)
        elif self.verdict is not None:
            yield view.c.verdict == self.verdict.value
        if self.since is not None:
            yield view.c.proposed_at >= self.since
        if self.until is not None:
            yield view.c.proposed_at < self.until


def instant(written: str | None) -> str | None:
    """Return a date or a time that a person wrote as the views write it, in UTC.

    Args:
        written: Such as 2026-03-02, 2026-03-02T14:00 or 2026-03-02T15:00+01:00.

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
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
