"""One run of several rounds of each kind, on the parties of `parties`.

A round lasts until the next one could begin: for `SecureAggregation` until its record
is committed.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from flwr.app import ArrayRecord, Message
from flwr.serverapp.strategy import FedAvg

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.core.params import Params
from fedsecure.core.sealing.payload_digest import sealed_length
from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.fleet import RosterFleet
from fedsecure.frameworks.flower.runtime import OwnedRun, Superlink, owned_run
from fedsecure.frameworks.flower.secure_aggregation import SecureAggregation
from fedsecure.owner.recorder import Recorder
from fedsecure.owner.run.outcome import Outcome
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.store.records import RunStarted
from fedsecure.protocol.statements import PrivacyField, Purpose, Weighting
from fedsecure.study.task import ConfigValue
from fedsecure.study.terms import SUITE, StudyRequest, Terms
from fedsecure_bench.rounds.model import NODES, layers
from fedsecure_bench.rounds.parties import JOIN_SECONDS, Present
from fedsecure_bench.rounds.secagg import SecAggRound
from fedsecure_bench.usage import MB, Usage

ROUND_SECONDS: Final = 300.0
EXCHANGE_SECONDS: Final = 300.0
CLIP: Final = 100.0
_PRIVACY: Final = PrivacyField(  # a budget for as many rounds as anybody measures
    unit=Unit.DATA_OWNER,
    unit_clip=CLIP,
    noise=4.0,
    scalar_noise=4.0,
    evaluation_noise=4.0,
    every_round=False,
    epsilon=10_000.0,
    delta=1e-5,
)
FLOWER_BYTES: Final = "through Flower"
SHARE_BYTES: Final = "to both aggregators"


@dataclass(slots=True)
class Measured:
    """One run of several rounds: seconds of each, and of its stages; MB of each."""

    rounds: list[float]
    stages: dict[str, list[float]] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of rounds that take turns."""

    present: Present
    turns: Iterator[int]

    def plain(self, size: int, rounds: int) -> Measured:
        """Run rounds of plain FedAvg on Flower's SuperLink."""
        return self._fedavg(self.present.bare_link, size, rounds)

    def plain_here(self, size: int, rounds: int) -> Measured:
        """Run them on our SuperLink: what is left is the protection alone."""
        return self._fedavg(self.present.link, size, rounds)

    def _fedavg(self, link: Superlink, size: int, rounds: int) -> Measured:
        ended: list[float] = []

        def note(_round: int, _arrays: ArrayRecord) -> None:
            ended.append(time.perf_counter())

        with (
            owned_run(link) as running,
            _counted(link, rounds) as megabytes,
        ):
            grid = _Timed(running, self._plain_nodes(running))
            strategy = FedAvg(
                fraction_evaluate=0.0, min_train_nodes=NODES, min_available_nodes=NODES
            )
            strategy.start(
                grid=grid,
                initial_arrays=ArrayRecord(layers(size)),
                num_rounds=rounds,
                timeout=ROUND_SECONDS,
                evaluate_fn=note,
            )
        seconds = _between(ended)
        rest = [a - b for a, b in zip(seconds, grid.exchanges, strict=True)]
        stages = {"exchange": grid.exchanges, "aggregate": rest}
        return Measured(seconds, stages, megabytes)

    def secure(self, size: int, rounds: int) -> Measured:
        """Run the same rounds over secret shares."""
        return self._secure(size, rounds, None)

    def noisy(self, size: int, rounds: int) -> Measured:
        """Run them with noise of both aggregators in every sum."""
        return self._secure(size, rounds, _PRIVACY)

    def _secure(self, size: int, rounds: int, privacy: PrivacyField | None) -> Measured:
        ended: list[float] = []
        laps: dict[str, list[float]] = {}
        name = f"bench-{size}-{next(self.turns)}"
        start = ArrayRecord(layers(size))
        recorder = Recorder(
            self.present.owner.store,
            self.present.owner.settings.folder,
            lambda _: {},
            lambda _: None,
        )

        def record(outcome: Outcome) -> None:
            if outcome.opened is None:
                raise OperatorError("FS-846", outcome.reason)
            recorder.record(outcome)
            if outcome.proposal.spec.statement.purpose is Purpose.TRAIN:
                ended.append(time.perf_counter())
                for stage, seconds in outcome.seconds.items():
                    laps.setdefault(stage, []).append(seconds)

        with owned_run(self.present.link) as running:
            self.present.owner.store.start_run(_started(name, rounds, recorder, start))
            secure = SecureAggregation(
                FedAvg(fraction_evaluate=0.0),
                self.present.owner.rounds(),
                RosterFleet(running, self.present.owner.federation),
                _plan(name, rounds, privacy),
                record=record,
                clock=time.monotonic,
                sleep=time.sleep,
            )
            with _counted(self.present.link, rounds) as megabytes:
                ended.append(time.perf_counter())
                secure.run(start)
        params = Params.derive(size, (), NODES, CLIP, 1)
        vector, seed = sealed_length(params.layout.plaintext_bytes), sealed_length(32)
        megabytes[SHARE_BYTES] = NODES * (vector + seed) / MB
        return Measured(_between(ended), laps, megabytes)

    def secagg(self, size: int, rounds: int) -> Measured:
        """Run rounds of SecAgg+ on Flower's SuperLink."""
        link = self.present.bare_link
        with owned_run(link) as running, _counted(link, rounds) as megabytes:
            nodes = self._plain_nodes(running)
            grid = _Timed(running, nodes)
            protocol = SecAggRound(grid, nodes, running.run_id)
            ended = [time.perf_counter()]
            for number in range(1, rounds + 1):
                protocol.run(number, layers(size))
                ended.append(time.perf_counter())
        each = len(grid.exchanges) // rounds
        stages = {
            f"exchange {place + 1}": grid.exchanges[place::each]
            for place in range(each)
        }
        return Measured(_between(ended), stages, megabytes)

    def _plain_nodes(self, running: OwnedRun) -> list[int]:
        known = running.nodes()
        return [known[key].node_id for key in self.present.plain_keys]


@contextmanager
def _counted(link: Superlink, rounds: int) -> Iterator[dict[str, float]]:
    """Count what goes through a SuperLink, for each round."""
    server, counted = Usage(link.pid), {FLOWER_BYTES: 0.0}
    before = server.transferred()
    yield counted
    counted[FLOWER_BYTES] = (server.transferred() - before) / rounds


class _Timed:
    """A run's grid that shows some of its nodes, and times each exchange."""

    def __init__(self, running: OwnedRun, nodes: Sequence[int]) -> None:
        self._grid = running.grid
        self._nodes = nodes
        self.exchanges: list[float] = []

    def get_node_ids(self) -> list[int]:
        """Return the nodes that take part."""
        return list(self._nodes)

    def send_and_receive(
        self, messages: Iterable[Message], *, timeout: float | None = None
    ) -> list[Message]:
        """Send instructions and wait for all replies."""
        messages = list(messages)
        if not messages:  # of an evaluation with nobody
            return []
        start = time.perf_counter()
        replies = self._grid.send_and_receive(
            messages, timeout=min(timeout or EXCHANGE_SECONDS, EXCHANGE_SECONDS)
        )
        self.exchanges.append(time.perf_counter() - start)
        answered = sum(not reply.has_error() for reply in replies)
        if answered < len(messages):
            lost = f"{answered} of {len(messages)} agents answered in time"
            raise OperatorError("FS-846", lost)
        return replies


def _plan(name: str, rounds: int, privacy: PrivacyField | None) -> Plan:
    terms = Terms(
        scalars=(),
        clip=CLIP,
        privacy=privacy,
        weight_cap=1,
        weighting=Weighting.EQUAL,
        min_cohort=NODES,
        suite=SUITE,
    )
    # Of another content: agents refuse one that they know under other terms.
    config: dict[str, ConfigValue] = {"noise": privacy is not None}
    return Plan(
        run=name,
        rounds=rounds,
        config=config,
        scalars=terms.scalars,
        clip=terms.clip,
        weight_cap=terms.weight_cap,
        weighting=terms.weighting,
        min_cohort=terms.min_cohort,
        round_seconds=ROUND_SECONDS,
        join_seconds=JOIN_SECONDS,
        privacy=privacy,
        study=StudyRequest(config, terms).digest if privacy else None,
    )


def _started(
    name: str, rounds: int, recorder: Recorder, start: ArrayRecord
) -> RunStarted:
    return RunStarted(
        run=name,
        study="bench",
        title="rounds without training",
        strategy="FedAvg",
        weighting=Weighting.EQUAL,
        planned_rounds=rounds,
        min_cohort=NODES,
        clip=CLIP,
        settings={},
        initial_model=recorder.save_model(name, 0, wire.model_of(start)),
    )


def _between(moments: Sequence[float]) -> list[float]:
    return [b - a for a, b in pairwise(moments)]
