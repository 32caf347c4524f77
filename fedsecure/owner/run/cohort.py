"""Who is asked in a round: the agents that are there and can be expected to answer.

A data owner is eligible when its agent is online and answered in the last round that
it was asked in, be it that it does not report. One that did not answer is left out,
for a node that was killed counts as online for some time yet. It is asked again when
its agent joins anew, and else after a pause, which doubles each time it is silent
again: its agent may only have been slow, or never have got the question.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from flwr.app import Message

from fedsecure.errors import PeerError
from fedsecure.frameworks.flower.runtime import LEASE, OwnedRun, node_public_bytes
from fedsecure.owner.run.pauses import Tell
from fedsecure.owner.run.plan import Plan
from fedsecure.protocol.identity import Federation

LOOK_EVERY: Final = 0.1  # seconds
QUIET: Final = 5.0  # seconds of waiting of which nothing is said
SHORTEST_PAUSE: Final = 2 * LEASE  # seconds; who is dead is offline by then
LONGEST_PAUSE: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Node:
    """A data owner's agent at the SuperLink; `activation` changes when it rejoins."""

    node_id: int
    activation: str


@dataclass(frozen=True, slots=True)
class Missed:
    """A node that did not answer: it is left out until `until` (seconds)."""

    activation: str
    until: float
    pause: float


class Fleet(Protocol):
    """The agents of a run, by roster name."""

    def online(self) -> Mapping[str, Node]:
        """Return who is online now."""

    def ask(
        self, messages: Sequence[Message], seconds: float, enough: Callable[[], bool]
    ) -> Iterable[Message]:
        """Send messages and return the replies that came within the time.

        Or before, when nobody else is needed: `enough` is asked now and then.
        """


class RosterFleet:
    """The agents of Flower's SuperLink whose keys stand in `federation.toml`."""

    def __init__(self, run: OwnedRun, federation: Federation) -> None:
        self._run = run
        self._names = {
            node_public_bytes(party.flower_key): party.name
            for party in federation.data_owners
        }

    def online(self) -> Mapping[str, Node]:
        """Return who is online now."""
        return {
            self._names[key]: Node(state.node_id, state.activated_at)
            for key, state in self._run.nodes().items()
            if state.online and key in self._names
        }

    def ask(
        self, messages: Sequence[Message], seconds: float, enough: Callable[[], bool]
    ) -> Iterable[Message]:
        """Send messages and return the replies that came within the time."""
        return self._run.grid.send_and_receive(messages, timeout=seconds, enough=enough)


class Cohorts:
    """Gathers the cohort of each round.

    Args:
        fleet: The agents.
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
        fleet: Fleet,
        *,
        roster: Sequence[str],
        plan: Plan,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        tell: Tell = lambda _what, _seconds: None,
    ) -> None:
        self._tell = tell
        self._fleet = fleet
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

    def gather(self) -> dict[str, Node]:
        """Wait for everybody who can be expected, and return them.

        Raises:
            PeerError: FS-370 when fewer than min_cohort are there in the end.
        """
        started = self._clock()
        longest = self._later if self._gathered else self._at_start
        while True:
            nodes = self._eligible()
            waited = self._clock() - started
            if len(nodes) >= self._min_cohort and (
                waited > self._patience or not self._awaited(nodes)
            ):
                self._given_up = self._roster - set(nodes)
                self._gathered = True
                return nodes
            if waited > self._patience:
                self._missed.clear()  # who missed a round may be there after all
            if waited > longest:
                raise self._too_few(nodes)
            if waited > QUIET:
                self._tell_absent(nodes, longest - waited)
            self._sleep(LOOK_EVERY)

    def away(self, cohort: Iterable[str]) -> frozenset[str]:
        """Return those of the roster who are not in a cohort."""
        return self._roster - set(cohort)

    def arrivals(self) -> Callable[[], bool]:
        """Return what tells whether anybody has joined, or joined anew, since now."""
        before = set(self._fleet.online().items())
        return lambda: bool(set(self._fleet.online().items()) - before)

    def _too_few(self, nodes: Mapping[str, Node]) -> PeerError:
        here = ", ".join(nodes) or "nobody"
        absent = ", ".join(sorted(self._roster - set(nodes)))
        needed = f"{self._min_cohort} are needed"
        return PeerError("FS-370", f"{here} joined, {needed}; {absent} did not")

    def _tell_absent(self, nodes: Mapping[str, Node], left: float) -> None:
        absent = ", ".join(sorted(self._roster - set(nodes)))
        self._tell(f"waiting for {absent} to join", left)

    def note(self, cohort: Mapping[str, Node], silent: Sequence[str]) -> None:
        """Remember who of a cohort did not answer at all.

        When nobody did, this machine slept, or its line broke: nobody is left out.
        """
        if set(cohort) <= set(silent):
            return
        for name, node in cohort.items():
            before = self._missed.pop(name, None)
            if name in silent:
                self._missed[name] = self._left_out(node.activation, before)

    def _left_out(self, activation: str, before: Missed | None) -> Missed:
        pause = self._pause
        if before is not None and before.activation == activation:
            pause = min(2 * before.pause, max(LONGEST_PAUSE, self._pause))
        return Missed(activation, self._clock() + pause, pause)

    def _eligible(self) -> dict[str, Node]:
        return {
            name: node
            for name, node in sorted(self._fleet.online().items())
            if name in self._roster and self._may_answer(name, node)
        }

    def _may_answer(self, name: str, node: Node) -> bool:
        missed = self._missed.get(name)
        return (
            missed is None
            or missed.activation != node.activation
            or missed.until <= self._clock()
        )

    def _awaited(self, nodes: Mapping[str, Node]) -> frozenset[str]:
        """Tell who is worth waiting for: not those who were waited for before."""
        return self._roster - set(nodes) - set(self._missed) - self._given_up
