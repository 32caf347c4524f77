"""The states of runs, rounds and jobs, and the one function that changes them.

round   proposed > granted > opening > opened, and void from all but opened
run     running > completed | diverged | budget-spent | failed | stopped; all but
        completed may resume
job     proposed > ready > closed, and failed or closed from proposed
"""

from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

from fedsecure.errors import RoundStateError


class RoundState(StrEnum):
    """How far a round is, in the eyes of the model owner."""

    PROPOSED = "proposed"  # the spec is signed and perhaps sent
    GRANTED = "granted"  # both aggregators granted it; data owners may be at work
    OPENING = "opening"  # the set is fixed for good and perhaps sent
    OPENED = "opened"  # the mean is stored; final
    VOID = "void"  # never to be opened, or given up after one server did; final


class RunState(StrEnum):
    """How far a run is."""

    RUNNING = "running"  # or killed: nobody was there to record the end
    COMPLETED = "completed"  # every planned round is decided; final
    DIVERGED = "diverged"  # its model cannot be measured; may be resumed all the same
    BUDGET_SPENT = "budget-spent"  # its study may cost no more; may be resumed in vain
    FAILED = "failed"  # ended by an error, may be resumed
    STOPPED = "stopped"  # ended by a person, may be resumed


class JobState(StrEnum):
    """How far a job is, in the eyes of the model owner; a service closes by itself."""

    PROPOSED = "proposed"  # both aggregators granted it; nobody was told of it
    READY = "ready"  # a service: it answers as the model does
    CLOSED = "closed"  # ended by the model owner before its time; final
    FAILED = "failed"  # it never got ready; final


State = TypeVar("State", RoundState, RunState, JobState)
AnyState: TypeAlias = RoundState | RunState | JobState

_NEXT: Final[dict[AnyState, frozenset[AnyState]]] = {
    RoundState.PROPOSED: frozenset({RoundState.GRANTED, RoundState.VOID}),
    RoundState.GRANTED: frozenset({RoundState.OPENING, RoundState.VOID}),
    RoundState.OPENING: frozenset({RoundState.OPENED, RoundState.VOID}),
    RoundState.OPENED: frozenset(),
    RoundState.VOID: frozenset(),
    RunState.RUNNING: frozenset(RunState),
    RunState.COMPLETED: frozenset(),
    RunState.DIVERGED: frozenset({RunState.RUNNING}),
    RunState.BUDGET_SPENT: frozenset({RunState.RUNNING}),
    RunState.FAILED: frozenset({RunState.RUNNING}),
    RunState.STOPPED: frozenset({RunState.RUNNING}),
}
_NEXT_OF_JOBS: Final[dict[AnyState, frozenset[AnyState]]] = {
    JobState.PROPOSED: frozenset(set(JobState) - {JobState.PROPOSED}),
    JobState.READY: frozenset({JobState.CLOSED}),
    JobState.CLOSED: frozenset(),
    JobState.FAILED: frozenset(),
}
"""Apart, for a state of a job and one of a round can be the same word."""

UNDECIDED: Final = (RoundState.PROPOSED, RoundState.GRANTED, RoundState.OPENING)


def advance(what: str, now: State, to: State) -> State:
    """Return `to` if it may follow `now`.

    Args:
        what: The run, round or job, for the message.
        now: Its state.
        to: The state that is asked for.

    Raises:
        RoundStateError: FS-602 when it may not.
    """
    if to not in _after(now):
        raise RoundStateError("FS-602", f"{what} is {now} and cannot become {to}")
    return to


def _after(now: AnyState) -> frozenset[AnyState]:
    return (_NEXT_OF_JOBS if isinstance(now, JobState) else _NEXT)[now]
