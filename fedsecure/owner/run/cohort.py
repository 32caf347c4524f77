"""Who is asked in a round: the agents that are there and can be expected to answer.

A data owner is eligible when its agent is online and answered in the last round that
it was asked in, be it that it does not report. One that did not answer is left out,
for an agent that was killed counts as online for some time yet. It is asked again when
its agent joins anew, and else after a pause, which doubles each time it is silent
again: its agent may only have been slow, or never have got the question.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fedsecure.errors import PeerError
from fedsecure.owner.run.participants import Agent, Participants
from fedsecure.owner.run.pauses import Tell
from fedsecure.owner.run.plan import Plan

LOOK_EVERY: Final = 0.1  # seconds
QUIET: Final = 5.0  # seconds of waiting of which nothing is said
SHORTEST_PAUSE: Final = 60.0  # seconds; who is dead is offline by then
LONGEST_PAUSE: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Missed:
    """An agent that did not answer: it is left out until `until` (seconds)."""

    session: str
    until: float
    pause: float


class Cohorts:
    """Gathers the cohort of each round.

    Args:
        participants: The agents.
        roster: Everybody who may take part.
        plan: Of the run. All of the roster is waited for `join_seconds`, and then as
            long again for `min_cohort` of it; once a round was under way as long as
            all pauses of the run together. One that did not answer is left out for
            `round_seconds` at least, so that waiting in vain stays the exception.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.
        tell: Told who is waited for, once that takes a while.
    """

    def __init__(
        self,
        participants: Participants,
        *,
        roster: Sequence[str],
        plan: Plan,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        tell: Tell = lambda _what, _seconds: None,
    ) -> None:
        self._tell = tell
        self._participants = participants
        self._roster = frozenset(roster)
        self._min_cohort = plan.min_cohort
        self._patience = plan.join_seconds
        self._at_start = 2 * plan.join_seconds
        self._later = max(self._at_start, plan.pauses.total)
        self._gathered = False
        self._pause = max(plan.round_seconds, SHORTEST_PAUSE)
        self._clock = clock
        self._sleep = sleep
        self._missed: dict[str, Missed] = {}
        self._given_up: frozenset[str] = frozenset()  # waited for once, in vain

    def gather(self) -> dict[str, Agent]:
        """Wait for everybody who can be expected, and return them.

        Raises:
            PeerError: FS-370 when fewer than min_cohort are there in the end.
        """
        started = self._clock()
        longest = self._later if self._gathered else self._at_start
        while True:
            agents = self._eligible()
            waited = self._clock() - started
            if len(agents) >= self._min_cohort and (
                waited > self._patience or not self._awaited(agents)
            ):
                self._given_up = self._roster - set(agents)
                self._gathered = True
                return agents
            if waited > self._patience:
                self._missed.clear()  # who missed a round may be there after all
            if waited > longest:
                raise self._too_few(agents)
            if waited > QUIET:
                self._tell_absent(agents, longest - waited)
            self._sleep(LOOK_EVERY)

    def away(self, cohort: Iterable[str]) -> frozenset[str]:
        """Return those of the roster who are not in a cohort."""
        return self._roster - set(cohort)

    def arrivals(self) -> Callable[[], bool]:
        """Return what tells whether anybody has joined, or joined anew, since now."""
        before = set(self._participants.online().items())
        return lambda: bool(set(self._participants.online().items()) - before)

    def _too_few(self, agents: Mapping[str, Agent]) -> PeerError:
        here = ", ".join(agents) or "nobody"
        absent = ", ".join(sorted(self._roster - set(agents)))
        needed = f"{self._min_cohort} are needed"
        return PeerError("FS-370", f"{here} joined, {needed}; {absent} did not")

    def _tell_absent(self, agents: Mapping[str, Agent], left: float) -> None:
        absent = ", ".join(sorted(self._roster - set(agents)))
        self._tell(f"waiting for {absent} to join", left)

    def note(self, cohort: Mapping[str, Agent], silent: Sequence[str]) -> None:
        """Remember who of a cohort did not answer at all.

        When nobody did, this machine slept, or its line broke: nobody is left out.
        """
        if set(cohort) <= set(silent):
            return
        for name, agent in cohort.items():
            before = self._missed.pop(name, None)
            if name in silent:
                self._missed[name] = self._left_out(agent.session, before)

    def _left_out(self, session: str, before: Missed | None) -> Missed:
        pause = self._pause
        if before is not None and before.session == session:
            pause = min(2 * before.pause, max(LONGEST_PAUSE, self._pause))
        return Missed(session, self._clock() + pause, pause)

    def _eligible(self) -> dict[str, Agent]:
        return {
            name: agent
            for name, agent in sorted(self._participants.online().items())
            if name in self._roster and self._may_answer(name, agent)
        }

    def _may_answer(self, name: str, agent: Agent) -> bool:
        missed = self._missed.get(name)
        return (
            missed is None
            or missed.session != agent.session
            or missed.until <= self._clock()
        )

    def _awaited(self, agents: Mapping[str, Agent]) -> frozenset[str]:
        """Tell who is worth waiting for: not those who were waited for before."""
        return self._roster - set(agents) - set(self._missed) - self._given_up
