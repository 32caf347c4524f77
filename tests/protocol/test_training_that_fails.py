"""A training that leaves the numbers, or stands still, says so and is no success."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam, FedAvg, FedAvgM, FedYogi, Strategy

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.frameworks.flower.secure_aggregation import SecureAggregation
from fedsecure.owner.jobs.model_source import Parts
from fedsecure.owner.run.resume import Past, read_past
from fedsecure.owner.run.soundness import DivergedError, Measured
from fedsecure.protocol.statements import Purpose, StatisticsField
from fedsecure.study.round_task import GlobalModel
from tests.protocol.federation import HOSPITALS, MemoryFederation
from tests.protocol.test_secure_aggregation import (
    EXAMPLES,
    Fleet,
    Training,
    flat,
    options,
    plan,
)

NODE = 100  # the first hospital's
VARIANCE = "1"  # of the arrays below; it falls from 1 towards 0.01
APART = StatisticsField(clip=50.0, ranges=[[3, 5]])
SGD: dict[str, Any] = {"server_learning_rate": 2.0, "server_momentum": 0.9}


@pytest.fixture
def training(memory: MemoryFederation) -> Iterator[Training]:
    with task_identity(1):
        yield Training(memory, Fleet(memory))


def initial() -> ArrayRecord:
    return ArrayRecord(
        [np.zeros(3, np.float32), np.ones(2, np.float32), np.zeros(2, np.float32)]
    )


def app(
    change: Callable[[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]],
    loss: Callable[[int, str], float] = lambda _number, _name: 1.0,
) -> Callable[[Message, Context], Message]:
    """A ClientApp that changes arrays by their name, with a loss by round and site."""

    def answer(message: Message, context: Context) -> Message:
        number = int(message.content["config"]["server-round"])
        if message.metadata.message_type == "evaluate":
            number += 1
        name = HOSPITALS[context.node_id - NODE]
        metrics = {"num-examples": EXAMPLES[name], "loss": loss(number, name)}
        content = RecordDict({"metrics": MetricRecord(metrics)})
        if message.metadata.message_type == "train":
            content["arrays"] = ArrayRecord(
                {
                    key: Array(change(key, array.numpy()).astype("f4"))
                    for key, array in message.content["arrays"].items()
                }
            )
        return Message(content, reply_to=message)

    return answer


def shrinking(key: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Moving averages go a third of their way; what is trained moves a little."""
    return array + (0.01 - array) / 3 if key == VARIANCE else array + 0.1


def run(
    training: Training, strategy: Strategy, parts: Parts | None = None, **changes: Any
) -> ArrayRecord:
    secure = SecureAggregation(
        strategy,
        training.memory.owner,
        training.fleet,
        plan(**changes),
        record=training.record,
        clock=lambda: 0.0,
        sleep=lambda _seconds: None,
        parts=parts or Parts(),
    )
    past = read_past(training.memory.store, training.memory.folder, "run-1")
    return secure.run(initial(), past)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FedAdam(**options(), eta=0.5),
        lambda: FedYogi(**options(), eta=0.5),
        lambda: FedAvgM(**options(), **SGD),
    ],
)
def test_statistics_are_averaged_and_not_stepped(
    training: Training, make: Callable[[], Strategy]
) -> None:
    training.fleet.app = app(shrinking)
    parts = Parts(statistics=frozenset({VARIANCE}))
    trained = run(training, make(), parts, rounds=4, statistics=APART)
    expected = 0.01 + 0.99 * (2 / 3) ** 4
    np.testing.assert_allclose(trained[VARIANCE].numpy(), expected, atol=1e-5)
    # The optimizer took its own steps with the rest: not 4 times 0.1.
    assert np.abs(trained["0"].numpy() - 0.4).min() > 0.1
    assert training.outcomes[-1].proposal.spec.statement.purpose is Purpose.EVALUATE


def test_without_that_a_server_step_leads_a_variance_below_zero(
    training: Training,
) -> None:
    training.fleet.app = app(shrinking)
    trained = run(training, FedAdam(**options(), eta=0.5), rounds=4)
    assert trained[VARIANCE].numpy().min() < 0


def test_long_statistics_do_not_take_from_what_is_trained(training: Training) -> None:
    training.fleet.app = app(
        lambda key, array: array + (1000.0 if key == VARIANCE else 0.1)
    )
    parts = Parts(statistics=frozenset({VARIANCE}))
    trained = run(training, FedAvg(**options()), parts, rounds=2, statistics=APART)
    np.testing.assert_allclose(trained["0"].numpy(), 0.2, atol=1e-5)
    (first, second, _) = (one.opened for one in training.outcomes)
    for opened in (first, second):
        assert opened is not None
        assert (opened.mean.clipped, opened.mean.statistics_clipped) == (0, 4)
    length = np.linalg.norm(trained[VARIANCE].numpy() - 1)
    assert length == pytest.approx(2 * APART.clip, rel=1e-5)


def test_what_layers_declare_holds_after_the_servers_step(training: Training) -> None:
    training.fleet.app = app(lambda _key, array: array - 0.1)

    def not_negative(model: GlobalModel) -> GlobalModel:
        return replace(model, weights=np.maximum(model.weights, 0))

    trained = run(training, FedAvg(**options()), Parts(keep=not_negative), rounds=2)
    assert flat(trained).min() == 0


def from_round(number: int, *names: str) -> Callable[[int, str], float]:
    """A loss that is NaN at some hospitals, from the evaluation of a round on."""
    return lambda now, name: math.nan if now >= number and name in names else 1.0


def test_a_run_ends_where_most_cannot_measure_its_model(training: Training) -> None:
    training.fleet.app = app(shrinking, from_round(3, *HOSPITALS))
    with pytest.raises(DivergedError, match=r"FS-232.*4 of 4.*round 2.*round 1") as it:
        run(training, FedAvg(**options()), rounds=5)
    assert it.value.sound == 1  # round 2 measured it, and went on
    assert len(training.outcomes) == 3
    opened = training.outcomes[-1].opened
    assert opened is not None
    assert (opened.mean.undefined, opened.mean.scalars) == (4, {"loss": None})


def test_a_run_that_is_to_go_on_never_ends_well(training: Training) -> None:
    training.fleet.app = app(shrinking, from_round(3, *HOSPITALS))
    with pytest.raises(DivergedError, match=r"the model of round 5; the last sound"):
        run(training, FedAvg(**options()), rounds=5, stop_when_diverged=False)
    assert len(training.outcomes) == 6


def test_a_run_may_recover(training: Training) -> None:
    def once(now: int, _name: str) -> float:
        return math.nan if now == 2 else 1.0

    training.fleet.app = app(shrinking, once)
    run(training, FedAvg(**options()), rounds=3, stop_when_diverged=False)
    assert len(training.outcomes) == 4


def test_one_that_cannot_measure_does_not_end_a_run(training: Training) -> None:
    training.fleet.app = app(shrinking, from_round(1, "genf"))
    run(training, FedAvg(**options()), rounds=2)
    for outcome in training.outcomes:
        assert outcome.opened is not None
        assert outcome.opened.mean.undefined == 1
        assert outcome.opened.mean.scalars["loss"] == pytest.approx(1.0, abs=1e-6)


def test_the_model_of_the_last_round_is_looked_at_too(training: Training) -> None:
    training.fleet.app = app(shrinking, from_round(3, *HOSPITALS))
    with pytest.raises(DivergedError, match="round 2; the last sound") as caught:
        run(training, FedAvg(**options()), rounds=2)
    assert caught.value.sound == 1
    with pytest.raises(DivergedError, match="round 2"):
        _again(training)  # every round is decided, and it is no success all the same


def _again(training: Training) -> None:
    """Go on with a run, of which the ledger tells what was measured."""
    decided, measured = set(), []
    for outcome in training.outcomes:
        spec, opened = outcome.proposal.spec.statement, outcome.opened
        assert opened is not None
        mean = opened.mean
        decided.add((spec.round, spec.purpose))
        measured.append(Measured(spec.round, spec.purpose, mean.count, mean.undefined))
    past = Past(decided=frozenset(decided), measured=measured)
    SecureAggregation(
        FedAvg(**options()),
        training.memory.owner,
        training.fleet,
        plan(rounds=2),
        record=training.record,
        clock=lambda: 0.0,
        sleep=lambda _seconds: None,
    ).run(initial(), past)


@pytest.mark.parametrize("rate", [1e39, 1e22])  # infinite, and finite to no purpose
def test_a_step_out_of_the_numbers_ends_a_run_before_anybody_is_asked(
    training: Training, rate: float
) -> None:
    training.fleet.app = app(shrinking)
    far = FedAvgM(**options(), server_learning_rate=rate)
    with (
        np.errstate(over="ignore"),
        pytest.raises(DivergedError, match=r"round 1 holds NaN or huge.*first model"),
    ):
        run(training, far, rounds=3, stop_when_diverged=False)
    assert len(training.outcomes) == 1


def test_a_run_in_which_nothing_moves_is_no_success(training: Training) -> None:
    training.fleet.app = app(lambda _key, array: array)
    with pytest.raises(OperatorError, match=r"FS-235.*all 2 opened means are zero"):
        run(training, FedAvg(**options()), rounds=2)


def test_a_round_in_which_nothing_moves_may_be_followed_by_one_that_does(
    training: Training,
) -> None:
    moved: list[bool] = []

    def second(key: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        moved.append(key == "0")
        return array + (0.1 if sum(moved) > len(HOSPITALS) else 0.0)

    training.fleet.app = app(second)
    run(training, FedAvg(**options()), rounds=2)
