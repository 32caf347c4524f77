"""The port of the run loop: who is connected, what is asked of whom, what they answer.

    online  >  assign  >  propose  >  ask  >  answers  >  (open)  >  step

A framework implements `Participants`: it carries a `Question` to agents and brings back
their `Answer`s. A job makes the `Assignment` of a round. Training has a step on the
opened mean; a round that asks for numbers alone has none.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from fedsecure.core.encoding import MeanUpdate
from fedsecure.core.scalars import MeanScalars
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.statements import RoundSpec
from fedsecure.study.round_task import GlobalModel, RoundTask


@dataclass(frozen=True, slots=True)
class Agent:
    """A data owner's agent that is connected.

    Args:
        address: What the framework knows it by.
        session: Another one each time that it joins anew.
    """

    address: int
    session: str


@dataclass(frozen=True, slots=True)
class Question:
    """What is carried to each agent that is asked: the task, and signed words on it.

    Args:
        task: All that the data owner's app will see.
        spec: The signed spec (token).
        grants: Both aggregators' grants (tokens), in the order of their names.
    """

    task: RoundTask
    spec: str
    grants: Sequence[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one data owner.

    Args:
        name: Its name in the roster.
        receipts: Tokens; nothing is checked yet.
        declined: It answered that it sends nothing.
        malformed: What is wrong with an answer that could not be read.
    """

    name: str
    receipts: Sequence[str] = ()
    declined: bool = False
    malformed: PeerError | None = None


class Participants(Protocol):
    """The agents of a run, by their data owners' names in the roster."""

    def online(self) -> Mapping[str, Agent]:
        """Return who is connected now."""

    def ask(
        self,
        question: Question,
        asked: Mapping[str, Agent],
        seconds: float,
        enough: Callable[[], bool],
    ) -> Sequence[Answer]:
        """Ask some of them, and return the answers that came within the time.

        Or before, when nobody else is needed: `enough` is asked now and then.
        """


Step: TypeAlias = Callable[[int, MeanUpdate, MeanScalars], GlobalModel]
"""Takes the number of reports in the set, the mean update (shape (dimension,), float64,
model units) and the mean scalars; returns the next global model."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One round as a job wants it.

    Args:
        task: What is asked.
        asked: Of whom: names of those that were offered.
        step: What becomes of the mean; None: the model stays as it is.
    """

    task: RoundTask
    asked: Collection[str]
    step: Step | None = None


Assign: TypeAlias = Callable[[Mapping[str, Agent]], Assignment]
"""Says what is asked in a round, given who can be."""


def stand_ins(cohort: Sequence[str]) -> dict[str, Agent]:
    """Return agents for a job that is asked again; nothing is sent to them."""
    return {name: Agent(number, "") for number, name in enumerate(cohort, 1)}


def require_task(task: RoundTask, spec: RoundSpec) -> None:
    """Refuse to go on with a round of which something else is asked today.

    Raises:
        OperatorError: FS-356, the study is not what it was.
    """
    if task.digest() != spec.task:
        raise OperatorError("FS-356", f"the task of round {spec.round} differs")
