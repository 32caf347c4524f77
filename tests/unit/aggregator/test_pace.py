import pytest
from hypothesis import given, settings, strategies as st

from aggregator.pace import MOST_NAMES, WINDOW, Pace
from fedsecure.errors import RoundStateError
from tests.unit.aggregator.world import Clock

GAPS = st.lists(st.floats(0, 30), min_size=1, max_size=200)


def admitted(pace: Pace, name: str = "study") -> bool:
    try:
        pace.require(name)
    except RoundStateError as error:
        if error.code != "FS-326":
            raise
        return False
    return True


@pytest.mark.parametrize("most", [1, 3, 60, 1200])
def test_a_party_may_ask_so_often_at_once_and_no_more(most: int) -> None:
    pace = Pace(most, Clock())
    assert [admitted(pace) for _ in range(most + 2)] == [True] * most + [False] * 2


def test_one_party_takes_nothing_from_another() -> None:
    pace = Pace(2, Clock())
    assert [admitted(pace, "basel") for _ in range(3)] == [True, True, False]
    assert admitted(pace, "bern")


def test_who_waits_as_long_as_it_is_told_is_admitted() -> None:
    clock = Clock()
    pace = Pace(6, clock)
    while admitted(pace):
        pass
    clock.now += WINDOW / 6 - 0.1
    assert not admitted(pace)
    clock.now += 0.1
    assert admitted(pace)
    assert not admitted(pace)


@given(gaps=GAPS, most=st.integers(1, 20))
@settings(max_examples=100)
def test_no_minute_has_more_than_twice_what_is_allowed(
    gaps: list[float], most: int
) -> None:
    clock = Clock()
    pace = Pace(most, clock)
    times = []
    for gap in gaps:
        clock.now += gap
        if admitted(pace):
            times.append(clock.now)
    for start in times:
        assert sum(start <= one < start + WINDOW for one in times) <= 2 * most


def test_a_clock_that_is_set_back_locks_nobody_out_for_long() -> None:
    clock = Clock()
    pace = Pace(2, clock)
    assert admitted(pace)
    clock.now -= 3 * WINDOW
    assert not admitted(pace)
    clock.now += 3 * WINDOW
    assert admitted(pace)


def test_it_remembers_no_more_names_than_a_federation_has() -> None:
    pace = Pace(1, Clock())
    for number in range(MOST_NAMES + 10):
        pace.require(str(number))
    assert admitted(pace, "0")
    assert not admitted(pace, str(MOST_NAMES + 9))
