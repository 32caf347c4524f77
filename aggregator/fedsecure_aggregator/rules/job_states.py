"""What may happen to a job, and in which order: pure, no clock, disk or network.

                 START       TAKE        RUN      FINISH  SERVE    ANSWER   CLOSE   VOID
    GRANTED      COLLECTING  early       early    early   early    early    early   VOID
    COLLECTING   stored      COLLECTING  RUNNING  early   SERVING  early    early   VOID
    RUNNING      stored      stored      early    DONE    early    early    early   VOID
    SERVING      stored      stored      over     over    over     SERVING  CLOSED  over
    DONE         stored      stored      over     over    over     over     over    over
    CLOSED       over        over        over     over    over     over     over    over
    VOID         over        over        over     over    over     over     over    over

Early (FS-391) may be asked for again later; stored (FS-397) means that something else
came before; over (FS-392) is for good. Asking for the same thing again is no step:
callers look for it first and give the same answer.
"""

from enum import StrEnum
from typing import Final

from fedsecure.errors import PeerError, RoundStateError


class JobState(StrEnum):
    """Where a job stands at this aggregator."""

    GRANTED = "granted"  # its key is made; nobody said that the other one granted it
    COLLECTING = "collecting"  # inputs, or the other aggregator's channel key, lack
    RUNNING = "running"  # all is there; it is computed, also after a restart
    DONE = "done"  # its sealed output is stored; key and inputs are gone
    SERVING = "serving"  # it answers queries
    CLOSED = "closed"  # a service that answers no more; key, inputs, answers are gone
    VOID = "void"  # it will never have an output; nothing of it is kept


class JobStep(StrEnum):
    """What moves a job on."""

    START = "start"  # both aggregators are known to have granted it
    TAKE = "take"  # an input, or the other aggregator's channel key, was stored
    RUN = "run"  # the last of these was
    FINISH = "finish"  # the output is sealed and on disk
    SERVE = "serve"  # the last input of a service was stored
    ANSWER = "answer"  # a query was answered
    CLOSE = "close"  # a service ends: it expired, or its proposer says so
    VOID = "void"  # the proposer or this aggregator gave the job up


OVER: Final = frozenset({JobState.DONE, JobState.CLOSED, JobState.VOID})
GOING_ON: Final = frozenset(JobState) - OVER

_NEXT: Final = {
    (JobState.GRANTED, JobStep.START): JobState.COLLECTING,
    (JobState.GRANTED, JobStep.VOID): JobState.VOID,
    (JobState.COLLECTING, JobStep.TAKE): JobState.COLLECTING,
    (JobState.COLLECTING, JobStep.RUN): JobState.RUNNING,
    (JobState.COLLECTING, JobStep.SERVE): JobState.SERVING,
    (JobState.COLLECTING, JobStep.VOID): JobState.VOID,
    (JobState.RUNNING, JobStep.FINISH): JobState.DONE,
    (JobState.RUNNING, JobStep.VOID): JobState.VOID,
    (JobState.SERVING, JobStep.ANSWER): JobState.SERVING,
    (JobState.SERVING, JobStep.CLOSE): JobState.CLOSED,
}
_BEFORE: Final = frozenset({JobState.GRANTED, JobState.COLLECTING, JobState.RUNNING})
_STORED: Final = frozenset({JobStep.START, JobStep.TAKE})


def advance(state: JobState, step: JobStep) -> JobState:
    """Return the state after `step`; every change of a job's state comes from here.

    Raises:
        RoundStateError: FS-391, FS-392 or FS-397 when the order is illegal.
    """
    following = _NEXT.get((state, step))
    if following is None:
        raise RoundStateError(_refusal(state, step), f"{step} in a job that is {state}")
    return following


def _refusal(state: JobState, step: JobStep) -> str:
    if state in {JobState.CLOSED, JobState.VOID}:
        return "FS-392"
    if step in _STORED and state is not JobState.GRANTED:
        return "FS-397"
    return "FS-391" if state in _BEFORE else "FS-392"


def ending(state: JobState) -> JobStep:
    """Return the step that ends a job before its time: a service is closed."""
    return JobStep.CLOSE if state is JobState.SERVING else JobStep.VOID


def require_not_over(digest: str, state: JobState, reason: str | None) -> None:
    """Check that a job is neither void nor closed.

    Raises:
        RoundStateError: FS-392 with the reason.
    """
    if state in {JobState.CLOSED, JobState.VOID}:
        raise RoundStateError("FS-392", f"job {digest[:12]} is {state}: {reason}")


def require_job(digest: str, spec: str) -> None:
    """Check that a message belongs to the job that the address names.

    Raises:
        PeerError: FS-301.
    """
    if spec != digest:
        raise PeerError("FS-301", f"{digest[:12]} in the address, {spec[:12]} inside")
