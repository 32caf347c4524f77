from itertools import product

import pytest

from fedsecure.errors import PeerError, RoundStateError
from fedsecure_aggregator.rules import job_states
from fedsecure_aggregator.rules.job_states import JobState, JobStep, advance, ending

MATRIX = [
    line.split()
    for line in (job_states.__doc__ or "").splitlines()
    if line.startswith("    ")
]
STEPS, ROWS = MATRIX[0], {row[0]: row[1:] for row in MATRIX[1:]}
REFUSED = {"early": "FS-391", "over": "FS-392", "stored": "FS-397"}


def test_the_table_has_every_state_and_every_step() -> None:
    assert [JobStep[name] for name in STEPS] == list(JobStep)
    assert {JobState[name] for name in ROWS} == set(JobState)


@pytest.mark.parametrize(("state", "step"), [*product(JobState, JobStep)])
def test_a_step_leads_where_the_table_says(state: JobState, step: JobStep) -> None:
    said = ROWS[state.name][STEPS.index(step.name)]
    if said not in REFUSED:
        assert advance(state, step) is JobState[said]
        return
    with pytest.raises(RoundStateError, match=f"{step} in a job that is {state}") as no:
        advance(state, step)
    assert no.value.code == REFUSED[said]


@pytest.mark.parametrize("state", sorted(job_states.GOING_ON))
def test_whatever_goes_on_can_be_ended(state: JobState) -> None:
    assert advance(state, ending(state)) in {JobState.VOID, JobState.CLOSED}


@pytest.mark.parametrize("state", sorted(job_states.OVER))
def test_nothing_that_is_over_goes_on(state: JobState) -> None:
    for step in JobStep:
        with pytest.raises(RoundStateError):
            advance(state, step)


def test_a_message_for_another_job_is_refused() -> None:
    job_states.require_job("ab" * 32, "ab" * 32)
    with pytest.raises(PeerError, match="FS-301"):
        job_states.require_job("ab" * 32, "cd" * 32)
