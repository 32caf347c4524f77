"""`SecureAggregation`: a Flower strategy that never sees an update.

The wrapped strategy chooses nodes and writes its settings; the model owner's run loop
(`owner.run`) forms the sum; the wrapped strategy then gets replies that all hold the
same arrays, global model plus mean update, and the mean metrics. Any strategy that is
linear in the replies computes from these exactly what it would have computed from the
real ones. This module only puts the parts together, in Flower's own types.
"""

from collections.abc import Callable

from flwr.app import ArrayRecord
from flwr.serverapp.strategy import Strategy

from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.fleet import Fleet, FlowerParticipants
from fedsecure.frameworks.flower.linear import require_linear
from fedsecure.frameworks.flower.wrapped import Wrapped
from fedsecure.owner.jobs.model_source import WHOLE, Parts
from fedsecure.owner.jobs.training_rounds import Training
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.owner.run.accountant import UNLIMITED, Accountant
from fedsecure.owner.run.loop import RoundLoop
from fedsecure.owner.run.outcome import Record
from fedsecure.owner.run.pauses import Tell
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.run.resume import NOTHING, Past


class SecureAggregation:
    """Runs a linear Flower strategy over secret-shared updates.

    Args:
        strategy: The wrapped strategy; it runs unmodified.
        owner: The model owner's end of the protocol.
        fleet: The agents.
        plan: The run.
        record: Called once per attempt, before the next one starts.
        clock: Monotonic seconds, for stage times.
        sleep: Waits so many seconds.
        linear: The author's word that `strategy` is linear in the replies.
        tell: Told for whom the run waits, and how many seconds at most.
        parts: What is statistics in the model, and what its layers declare.
        accountant: May stop the run before a round is asked.
    """

    def __init__(  # noqa: PLR0913 - one constructor gathers a run's collaborators
        self,
        strategy: Strategy,
        owner: RoundOwner,
        fleet: Fleet,
        plan: Plan,
        *,
        record: Record,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        linear: bool = False,
        tell: Tell = lambda _what, _seconds: None,
        parts: Parts = WHOLE,
        accountant: Accountant = UNLIMITED,
    ) -> None:
        require_linear(type(strategy), declared=linear)
        rounds = RoundLoop(
            owner,
            FlowerParticipants(fleet),
            plan,
            record=record,
            clock=clock,
            sleep=sleep,
            tell=tell,
            accountant=accountant,
        )
        wrapped = Wrapped(strategy, plan.config, parts)
        self._training = Training(wrapped, rounds, plan)

    def run(self, arrays: ArrayRecord, past: Past = NOTHING) -> ArrayRecord:
        """Train from the initial global model; return the last one.

        Args:
            arrays: The model that the run began with.
            past: What the run did before it was interrupted.

        Raises:
            FedsecureError: As `owner.jobs.training.Training.run`; FS-361 when the
                arrays are not float32.
        """
        last = self._training.run(wire.model_of(arrays), past)
        return wire.restore(last.layers, last.weights)
