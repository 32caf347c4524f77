"""The hours of a policy, against the clock on the wall."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st
from pydantic import ValidationError

from fedsecure.errors import PeerError
from fedsecure_clients.consent.hours import DAYS, MINUTES, parse_window
from fedsecure_clients.consent.policy import Policy

MONDAY = datetime(2026, 11, 23)
TIMES = st.integers(0, MINUTES - 1)
ENDS = st.integers(1, MINUTES)
MOMENTS = st.integers(0, 7 * MINUTES - 1)


def written(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def minutes_of(days: list[int], start: int, end: int) -> set[int]:
    """Count out every minute of a week that a window holds."""
    length = end - start if start < end else end - start + MINUTES
    week = 7 * MINUTES
    return {
        (day * MINUTES + start + offset) % week
        for day in days
        for offset in range(length)
    }


@given(
    TIMES, ENDS, st.none() | st.integers(0, 6), st.none() | st.integers(0, 6), MOMENTS
)
def test_a_window_holds_the_minutes_that_it_counts_out(
    start: int, end: int, first: int | None, last: int | None, moment: int
) -> None:
    if start == end:
        end = end % MINUTES + 1
    text, days = f"{written(start)}-{written(end)}", list(range(7))
    if first is not None:
        last = first if last is None else last
        text = f"{DAYS[first]}-{DAYS[last]} {text}"
        days = [(first + step) % 7 for step in range((last - first) % 7 + 1)]
    local = MONDAY + timedelta(minutes=moment, seconds=moment % 60)
    expected = moment in minutes_of(days, start, end)
    assert parse_window(text).holds(local) == expected


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("20:00-06:00", ["mon 20:00", "tue 05:59", "sun 00:00"], ["mon 06:00"]),
        ("mon-fri 20:00-06:00", ["fri 23:00", "sat 05:00"], ["sat 20:00", "mon 05:00"]),
        ("sat 00:00-24:00", ["sat 00:00", "sat 23:59"], ["sun 00:00", "fri 23:59"]),
        ("sat-mon 12:00-13:00", ["sun 12:30", "mon 12:00"], ["tue 12:30"]),
    ],
)
def test_hours_mean_what_people_read(
    text: str, inside: list[str], outside: list[str]
) -> None:
    def at(moment: str) -> datetime:
        day, time = moment.split()
        hour, minute = time.split(":")
        offset = timedelta(days=DAYS.index(day), hours=int(hour), minutes=int(minute))
        return MONDAY + offset

    window = parse_window(text)
    assert all(window.holds(at(moment)) for moment in inside)
    assert not any(window.holds(at(moment)) for moment in outside)


@pytest.mark.parametrize(
    "text",
    [
        "", "20:00", "20-06", "8:00-9:00", "20:60-21:00", "25:00-26:00",
        "24:00-06:00", "20:00-24:01", "06:00-06:00", "Mon 20:00-06:00",
        "mon,tue 20:00-06:00", "mon-20:00-06:00", " 20:00-06:00", "20:00-06:00\n",
    ],
)  # fmt: skip
def test_what_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="hours"):
        Policy.model_validate({"hours": text})


def test_one_of_several_windows_is_enough() -> None:
    policy = Policy.model_validate(
        {"hours": ["06:00-07:00", "sun 20:00-22:00"], "timezone": "UTC"}
    )
    for hour in (6, 21):
        policy.require_hour(datetime(2026, 11, 22, hour, tzinfo=UTC).timestamp())
    with pytest.raises(PeerError, match=r"FS-415.*Sun 22:00.*06:00-07:00, sun 20:00"):
        policy.require_hour(datetime(2026, 11, 22, 22, tzinfo=UTC).timestamp())


def test_hours_are_those_of_the_time_zone() -> None:
    night = {"hours": "20:00-06:00"}
    moment = datetime(2026, 7, 1, 19, tzinfo=UTC).timestamp()  # 21:00 in Zurich
    Policy.model_validate({**night, "timezone": "Europe/Zurich"}).require_hour(moment)
    with pytest.raises(PeerError, match="FS-415"):
        Policy.model_validate({**night, "timezone": "UTC"}).require_hour(moment)


@given(st.integers(0, 2**32))
def test_a_clock_that_is_set_forward_or_back_breaks_nothing(moment: int) -> None:
    zone = ZoneInfo("Europe/Zurich")
    local = datetime.fromtimestamp(moment, zone)
    policy = Policy.model_validate(
        {"hours": "00:00-24:00", "timezone": "Europe/Zurich"}
    )
    policy.require_hour(moment)
    assert parse_window("02:00-03:00").holds(local) == (local.hour == 2)


@pytest.mark.parametrize("zone", ["", "Mars/Base", "../etc/passwd", "Europe", 1])
def test_a_time_zone_that_nobody_knows_is_refused(zone: object) -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Policy.model_validate({"hours": "20:00-06:00", "timezone": zone})
