"""The hours in which an agent takes part, as people write them in `agent.toml`.

    20:00-06:00            every night; the start belongs to it, the end does not
    mon-fri 20:00-06:00    the nights that begin on Monday to Friday
    sat 00:00-24:00        all of Saturday

Times are those on the wall, so a window is an hour shorter or longer in the two nights
in which clocks change.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK: Final = len(DAYS)
MINUTES: Final = 24 * 60  # of a day
WRITTEN: Final = re.compile(
    rf"(?:({'|'.join(DAYS)})(?:-({'|'.join(DAYS)}))? +)?"
    r"([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])"
)


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the day, on some days of the week.

    Args:
        text: As it was written.
        days: On which it begins, Monday is 0.
        start: Minutes after midnight.
        end: The first minute that is outside; not after `start` if the window goes
            over midnight.
    """

    text: str
    days: frozenset[int]
    start: int
    end: int

    def holds(self, local: datetime) -> bool:
        """Tell whether a local time is inside."""
        minute, today = local.hour * 60 + local.minute, local.weekday()
        yesterday = (today - 1) % WEEK
        if self.start < self.end:
            return today in self.days and self.start <= minute < self.end
        return (today in self.days and minute >= self.start) or (
            yesterday in self.days and minute < self.end
        )


def parse_window(text: str) -> Window:
    """Read a window.

    Raises:
        ValueError: It is none, or it has no length.
    """
    found = WRITTEN.fullmatch(text)
    if found is None:
        msg = 'hours are written "20:00-06:00" or "mon-fri 20:00-06:00"'
        raise ValueError(msg)
    first, last, *clock = found.groups()
    start, end = _minute(*clock[:2]), _minute(*clock[2:])
    if start in {end, MINUTES}:
        msg = 'hours that end when they start; a whole day is "00:00-24:00"'
        raise ValueError(msg)
    return Window(text, _days(first, last), start, end)


def _minute(hour: str, minute: str) -> int:
    total = 60 * int(hour) + int(minute)
    if not total <= MINUTES:
        msg = "the last hour of a day is 24:00"
        raise ValueError(msg)
    return total


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None:
        return frozenset(range(WEEK))
    start = DAYS.index(first)
    length = (DAYS.index(last or first) - start) % WEEK + 1
    return frozenset((start + day) % WEEK for day in range(length))


def _window(value: object) -> object:
    return parse_window(value) if isinstance(value, str) else value


def _zone(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ZoneInfo(value)
    except (OSError, ValueError, LookupError) as error:
        msg = 'no time zone of this machine; write "Europe/Zurich", for instance'
        raise ValueError(msg) from error


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Hours = Annotated[
    tuple[Annotated[Window, BeforeValidator(_window)], ...],
    BeforeValidator(_listed),
    Field(strict=False, min_length=1),
]
"""One window, or a list of them: it is within the hours if one of them holds it."""

Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]
