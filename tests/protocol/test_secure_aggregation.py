"""Flower strategies over secret-shared updates: all but Flower's network."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import flwr.serverapp.strategy
import httpx
import numpy as np
import pytest
from flwr.app import (
    Array,
    ArrayRecord,
    ConfigRecord,
    Context,
    Error,
    Message,
    MetricRecord,
    RecordDict,
)
from flwr.serverapp.strategy import (
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedProx,
    FedYogi,
    Strategy,
)
from flwr.serverapp.strategy.fedopt import FedOpt

from fedsecure.errors import FedsecureError, OperatorError, PeerError
from fedsecure.frameworks.flower.linear import LINEAR, NOT_LINEAR
from fedsecure.frameworks.flower.mod import secret_sharing_mod
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.frameworks.flower.secure_aggregation import SecureAggregation
from fedsecure.owner.run.outcome import Outcome
from fedsecure.owner.run.participants import Agent
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.store.records import RoundResult, RoundVoided, Status
from fedsecure.owner.store.states import RoundState
from fedsecure.protocol.statements import Weighting
from tests.protocol.federation import (
    HOSPITALS,
    SCALARS,
    Handler,
    MemoryFederation,
)

NODES = {name: 100 + i for i, name in enumerate(HOSPITALS)}
EXAMPLES = dict(zip(HOSPITALS, (100, 40, 250, 7), strict=True))
ROUNDS = 5
STRATEGIES = (FedAvg, FedAvgM, FedAdam, FedAdagrad, FedYogi, FedProx)

App = Callable[[Message, Context], Message]


def learn(message: Message, context: Context) -> Message:
    """Move every layer towards a point of this node's own; small and deterministic."""
    config = message.content["config"]
    rng = np.random.default_rng([context.node_id, int(config["server-round"])])
    examples = EXAMPLES[HOSPITALS[context.node_id - 100]]
    metrics = {"num-examples": examples, "loss": 1.0 + 1.0 / examples}
    content = RecordDict({"metrics": MetricRecord(metrics)})
    if message.metadata.message_type == "train":
        content["arrays"] = ArrayRecord(
            {
                key: Array(
                    (array.numpy() + rng.normal(0, 0.05, array.shape)).astype("f4")
                )
                for key, array in message.content["arrays"].items()
            }
        )
    return Message(content, reply_to=message)


def initial() -> ArrayRecord:
    rng = np.random.default_rng(7)
    shapes = [(20, 5), (5,), (5, 1), (1,)]
    return ArrayRecord([rng.normal(0, 0.3, shape).astype("f4") for shape in shapes])


def flat(arrays: ArrayRecord) -> Any:
    return np.concatenate([array.ravel() for array in arrays.to_numpy_ndarrays()])


def copy_for(message: Message) -> Message:
    """Return what arrives at a node: no object is shared with the sender."""
    return Message(
        RecordDict(dict(message.content.items())),
        dst_node_id=message.metadata.dst_node_id,
        message_type=message.metadata.message_type,
    )


@dataclass
class Fleet:
    """Hospitals' agents in this process; `app` is what each of them runs."""

    memory: MemoryFederation
    app: App = learn
    silent: set[str] = field(default_factory=set)
    seen: list[Message] = field(default_factory=list)

    def online(self) -> Mapping[str, Agent]:
        return {
            name: Agent(number, "1")
            for name, number in NODES.items()
            if name not in self.silent
        }

    def ask(
        self,
        messages: Sequence[Message],
        seconds: float,
        _enough: Callable[[], bool],
    ) -> Iterable[Message]:
        assert seconds > 0
        for message in messages:
            name = HOSPITALS[message.metadata.dst_node_id - 100]
            reply = self._answer(name, copy_for(message))
            if reply is not None:
                reply.metadata.__dict__["_src_node_id"] = message.metadata.dst_node_id
                self.seen.append(reply)
                yield reply

    def _answer(self, name: str, message: Message) -> Message | None:
        if name in self.silent:
            return None
        mod = secret_sharing_mod(self.memory.hospitals[name].contributor)
        context = Context(1, NODES[name], {}, RecordDict(), {})
        try:
            return mod(message, context, self.app)
        except FedsecureError:
            return Message(Error(code=1, reason="not_reported"), reply_to=message)


def plan(**changes: Any) -> Plan:
    settings: dict[str, Any] = {
        "run": "run-1",
        "rounds": ROUNDS,
        "config": {"study": "a toy"},
        "scalars": SCALARS,
        "clip": 4.0,
        "weight_cap": 1000,
        "weighting": Weighting.ROUNDED,
        "min_cohort": 3,
        "round_seconds": 60.0,
        "join_seconds": 5.0,
        **changes,
    }
    return Plan(**settings)


@dataclass
class Training:
    memory: MemoryFederation
    fleet: Fleet
    outcomes: list[Outcome] = field(default_factory=list)

    def run(
        self, strategy: Strategy, *, linear: bool = False, **changes: Any
    ) -> ArrayRecord:
        ticks = itertools.count(0.0, 0.5)
        secure = SecureAggregation(
            strategy,
            self.memory.owner,
            self.fleet,
            plan(**changes),
            record=self.record,
            clock=lambda: next(ticks),
            sleep=lambda _seconds: None,
            linear=linear,
        )
        return secure.run(initial())

    def record(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        digest = outcome.proposal.spec.digest
        if outcome.opened is None:
            self.memory.store.void_round(RoundVoided(digest, outcome.reason))
        else:
            shares = [share.token for share in outcome.opened.shares.values()]
            self.memory.store.finish_round(RoundResult(digest, shares=shares))


@pytest.fixture
def training(memory: MemoryFederation) -> Iterator[Training]:
    with task_identity(1):
        yield Training(memory, Fleet(memory))


def options() -> dict[str, Any]:
    return {
        "fraction_evaluate": 0.0,
        "min_train_nodes": 4,
        "min_available_nodes": 4,
    }


def few() -> dict[str, Any]:
    return {**options(), "min_train_nodes": 3, "min_available_nodes": 3}


def plain(
    strategy: Strategy, weights: Mapping[str, int], rounds: int = ROUNDS
) -> ArrayRecord:
    """Run the strategy as Flower does, with replies that hold everybody's arrays."""

    class Grid:
        def get_node_ids(self) -> list[int]:
            return list(NODES.values())

    arrays = initial()
    for number in range(1, rounds + 1):
        config = ConfigRecord({"study": "a toy"})
        replies = []
        sent = strategy.configure_train(number, arrays, config, Grid())
        for message in sorted(sent, key=lambda one: one.metadata.dst_node_id):
            node_id = message.metadata.dst_node_id
            context = Context(1, node_id, {}, RecordDict(), {})
            reply = learn(copy_for(message), context)
            name = HOSPITALS[node_id - 100]
            reply.content["metrics"]["num-examples"] = weights[name]
            replies.append(reply)
        arrays, _ = strategy.aggregate_train(number, replies)
    return arrays


def adaptive(kind: type[Strategy]) -> dict[str, Any]:
    # With the default tau of 1e-3 these divide by values near zero, which magnifies
    # the last digit of float32; as their papers advise, tau is raised with eta.
    return {"tau": 0.1} if issubclass(kind, FedOpt) else {}


@pytest.mark.parametrize("kind", STRATEGIES)
def test_a_linear_strategy_gives_the_same_model_as_under_plain_flower(
    training: Training, kind: type[Strategy]
) -> None:
    extra = adaptive(kind)
    if kind is FedProx:
        extra["proximal_mu"] = 0.1
    secure = training.run(kind(**options(), **extra))
    rounded = {"basel": 128, "bern": 32, "chur": 256, "genf": 8}
    expected = plain(kind(**options(), **extra), rounded)
    assert np.abs(flat(expected) - flat(initial())).max() > 1e-3
    np.testing.assert_allclose(flat(secure), flat(expected), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_a_strategy_that_looks_at_single_updates_is_refused_by_name(
    training: Training, name: str
) -> None:
    kind = getattr(flwr.serverapp.strategy, name)
    strategy = kind.__new__(kind)  # what it is decides, not how it was made
    with pytest.raises(OperatorError, match=f"FS-368 .*{name}: {NOT_LINEAR[name]}"):
        training.run(strategy)


def test_a_setting_of_the_strategys_own_has_to_be_in_the_study(
    training: Training,
) -> None:
    """Else a round would be of another study than the one that people approved."""
    strategy = FedProx(**options(), proximal_mu=0.1)
    with pytest.raises(OperatorError, match=r"FS-368 .*proximal-mu = 0\.1"):
        training.run(strategy, config={"rate": 1.0})
    training.run(strategy, config={"rate": 1.0, "proximal-mu": 0.1})
    asked = [one.proposal.spec.statement.purpose for one in training.outcomes]
    assert asked == ["train"] * ROUNDS + ["evaluate"]
    assert all(one.opened for one in training.outcomes)


def test_every_strategy_that_flower_has_is_known() -> None:
    names = {
        name
        for name in flwr.serverapp.strategy.__all__
        if issubclass(getattr(flwr.serverapp.strategy, name), Strategy)
    }
    abstract = {"Strategy"}
    known = {kind.__name__ for kind in LINEAR} | set(NOT_LINEAR) | abstract
    assert names == known | {"DifferentialPrivacyClientSideFixedClipping"}


def test_a_strategy_of_ones_own_runs_when_it_is_declared_linear(
    training: Training,
) -> None:
    class Halved(FedAvg):
        """Take half of each mean update."""

        def configure_train(
            self, number: int, arrays: ArrayRecord, config: ConfigRecord, grid: Any
        ) -> Iterable[Message]:
            self.before = arrays
            return super().configure_train(number, arrays, config, grid)

        def aggregate_train(
            self, number: int, replies: Iterable[Message]
        ) -> tuple[ArrayRecord | None, MetricRecord | None]:
            arrays, metrics = super().aggregate_train(number, replies)
            return (
                ArrayRecord(
                    {
                        key: Array((array.numpy() + self.before[key].numpy()) / 2)
                        for key, array in arrays.items()
                    }
                ),
                metrics,
            )

    with pytest.raises(OperatorError, match=r"FS-368 .*Halved: nobody declared"):
        training.run(Halved(**options()))
    trained = training.run(Halved(**options()), linear=True, rounds=1)
    weights = {"basel": 128, "bern": 32, "chur": 256, "genf": 8}
    full = plain(FedAvg(**options()), weights, rounds=1)
    expected = (flat(initial()) + flat(full)) / 2
    np.testing.assert_allclose(flat(trained), expected, rtol=0, atol=1e-6)


def test_replies_hold_receipts_and_nothing_else(training: Training) -> None:
    training.run(FedAvg(**options()), rounds=1)
    for reply in training.fleet.seen:
        assert not reply.content.array_records
        assert not reply.content.metric_records
        assert list(reply.content.config_records) == ["fedsecure"]
        assert list(reply.content["fedsecure"]) == ["receipts"]


def test_training_goes_on_with_three_when_one_does_not_report(
    training: Training,
) -> None:
    def fail_at_genf(message: Message, context: Context) -> Message:
        if context.node_id == NODES["genf"]:
            raise PeerError("FS-365", "rows of patient 17")
        return learn(message, context)

    training.fleet.app = fail_at_genf
    training.run(FedAvg(**few()), rounds=2)
    first = training.outcomes[0]
    assert list(first.included) == ["basel", "bern", "chur"]
    (absent,) = first.missing
    assert (absent.name, absent.status) == ("genf", Status.NOT_REPORTED)
    assert "patient" not in str(training.fleet.seen)


def test_what_each_aggregator_holds_is_counted_for_itself(
    training: Training,
) -> None:
    def lose(request: httpx.Request, deliver: Handler) -> httpx.Response:
        if request.url.path.endswith("/reports/genf"):
            msg = "cut by the test"
            raise httpx.ConnectError(msg, request=request)
        return deliver(request)

    training.memory.wires["south"].fault = lose
    training.run(FedAvg(**few()), rounds=1)
    assert training.outcomes[0].received == {"north": 4, "south": 3}
    assert training.outcomes[0].included == ["basel", "bern", "chur"]


def test_a_round_below_min_cohort_is_void_and_the_model_unchanged(
    training: Training,
) -> None:
    broken = {"chur", "genf"}

    def fail(message: Message, context: Context) -> Message:
        if HOSPITALS[context.node_id - 100] in broken:
            broken.discard(HOSPITALS[context.node_id - 100])
            raise PeerError("FS-365", "once")
        return learn(message, context)

    training.fleet.app = fail
    training.run(FedAvg(**few()), rounds=1, join_seconds=1.0)
    void, opened, _ = training.outcomes
    assert void.opened is None
    assert void.reason == "2 reported, 3 needed"
    np.testing.assert_array_equal(void.model.weights, flat(initial()))
    assert opened.opened is not None
    assert opened.proposal.spec.statement.attempt == 2


def test_a_training_that_is_stopped_voids_the_round_it_was_in(
    training: Training,
) -> None:
    def stop(_message: Message, _context: Context) -> Message:
        raise KeyboardInterrupt

    training.fleet.app = stop
    with pytest.raises(KeyboardInterrupt):
        training.run(FedAvg(**options()))
    (given_up,) = training.outcomes
    assert given_up.reason == "stopped by its owner"
    assert sorted(given_up.voids) == ["north", "south"]
    (row,) = training.memory.store.rounds("run-1")
    assert row.state == RoundState.VOID


def test_a_strategy_that_would_wait_for_ever_is_stopped(training: Training) -> None:
    training.fleet.silent = {"genf"}
    with pytest.raises(PeerError, match=r"FS-372 .*3 can be asked"):
        training.run(FedAvg(**options()), join_seconds=1.0)


def test_too_few_online_says_how_many_are_needed(training: Training) -> None:
    training.fleet.silent = {"basel", "bern"}
    with pytest.raises(PeerError, match=r"FS-370 .*chur, genf joined, 3 are needed"):
        training.run(FedAvg(**options()), join_seconds=1.0)


def test_weights_that_are_not_float32_are_refused_by_name(training: Training) -> None:
    secure = SecureAggregation(
        FedAvg(**options()),
        training.memory.owner,
        training.fleet,
        plan(),
        record=training.record,
        clock=lambda: 0.0,
        sleep=lambda _seconds: None,
    )
    wrong = ArrayRecord({"dense/kernel": Array(np.zeros((2, 2), np.float64))})
    with pytest.raises(PeerError, match=r"FS-361 .*'dense/kernel' is float64"):
        secure.run(wrong)


def test_a_round_is_opened_without_waiting_for_replies_that_are_not_needed(
    training: Training,
) -> None:
    """Everybody has reported, and nobody answers: the aggregators know."""
    asked: list[bool] = []

    class Mute(Fleet):
        def ask(
            self,
            messages: Sequence[Message],
            seconds: float,
            enough: Callable[[], bool],
        ) -> Iterable[Message]:
            asked.append(enough())
            list(super().ask(messages, seconds, enough))
            asked.append(enough())
            return []

    training.fleet = Mute(training.memory)
    training.run(FedAvg(**options()), rounds=1)
    assert asked == [False, True] * 2  # a round of training, and the evaluation
    assert [len(one.included) for one in training.outcomes] == [4, 4]
