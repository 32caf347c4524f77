"""Who waits looks often at first, and then less and less often."""

import pytest

from fedsecure.frameworks.flower.runtime import Backoff


@pytest.mark.parametrize("longest", [0.25, 8.0, 60.0])
def test_pauses_grow_from_a_fifth_up_to_the_longest(longest: float) -> None:
    backoff = Backoff(longest)
    pauses = [backoff.pause() for _ in range(20)]
    assert pauses[0] == pytest.approx(longest / 5)
    assert pauses == sorted(pauses)
    assert pauses[-1] == longest


def test_a_message_makes_the_next_pause_a_short_one_again() -> None:
    backoff = Backoff(1.0)
    first = [backoff.pause() for _ in range(3)]
    backoff.restart()
    assert [backoff.pause() for _ in range(3)] == first
