"""`SecureAggregation`: a Flower strategy that never sees an update.

It owns the round loop. In every round the wrapped strategy chooses nodes and writes
its settings; the model owner's end of the protocol (`rounds.owner`) forms the sum;
the wrapped strategy then gets replies that all hold the same arrays, global model
plus mean update, and the mean metrics. Any strategy that is linear in the replies
computes from these exactly what it would have computed from the real ones.

A round:

    cohort > configure_train > propose > task and grants through Flower > receipts
    > open > mean + global model > aggregate_train > record
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import (
    Strategy,
)

from fedsecure.core.scheme import Mean
from fedsecure.errors import FedsecureError, OperatorError, PeerError
from fedsecure.flower import wire
from fedsecure.flower.cohort import Cohorts, Fleet, Node
from fedsecure.flower.linear import require_linear
from fedsecure.flower.plan import WAIT, Outcome, Plan, Recorder
from fedsecure.rounds.contributor import Offer
from fedsecure.rounds.owner import RoundOwner, pairs
from fedsecure.rounds.proposal import Proposal, ReceiptPair, RoundRequest
from fedsecure.statements import Purpose
from fedsecure.store.records import Participation, Status

EXAMPLES: Final = "num-examples"
MOST_LOOKS: Final = 3  # Flower's strategies look twice when there are enough nodes


class _Sample:
    """Stands in for Flower's Grid while a strategy chooses nodes."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._ids = [node.node_id for node in nodes.values()]
        self._looks = 0

    def get_node_ids(self) -> list[int]:
        """Return the nodes that may be asked.

        Raises:
            PeerError: FS-372 when a strategy keeps looking for more of them: it would
                wait for ever, for who is asked was decided before.
        """
        self._looks += 1
        if self._looks > MOST_LOOKS:
            raise PeerError("FS-372", f"{len(self._ids)} can be asked")
        return self._ids


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
    ) -> None:
        require_linear(type(strategy), declared=linear)
        self._strategy = strategy
        self._owner = owner
        self._fleet = fleet
        self._plan = plan
        self._record = record
        self._clock = clock
        self._cohorts = Cohorts(
            fleet,
            roster=[party.name for party in owner.author.federation.data_owners],
            min_cohort=plan.min_cohort,
            patience=plan.join_seconds,
            clock=clock,
            sleep=sleep,
        )

    def run(self, arrays: ArrayRecord) -> ArrayRecord:
        """Train from a global model; return the last one.

        Raises:
            PeerError: FS-369 when a round failed in every attempt; whatever an
                aggregator refused.
        """
        for number in range(1, self._plan.rounds + 1):
            arrays = self._round(number, Purpose.TRAIN, arrays)
        return self._round(self._plan.rounds, Purpose.EVALUATE, arrays)

    def _round(self, number: int, purpose: Purpose, arrays: ArrayRecord) -> ArrayRecord:
        outcome = None
        for attempt in range(1, self._plan.attempts + 1):
            outcome = self._attempt(number, purpose, attempt, arrays)
            self._record(outcome)
            self._owner.forget(outcome.proposal.spec.digest)
            if outcome.opened is not None:
                return outcome.arrays
        reason = outcome.reason if outcome else "no attempt was allowed"
        raise PeerError("FS-369", f"{purpose} round {number}: {reason}")

    def _attempt(
        self, number: int, purpose: Purpose, attempt: int, arrays: ArrayRecord
    ) -> Outcome:
        watch = _Stopwatch(self._clock)
        nodes = self._cohorts.gather()
        watch.lap(WAIT)
        messages = self._configure(number, purpose, arrays, nodes)
        chosen = {message.metadata.dst_node_id for message in messages}
        cohort = {name: node for name, node in nodes.items() if node.node_id in chosen}
        task = _task(purpose, messages[0].content)
        proposal = self._owner.propose(self._request(number, attempt, task, cohort))
        watch.lap("propose")
        before = Outcome(proposal=proposal, arrays=arrays)
        try:
            asked = self._ask(before, task, cohort)
            watch.lap("train")
            outcome = self._decide(number, task, messages, asked, watch)
        except BaseException as error:
            self._give_up(before, error)
            raise
        return replace(outcome, seconds=watch.laps)

    def _ask(
        self, before: Outcome, task: wire.Task, cohort: Mapping[str, Node]
    ) -> Outcome:
        """Hand the task to the cohort, and believe those with both receipts."""
        receipts, missing = self._collect(before.proposal, task, cohort)
        received = {name: len(receipts) for name in self._owner.aggregators}
        if missing:
            # An answer may be lost although the reports are stored.
            held = self._owner.held(before.proposal)
            received = {name: len(found) for name, found in held.items()}
            receipts = {**pairs(held), **receipts}
            missing = [one for one in missing if one.name not in receipts]
        silent = [one.name for one in missing if one.status is Status.OFFLINE]
        self._cohorts.note(cohort, silent)
        return replace(
            before,
            receipts=receipts,
            missing=missing,
            received=received,
        )

    def _decide(
        self,
        number: int,
        task: wire.Task,
        messages: Sequence[Message],
        asked: Outcome,
        watch: "_Stopwatch",
    ) -> Outcome:
        """Open the round, or void it when too few have reported."""
        included, needed = len(asked.receipts), self._plan.min_cohort
        if included < needed:
            reason = f"{included} reported, {needed} needed"
            voids = self._owner.void(asked.proposal.spec, reason)
            return replace(asked, reason=reason, voids=voids)
        opened = self._owner.open(asked.proposal, asked.receipts)
        watch.lap("open")
        arrays = asked.arrays
        if task.purpose is Purpose.TRAIN:
            arrays = self._apply(number, task, messages, asked.included, opened.mean)
            watch.lap("apply")
        return replace(asked, opened=opened, arrays=arrays)

    def _give_up(self, before: Outcome, error: BaseException) -> None:
        """Void a round that cannot go on, as far as that is still possible."""
        reason = "stopped by its owner"
        if isinstance(error, FedsecureError):
            reason = f"given up after {error.code}"  # its text is for the owner alone
        with suppress(FedsecureError):
            voids = self._owner.void(before.proposal.spec, reason)
            self._record(replace(before, reason=reason, voids=voids))

    def _configure(
        self,
        number: int,
        purpose: Purpose,
        arrays: ArrayRecord,
        nodes: Mapping[str, Node],
    ) -> list[Message]:
        config = ConfigRecord(dict(self._plan.config))
        if purpose is Purpose.TRAIN:
            chosen = self._strategy.configure_train(
                number, arrays, config, _Sample(nodes)
            )
            return list(chosen)
        config["server-round"] = number
        content = RecordDict({wire.ARRAYS: arrays, wire.CONFIG: config})
        return [
            Message(content, dst_node_id=node.node_id, message_type=purpose.value)
            for node in nodes.values()
        ]

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
        replies = self._fleet.ask(
            [
                Message(content, dst_node_id=node_id, message_type=task.purpose.value)
                for node_id in names
            ],
            self._plan.round_seconds,
        )
        receipts: dict[str, ReceiptPair] = {}
        absent = {
            name: Participation(name, Status.OFFLINE, "no answer in time")
            for name in cohort
        }
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

    def _apply(
        self,
        number: int,
        task: wire.Task,
        messages: Sequence[Message],
        included: Sequence[str],
        mean: Mean,
    ) -> ArrayRecord:
        """Hand the wrapped strategy the average, as everybody's reply."""
        average = (task.weights.astype(np.float64) + mean.update).astype(np.float32)
        metrics: dict[str, int | float | list[float]] = {
            name: list(value) if isinstance(value, Sequence) else value
            for name, value in mean.scalars.items()
        }
        content = RecordDict(
            {
                wire.ARRAYS: wire.restore(task.layers, average),
                "metrics": MetricRecord({**metrics, EXAMPLES: 1}),
            }
        )
        replies = [
            Message(content, reply_to=message)
            for message, _ in zip(messages, included, strict=False)
        ]
        arrays, _ = self._strategy.aggregate_train(number, replies)
        if arrays is None:
            raise OperatorError("FS-371", f"{type(self._strategy).__name__}")
        return wire.as_float32(arrays)


def _absence(name: str, reply: Message, error: PeerError) -> Participation:
    if reply.has_error():
        return Participation(name, Status.NOT_REPORTED, "it answered: not reported")
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


def _task(purpose: Purpose, content: RecordDict) -> wire.Task:
    """Read the one model and the one ConfigRecord that a strategy sends."""
    arrays, configs = content.array_records, content.config_records
    if len(arrays) != 1 or len(configs) != 1:
        raise OperatorError(
            "FS-368", "it sends more than one ArrayRecord and one ConfigRecord"
        )
    layers, weights = wire.flatten(next(iter(arrays.values())))
    return wire.Task(purpose, layers, dict(next(iter(configs.values()))), weights)
