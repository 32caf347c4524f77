"""What may happen to a round, and in which order: pure, no clock, disk or network.

                 REPORT            OPEN         VOID
    GRANTED      COLLECTING        refused      VOID
    COLLECTING   COLLECTING        OPENED       VOID
    OPENED       refused           refused      refused
    VOID         refused           refused      refused

Asking for the same thing again is no step: callers look for it first and give the
same answer. So a refusal always means that something else was asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol.statements import RoundSpec


class RoundState(StrEnum):
    """Where a round stands at this aggregator."""

    GRANTED = "granted"  # its key is made; nobody reported yet
    COLLECTING = "collecting"  # at least one report is stored
    OPENED = "opened"  # its set is fixed for ever, and its share is stored
    VOID = "void"  # it will never be opened; key and payloads are gone


class Step(StrEnum):
    """What moves a round on."""

    REPORT = "report"  # a report was stored
    OPEN = "open"  # the model owner fixed the set
    VOID = "void"  # the model owner or this aggregator gave the round up


_NEXT: Final = {
    (RoundState.GRANTED, Step.REPORT): RoundState.COLLECTING,
    (RoundState.GRANTED, Step.VOID): RoundState.VOID,
    (RoundState.COLLECTING, Step.REPORT): RoundState.COLLECTING,
    (RoundState.COLLECTING, Step.OPEN): RoundState.OPENED,
    (RoundState.COLLECTING, Step.VOID): RoundState.VOID,
}

_REFUSAL: Final = {
    RoundState.GRANTED: "FS-307",
    RoundState.OPENED: "FS-304",
    RoundState.VOID: "FS-305",
}

UNDECIDED: Final = frozenset({RoundState.GRANTED, RoundState.COLLECTING})


def advance(state: RoundState, step: Step) -> RoundState:
    """Return the state after `step`; every change of a round's state comes from here.

    Raises:
        RoundStateError: FS-304, FS-305 or FS-307 when the order is illegal.
    """
    following = _NEXT.get((state, step))
    if following is None:
        raise RoundStateError(_REFUSAL[state], f"{step} in a round that is {state}")
    return following


def require_not_void(digest: str, state: RoundState, reason: str | None) -> None:
    """Check that a round is not void.

    Raises:
        RoundStateError: FS-305 with the reason.
    """
    if state is RoundState.VOID:
        raise RoundStateError("FS-305", f"round {digest[:12]}: {reason}")


def require_round(digest: str, spec: str) -> None:
    """Check that a message belongs to the round that the address names.

    Raises:
        PeerError: FS-301.
    """
    if spec != digest:
        raise PeerError("FS-301", f"{digest[:12]} in the address, {spec[:12]} inside")


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt granted before, at the same owner's run, round and purpose."""

    digest: str
    number: int
    state: RoundState


def require_next_attempt(
    digest: str, spec: RoundSpec, earlier: Iterable[Attempt]
) -> None:
    """Check that a new spec may follow what was granted for the same round.

    An attempt must be higher than every one before it, so that an attempt which was
    given up before it got here cannot come to life afterwards.

    Raises:
        RoundStateError: FS-302 another spec of this attempt; FS-303 an earlier one
            is not void, or a later one exists; FS-304 the round was opened.
    """
    where = f"{spec.run} round {spec.round} {spec.purpose}"
    for attempt in earlier:
        known = f"{where} attempt {attempt.number} ({attempt.digest[:12]})"
        if attempt.state is RoundState.OPENED:
            raise RoundStateError("FS-304", f"{known} was opened")
        if attempt.number == spec.attempt:
            raise RoundStateError("FS-302", f"{known} came before {digest[:12]}")
        if attempt.state is not RoundState.VOID:
            raise RoundStateError("FS-303", f"{known} is {attempt.state}")
        if attempt.number > spec.attempt:
            raise RoundStateError("FS-303", f"{known} came before {spec.attempt}")
