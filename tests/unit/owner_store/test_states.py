from itertools import product

import pytest

from fedsecure.errors import RoundStateError
from fedsecure.owner.store.states import RoundState, RunState, advance

ROUND_STEPS = {
    ("proposed", "granted"),
    ("granted", "opening"),
    ("opening", "opened"),
    ("proposed", "void"),
    ("granted", "void"),
    ("opening", "void"),
}


@pytest.mark.parametrize(("now", "to"), [*product(RoundState, RoundState)])
def test_a_round_takes_exactly_the_steps_of_the_protocol(
    now: RoundState, to: RoundState
) -> None:
    if (now.value, to.value) in ROUND_STEPS:
        assert advance("a round", now, to) is to
    else:
        with pytest.raises(RoundStateError, match=f"FS-602.* is {now}.* {to}"):
            advance("a round", now, to)


def test_a_completed_run_is_over_and_a_failed_one_may_go_on() -> None:
    assert advance("a run", RunState.FAILED, RunState.RUNNING) is RunState.RUNNING
    assert advance("a run", RunState.STOPPED, RunState.RUNNING) is RunState.RUNNING
    for to in RunState:
        with pytest.raises(RoundStateError, match="FS-602"):
            advance("a run", RunState.COMPLETED, to)
