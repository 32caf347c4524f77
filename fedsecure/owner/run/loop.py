"""`SecureAggregation`: a Flower strategy that never sees an update.

It owns the round loop. In every round the wrapped strategy chooses nodes and writes
its settings; the model owner's end of the protocol (`rounds.owner`) forms the sum;
the wrapped strategy then gets replies that all hold the same arrays, global model
plus mean update, and the mean metrics. Any strategy that is linear in the replies
computes from these exactly what it would have computed from the real ones.

A round:

    cohort > configure_train > propose > task and grants through Flower > receipts
    > fold > fix the set > open > mean + global model > aggregate_train > record

A run that goes on (`Past`) first replays the opened means, then takes up the round
that was left undecided: with the same spec while its grants live, and with the same
set if one was fixed. A fixed set is never given up for a stop or a lost connection,
only when an aggregator refuses for good. If the other one has opened it, the number
of the round is burnt, and the run goes on at the next round from the same model.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import cycle

from flwr.app import ArrayRecord, Message
from flwr.serverapp.strategy import Strategy

from fedsecure.contributor.contribution import Offer
from fedsecure.errors import FedsecureError, OperatorError, PeerError
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.linear import require_linear
from fedsecure.frameworks.flower.wrapped import WHOLE, Parts, Wrapped, task_in
from fedsecure.owner.rounds.proposal import Proposal, ReceiptPair, RoundRequest
from fedsecure.owner.rounds.receipts import pairs, receipts_in
from fedsecure.owner.rounds.refusals import (
    is_hopeless,
    is_refusal,
    is_worth_another_attempt,
)
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.owner.run import absences
from fedsecure.owner.run.cohort import Cohorts, Fleet, Node
from fedsecure.owner.run.pauses import Pausing, Tell
from fedsecure.owner.run.plan import WAIT, Outcome, Plan, Recorder
from fedsecure.owner.run.recovery import may_pass
from fedsecure.owner.run.resume import NOTHING, OpenedRound, Past
from fedsecure.owner.run.soundness import Measured, Soundness
from fedsecure.owner.store.records import Participation, RoundRecord, Status
from fedsecure.protocol import signing
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Opening, Purpose, RoundSpec
from fedsecure.system.crash_points import Point, reached


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
    """

    def __init__(  # noqa: PLR0913 - one constructor gathers a run's collaborators
        self,
        strategy: Strategy,
        owner: RoundOwner,
        fleet: Fleet,
        plan: Plan,
        *,
        record: Recorder,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        linear: bool = False,
        tell: Tell = lambda _what, _seconds: None,
        parts: Parts = WHOLE,
    ) -> None:
        require_linear(type(strategy), declared=linear)
        self._wrapped = Wrapped(strategy, plan.config, parts)
        self._owner = owner
        self._fleet = fleet
        self._plan = plan
        self._record = record
        self._clock = clock
        self._cohorts = Cohorts(
            fleet,
            roster=[party.name for party in owner.author.federation.data_owners],
            plan=plan,
            clock=clock,
            sleep=sleep,
            tell=tell,
        )
        self._pausing = Pausing(plan.pauses, sleep, tell)

    def run(self, arrays: ArrayRecord, past: Past = NOTHING) -> ArrayRecord:
        """Train from the initial global model; return the last one.

        Args:
            arrays: The model that the run began with.
            past: What the run did before it was interrupted.

        Raises:
            PeerError: FS-369 when a round failed in every attempt; whatever an
                aggregator refused.
            OperatorError: FS-356 when the study is not what it was; FS-232 when the
                model is not sound any more, FS-235 when nothing moved it.
        """
        soundness = Soundness(self._plan.min_cohort)
        soundness.note_all(past.measured)
        for opened in past.opened:
            arrays = self._replay(opened, arrays)
            soundness.note_mean(opened.mean())
        last = self._plan.rounds
        rounds = [(number, Purpose.TRAIN) for number in range(1, last + 1)]
        for number, purpose in [*rounds, (last, Purpose.EVALUATE)]:
            if (number, purpose) not in past.decided:
                outcome = self._round(number, purpose, arrays, past)
                arrays = outcome.arrays
                self._look_at(outcome, soundness)
        soundness.require()
        soundness.require_moved()
        return arrays

    def _look_at(self, outcome: Outcome, soundness: Soundness) -> None:
        """Stop at a model that is not sound, if that is what is planned."""
        if outcome.opened is None:
            return
        said, mean = outcome.proposal.spec.statement, outcome.opened.mean
        soundness.note(Measured(said.round, said.purpose, mean.count, mean.undefined))
        if said.purpose is Purpose.TRAIN:
            soundness.note_mean(mean.update)
        if self._plan.stop_when_diverged:
            soundness.require()
        soundness.require_finite(outcome.arrays)

    def _replay(self, opened: OpenedRound, arrays: ArrayRecord) -> ArrayRecord:
        """Bring the strategy to where it was after a round.

        Guarantee: the model is the one that was recorded, bit by bit, or FS-356.
        """
        spec = opened.spec
        messages = self._wrapped.configure(
            spec.round, Purpose.TRAIN, arrays, _stand_ins(spec.cohort)
        )
        task = task_in(Purpose.TRAIN, messages)
        _require_task(task, spec)
        mean = opened.mean(), opened.scalars
        arrays = self._wrapped.apply(
            spec.round, task, cycle(messages), opened.included, mean
        )
        if wire.flatten(arrays)[1].tobytes() != opened.model().tobytes():
            raise OperatorError("FS-356", f"the model after round {spec.round} differs")
        return arrays

    def _round(
        self, number: int, purpose: Purpose, arrays: ArrayRecord, past: Past
    ) -> Outcome:
        left = past.left_in((number, purpose))
        first = past.attempts.get((number, purpose), 0) + (left is None)
        last = first + self._plan.pauses.attempts - 1
        for attempt in range(first, last + 1):
            if left is not None and attempt == left.attempt:
                outcome = self._take_up(left, arrays)
            else:
                outcome = self._attempt(number, purpose, attempt, arrays)
            self._record(outcome)
            self._owner.forget(outcome.proposal.spec.digest)
            if outcome.opened is not None or outcome.burnt:
                return outcome
            if attempt < last:
                self._pause(outcome, attempt - first + 1)
        raise self._failed(outcome)

    def _pause(self, outcome: Outcome, failed: int) -> None:
        """Wait before the next attempt, and say for whom; less if somebody joins."""
        said = outcome.proposal.spec.statement
        away = self._cohorts.away(said.cohort)
        why = f"{said.purpose} round {said.round}: {outcome.reason}"
        if waited_for := absences.waited_for(outcome.missing, away):
            why += f"; waiting for {waited_for}"
        self._pausing.wait(why, failed, self._cohorts.arrivals())

    def _failed(self, outcome: Outcome) -> PeerError:
        said = outcome.proposal.spec.statement
        away = self._cohorts.away(said.cohort)
        why = f"{said.purpose} round {said.round}: {outcome.reason}"
        if advice := absences.advice(outcome.missing, away):
            why += f". {advice}"
        return PeerError("FS-369", why)

    def _attempt(
        self, number: int, purpose: Purpose, attempt: int, arrays: ArrayRecord
    ) -> Outcome:
        watch = _Stopwatch(self._clock)
        nodes = self._cohorts.gather()
        watch.lap(WAIT)
        messages = self._wrapped.configure(number, purpose, arrays, nodes)
        chosen = {message.metadata.dst_node_id for message in messages}
        cohort = {name: node for name, node in nodes.items() if node.node_id in chosen}
        task = task_in(purpose, messages)
        proposal = self._owner.propose(self._request(number, attempt, task, cohort))
        watch.lap("propose")
        before = Outcome(proposal=proposal, arrays=arrays)
        with self._given_up(before):
            asked = self._ask(before, task, cohort)
            watch.lap("train")
        outcome = self._decide(task, messages, asked, watch)
        return replace(outcome, seconds=watch.laps)

    def _take_up(self, left: RoundRecord, arrays: ArrayRecord) -> Outcome:
        """Go on with a round that an earlier process left undecided."""
        watch = _Stopwatch(self._clock)
        if self._owner.is_of_other_version(left):
            ended = OperatorError("FS-657", f"round {left.round} of {left.run}")
            return self._voided(Outcome(self._owner.proposal_of(left), arrays), ended)
        try:
            proposal = self._owner.take_up(left)
        except PeerError as error:
            if not is_refusal(error):
                raise
            proposal = self._owner.proposal_of(left)
            return self._voided(Outcome(proposal, arrays), error)
        spec = proposal.spec.statement
        before = Outcome(proposal=proposal, arrays=arrays)
        messages = self._wrapped.configure(
            spec.round, spec.purpose, arrays, _stand_ins(spec.cohort)
        )
        task = task_in(spec.purpose, messages)
        _require_task(task, spec)
        if proposal.key is None:
            lost = OperatorError("FS-355", f"round {spec.round} of {spec.run}")
            return self._voided(before, lost)
        if left.opening is not None:
            federation = self._owner.author.federation
            opening = signing.verify(left.opening, Opening, federation)
            before = self._with_set(before, opening.statement)
            outcome = self._open(task, cycle(messages), before, opening, watch)
        else:
            with self._given_up(before):
                asked = self._ask_again(before, task)
                watch.lap("train")
            outcome = self._decide(task, cycle(messages), asked, watch)
        return replace(outcome, seconds=watch.laps)

    def _ask(
        self, before: Outcome, task: wire.Task, cohort: Mapping[str, Node]
    ) -> Outcome:
        """Hand the task to those of the cohort, and believe who has both receipts."""
        receipts, missing = self._collect(before.proposal, task, cohort)
        receipts = {**before.receipts, **receipts}
        received = {name: len(receipts) for name in self._owner.aggregators}
        if missing:
            # An answer may be lost although the reports are stored.
            held = self._owner.held(before.proposal)
            received = {name: len(found) for name, found in held.items()}
            receipts = {**pairs(held), **receipts}
            missing = [one for one in missing if one.name not in receipts]
        self._cohorts.note(cohort, absences.silent(missing))
        reached(Point.RECEIPTS_COLLECTED)
        return replace(
            before,
            receipts=receipts,
            missing=missing,
            received=received,
        )

    def _ask_again(self, before: Outcome, task: wire.Task) -> Outcome:
        """Ask those of the cohort whose reports are not at both aggregators yet."""
        proposal, cohort = before.proposal, before.proposal.spec.statement.cohort
        before = replace(before, receipts=pairs(self._owner.held(proposal)))
        wanted = [name for name in cohort if name not in before.receipts]
        nodes: Mapping[str, Node] = {}
        if wanted and self._seconds_left(proposal) > 0:
            nodes = self._cohorts.gather()
        return self._ask(
            before, task, {name: nodes[name] for name in wanted if name in nodes}
        )

    def _decide(
        self,
        task: wire.Task,
        messages: Iterable[Message],
        asked: Outcome,
        watch: "_Stopwatch",
    ) -> Outcome:
        """Open the round, or void it when too few have reported."""
        try:
            asked = self._without_lost(asked)
        except PeerError as error:
            if not is_refusal(error):
                raise
            return self._hopeless(asked, error)
        included, needed = len(asked.receipts), self._plan.min_cohort
        if included < needed:
            reason = f"{included} reported, {needed} needed"
            voided = self._owner.void(asked.proposal.spec, reason)
            return replace(asked, reason=reason, voids=voided.confirmations)
        opening = self._owner.fix_set(asked.proposal, asked.receipts)
        return self._open(task, messages, asked, opening, watch)

    def _open(
        self,
        task: wire.Task,
        messages: Iterable[Message],
        asked: Outcome,
        opening: Signed[Opening],
        watch: "_Stopwatch",
    ) -> Outcome:
        """Open a set that is fixed: it is this one or none, whatever happens."""
        try:
            opened = self._owner.open_again(asked.proposal, opening)
        except PeerError as error:
            if not is_hopeless(error):
                raise
            return self._hopeless(asked, error)
        watch.lap("open")
        arrays = asked.arrays
        if task.purpose is Purpose.TRAIN:
            mean = opened.mean.update, opened.mean.scalars
            arrays = self._wrapped.apply(
                asked.proposal.spec.statement.round,
                task,
                messages,
                len(asked.included),
                mean,
            )
            watch.lap("apply")
        return replace(asked, opened=opened, arrays=arrays)

    def _without_lost(self, asked: Outcome) -> Outcome:
        """Leave out whose report an aggregator has lost: no set is fixed yet."""
        if len(asked.receipts) < self._plan.min_cohort:
            return asked
        lost = self._owner.lost(asked.proposal, asked.receipts)
        if not lost:
            return asked
        absent = [
            Participation(name, Status.LOST, f"{server} lost its report")
            for name, server in sorted(lost.items())
        ]
        kept = {name: one for name, one in asked.receipts.items() if name not in lost}
        missing = [*asked.missing, *absent]
        return self._without_lost(replace(asked, receipts=kept, missing=missing))

    def _hopeless(self, asked: Outcome, error: PeerError) -> Outcome:
        """Give up a round that will never be opened; a person hears what is unusual.

        Raises:
            PeerError: `error`, once the round is recorded.
        """
        outcome = self._voided(asked, error)
        burnt = outcome.burnt and is_refusal(error)
        if not (burnt or is_worth_another_attempt(error)):
            self._record(outcome)
            raise error
        return outcome

    def _voided(self, before: Outcome, error: FedsecureError) -> Outcome:
        """Void a round that cannot be opened; burnt if an aggregator has opened it."""
        voided = self._owner.void(before.proposal.spec, f"given up after {error.code}")
        reason = f"given up: {error}"
        if voided.opened:
            servers = " and ".join(voided.opened)
            reason = f"burnt: opened at {servers} and lost ({error})"
        return replace(
            before,
            reason=reason,
            voids=voided.confirmations,
            burnt=bool(voided.opened),
        )

    def _with_set(self, before: Outcome, opening: Opening) -> Outcome:
        federation = self._owner.author.federation
        receipts = receipts_in(opening, federation)
        received = {name: len(receipts) for name in self._owner.aggregators}
        return replace(before, receipts=receipts, received=received)

    @contextmanager
    def _given_up(self, before: Outcome) -> Iterator[None]:
        """Void a round whose set is not fixed when it cannot go on."""
        try:
            yield
        except BaseException as error:
            if may_pass(error):
                raise
            reason = "stopped by its owner"
            if isinstance(error, FedsecureError):
                reason = f"given up after {error.code}"  # its text: the owner's alone
            with suppress(FedsecureError):
                voided = self._owner.void(before.proposal.spec, reason)
                voids = voided.confirmations
                self._record(replace(before, reason=reason, voids=voids))
            raise

    def _request(
        self, number: int, attempt: int, task: wire.Task, cohort: Mapping[str, Node]
    ) -> RoundRequest:
        plan = self._plan
        return RoundRequest(
            run=plan.run,
            round=number,
            purpose=task.purpose,
            attempt=attempt,
            task=task.digest(),
            model=task.model,
            dimension=task.weights.size if task.purpose is Purpose.TRAIN else 0,
            scalars=plan.scalars,
            clip=plan.clip,
            statistics=plan.statistics,
            weight_cap=plan.weight_cap,
            weighting=plan.weighting,
            cohort=sorted(cohort),
            min_cohort=plan.min_cohort,
            seconds=math.ceil(plan.round_seconds),
        )

    def _collect(
        self, proposal: Proposal, task: wire.Task, cohort: Mapping[str, Node]
    ) -> tuple[dict[str, ReceiptPair], list[Participation]]:
        grants = [proposal.grants[name].token for name in sorted(proposal.grants)]
        content = wire.pack_task(task, Offer(proposal.spec.token, grants))
        names = {node.node_id: name for name, node in cohort.items()}
        messages = [
            Message(content, dst_node_id=node_id, message_type=task.purpose.value)
            for node_id in names
        ]
        left = self._seconds_left(proposal)
        replies: Iterable[Message] = []
        if messages and left > 0:
            enough = partial(self._are_in, proposal, frozenset(cohort))
            replies = self._fleet.ask(messages, left, enough)
        receipts: dict[str, ReceiptPair] = {}
        late = absences.LATE if self._seconds_left(proposal) <= 0 else absences.GONE
        absent = {name: Participation(name, Status.OFFLINE, late) for name in cohort}
        for reply in replies:
            # Flower answers itself, under its own node id, for a node that is gone.
            name = names.get(reply.metadata.src_node_id)
            if name is None:
                continue
            try:
                tokens = wire.unpack_receipts(reply)
                receipts[name] = self._owner.collect(proposal, name, tokens)
            except PeerError as error:
                absent[name] = _absence(name, reply, error)
        return receipts, [absent[name] for name in cohort if name not in receipts]

    def _are_in(self, proposal: Proposal, wanted: frozenset[str]) -> bool:
        """Tell whether both aggregators have the reports of all these.

        An agent that dies after it has reported does not answer any more.
        """
        with suppress(PeerError):
            return wanted <= set(pairs(self._owner.held(proposal)))
        return False

    def _seconds_left(self, proposal: Proposal) -> float:
        """Return how long aggregators still take reports."""
        return proposal.spec.statement.deadline - self._owner.clock()


def _stand_ins(cohort: Sequence[str]) -> dict[str, Node]:
    """Return nodes for a strategy that is asked again; nothing is sent to them."""
    return {name: Node(number, "") for number, name in enumerate(cohort, 1)}


def _require_task(task: wire.Task, spec: RoundSpec) -> None:
    if task.digest() != spec.task:
        raise OperatorError("FS-356", f"the task of round {spec.round} differs")


def _absence(name: str, reply: Message, error: PeerError) -> Participation:
    if reply.has_error():
        return Participation(name, Status.NOT_REPORTED, absences.DECLINED)
    return Participation(name, Status.NO_RECEIPT, str(error))


class _Stopwatch:
    """Seconds spent in each stage of an attempt."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last = clock()
        self.laps: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = self._clock()
        self.laps[stage], self._last = now - self._last, now
