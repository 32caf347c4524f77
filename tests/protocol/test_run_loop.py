"""A whole run over a port of the test's own: no Flower, no Keras, no network.

Each hospital answers with its own end of the protocol, the strategy has a momentum that
a run which goes on must find again, and one job asks for numbers alone. What is shown
is the run loop's own: attempts, voids, pauses, resume, replay, the accountant's say.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from fedsecure.contributor.contribution import Offer, ReceivedTask
from fedsecure.core.encoding import MeanUpdate
from fedsecure.core.scalars import MeanScalars
from fedsecure.core.scheme import Measurement
from fedsecure.errors import OperatorError, PeerError
from fedsecure.owner.jobs.training_rounds import Training
from fedsecure.owner.recorder import Recorder, RoundReport
from fedsecure.owner.rounds.proposal import RoundRequest
from fedsecure.owner.run.accountant import UNLIMITED, Accountant
from fedsecure.owner.run.loop import RoundLoop
from fedsecure.owner.run.participants import Agent, Answer, Assignment, Question
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.run.resume import NOTHING, Past, read_past
from fedsecure.owner.store.states import RoundState
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Purpose, RoundSpec, Weighting
from fedsecure.study.round_task import GlobalModel, RoundTask, joined
from fedsecure.study.task import ConfigValue
from fedsecure.system import crash_points
from fedsecure.system.crash_points import Point
from tests.protocol.federation import (
    HOSPITALS,
    SCALARS,
    Handler,
    MemoryFederation,
    federate,
    refused,
)

ROUNDS = 3
RUN = "run-1"
CONFIG = {"study": "a toy"}
NO_MODEL = GlobalModel((), np.empty(0, np.float32))  # numbers alone are asked for
OWNER_POINTS = [point for point in Point if point.startswith("owner:")]


class Killed(BaseException):
    """Stands for the end of the model owner's process."""


def initial() -> GlobalModel:
    weights = np.random.default_rng(7).normal(0, 0.3, (20, 5)).astype("f4")
    return joined([("kernel", weights), ("bias", np.zeros(5, np.float32))])


def update_of(name: str, number: int, dimension: int) -> NDArray[np.float32]:
    rng = np.random.default_rng([*name.encode(), number])
    return rng.normal(0, 0.05, dimension).astype(np.float32)


@dataclass
class Momentum:
    """A server's step that depends on every step before it."""

    velocity: NDArray[np.float64] | None = None

    def configure(
        self, number: int, model: GlobalModel, agents: Mapping[str, Agent]
    ) -> Assignment:
        seen: dict[str, ConfigValue] = {**CONFIG, "server-round": number}
        task = RoundTask(Purpose.TRAIN, model.layers, seen, model.weights)
        return Assignment(task, frozenset(agents), partial(self.step, model))

    def step(
        self, model: GlobalModel, _set: int, update: MeanUpdate, _scalars: MeanScalars
    ) -> GlobalModel:
        before = np.zeros_like(update) if self.velocity is None else self.velocity
        self.velocity = 0.5 * before + update
        weights = (model.weights + self.velocity).astype(np.float32)
        return GlobalModel(model.layers, weights)


@dataclass
class Agents:
    """The port: each hospital's own end of the protocol, in this process."""

    memory: MemoryFederation
    broken: dict[str, int] = field(default_factory=dict)  # name > turns it fails
    asked: list[list[str]] = field(default_factory=list)

    def online(self) -> Mapping[str, Agent]:
        return {name: Agent(place, "1") for place, name in enumerate(HOSPITALS)}

    def ask(
        self,
        question: Question,
        asked: Mapping[str, Agent],
        seconds: float,
        enough: Callable[[], bool],
    ) -> Sequence[Answer]:
        assert seconds > 0
        self.asked.append(list(asked))
        assert not enough()
        answers = [self._answer(name, question) for name in asked]
        assert enough() == all(not answer.declined for answer in answers)
        return answers

    def _answer(self, name: str, question: Question) -> Answer:
        if self.broken.get(name, 0):
            self.broken[name] -= 1
            refusal = PeerError("FS-364", "not_reported")
            return Answer(name, declined=True, malformed=refusal)
        task, contributor = question.task, self.memory.hospitals[name].contributor
        train = task.purpose is Purpose.TRAIN
        facts = ReceivedTask(
            task.purpose,
            task.digest(),
            task.model,
            task.weights.size if train else 0,
            task.config,
        )
        accepted = contributor.accept(Offer(question.spec, question.grants), facts)
        if not contributor.has_contributed(accepted):
            number = accepted.spec.statement.round
            update = update_of(name, number, task.weights.size) if train else None
            sent = accepted.params.scalars
            metrics = {one.name: 0.25 * len(name) for one in sent}
            contributor.contribute(accepted, Measurement(update, 1, metrics))
        receipts = contributor.deliver(accepted)
        return Answer(name, [receipts[one].token for one in sorted(receipts)])


@dataclass
class Account:
    """An accountant with room for so many openings; its memory is its disk."""

    room: int
    refuse_spending: bool = False
    spent: dict[str, list[str]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def require(self, request: RoundRequest) -> None:
        self.told.append(f"require {request.round}.{request.attempt}")
        if len(self.spent) >= self.room:
            raise OperatorError("FS-400", f"{self.room} openings are spent")

    def spend(self, spec: Signed[RoundSpec], members: Sequence[str]) -> None:
        self.told.append(f"spend {_name(spec)}")
        if self.refuse_spending:
            raise OperatorError("FS-400", "not over this set")
        self.spent[spec.digest] = list(members)

    def opened(self, spec: Signed[RoundSpec]) -> None:
        self.told.append(f"opened {_name(spec)}")

    def void(self, spec: Signed[RoundSpec], *, burnt: bool) -> None:
        self.told.append(f"{'burnt' if burnt else 'void'} {_name(spec)}")
        if not burnt:
            self.spent.pop(spec.digest, None)


def _name(spec: Signed[RoundSpec]) -> str:
    return f"{spec.statement.round}.{spec.statement.attempt}"


@dataclass
class Scene:
    """A model owner whose time passes only while it waits."""

    memory: MemoryFederation
    agents: Agents = field(init=False)
    accountant: Accountant = UNLIMITED
    now: float = 0.0
    shown: list[RoundReport] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.agents = Agents(self.memory)

    def plan(self) -> Plan:
        return Plan(
            run=RUN,
            rounds=ROUNDS,
            config=CONFIG,
            scalars=SCALARS,
            clip=4.0,
            weight_cap=1,
            weighting=Weighting.EQUAL,
            min_cohort=3,
            round_seconds=60.0,
            join_seconds=1.0,
        )

    def loop(self) -> RoundLoop:
        recorder = Recorder(
            self.memory.store,
            self.memory.folder,
            lambda means: {name: value and value[0] for name, value in means.items()},
            self.shown.append,
        )
        return RoundLoop(
            self.memory.owner,
            self.agents,
            self.plan(),
            record=recorder.record,
            clock=lambda: self.now,
            sleep=self.sleep,
            tell=lambda what, _seconds: self.waits.append(what),
            accountant=self.accountant,
        )

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def train(self, past: Past = NOTHING) -> bytes:
        training = Training(Momentum(), self.loop(), self.plan())
        return training.run(initial(), past).weights.tobytes()

    def resume(self) -> bytes:
        for wire in self.memory.wires.values():
            wire.fault = None
        return self.train(read_past(self.memory.store, self.memory.folder, RUN))

    def rounds(self) -> list[tuple[int, int, str, str]]:
        return [
            (one.round, one.attempt, one.purpose.value, one.state.value)
            for one in self.memory.store.rounds(RUN)
        ]


@pytest.fixture
def scene(memory: MemoryFederation) -> Scene:
    return Scene(memory)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the model of a run to which nothing happened."""
    with federate(tmp_path_factory.mktemp("undisturbed")) as memory:
        return Scene(memory).train()


@pytest.fixture
def die_at(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Point, int], None]:
    """Make the owner die when it gets to a point for the n-th time."""

    def die(point: Point, turn: int) -> None:
        left = [turn]

        def arrive() -> None:
            left[0] -= 1
            if left[0] == 0:
                for wire in scene.memory.wires.values():
                    wire.fault = nobody  # a dead process says nothing any more
                raise Killed

        monkeypatch.setattr(crash_points, "_fault", Stub(point, arrive))

    return die


@dataclass
class Stub:
    point: Point
    arrive: Callable[[], None]


def nobody(request: httpx.Request, _deliver: Handler) -> httpx.Response:
    msg = "connection refused"
    raise httpx.ConnectError(msg, request=request)


def test_a_run_steps_on_each_mean_and_ends_with_an_evaluation(
    scene: Scene, undisturbed: bytes
) -> None:
    assert scene.train() == undisturbed
    assert scene.rounds() == [
        (1, 1, "train", "opened"),
        (2, 1, "train", "opened"),
        (3, 1, "train", "opened"),
        (3, 1, "evaluate", "opened"),
    ]
    model, velocity = initial(), np.zeros(105)
    expected = model.weights.astype(np.float64)
    for number in range(1, ROUNDS + 1):
        updates = [update_of(name, number, 105) for name in HOSPITALS]
        velocity = 0.5 * velocity + np.mean(updates, axis=0)
        expected = expected + velocity
    found = np.frombuffer(undisturbed, np.float32)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert scene.agents.asked == [list(HOSPITALS)] * (ROUNDS + 1)


def test_a_round_with_too_few_reports_is_void_and_tried_again_after_a_pause(
    scene: Scene, undisturbed: bytes
) -> None:
    scene.agents.broken = {"chur": 1, "genf": 1}
    assert scene.train() == undisturbed
    assert scene.rounds()[:2] == [
        (1, 1, "train", "void"),
        (1, 2, "train", "opened"),
    ]
    assert scene.shown[0].reason == "2 reported, 3 needed"
    assert scene.now == 5.0  # the first pause
    assert scene.waits[0] == (
        "train round 1: 2 reported, 3 needed; waiting for chur (it answered: not "
        "reported), genf (it answered: not reported); attempt 2 of 10"
    )


@pytest.mark.parametrize("point", OWNER_POINTS)
def test_a_run_that_was_cut_off_gets_to_the_same_model_and_is_charged_once(
    scene: Scene,
    die_at: Callable[[Point, int], None],
    undisturbed: bytes,
    point: Point,
) -> None:
    scene.accountant = account = Account(room=ROUNDS + 1)
    die_at(point, 2)
    with pytest.raises(Killed):
        scene.train()
    fixed = OWNER_POINTS.index(point) >= OWNER_POINTS.index(Point.OPENING_RECORDED)
    assert len(account.spent) == (2 if fixed else 1)  # before anybody can open it
    assert scene.resume() == undisturbed
    assert len(account.spent) == ROUNDS + 1
    assert account.told.count("require 2.1") == 1  # its spec was signed already
    assert account.told.count("spend 2.1") == 1
    assert [(state, attempt) for _, attempt, _, state in scene.rounds()] == [
        ("opened", 1)
    ] * (ROUNDS + 1)


def test_who_has_reported_is_not_asked_again(
    scene: Scene, die_at: Callable[[Point, int], None]
) -> None:
    scene.agents.broken = {"genf": 1}
    die_at(Point.RECEIPTS_COLLECTED, 1)
    with pytest.raises(Killed):
        scene.train()
    scene.resume()
    assert scene.agents.asked[:2] == [list(HOSPITALS), ["genf"]]


def test_means_that_lead_elsewhere_are_found_out_before_anybody_is_asked(
    scene: Scene, die_at: Callable[[Point, int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    die_at(Point.ROUND_RECORDED, 2)
    with pytest.raises(Killed):
        scene.train()
    asked = len(scene.agents.asked)
    monkeypatch.setattr(Momentum, "step", _half_a_step)
    with pytest.raises(OperatorError, match=r"FS-356.*model after round 1"):
        scene.resume()
    assert len(scene.agents.asked) == asked


def _half_a_step(
    _self: Momentum, model: GlobalModel, _set: int, update: MeanUpdate, _scalars: Any
) -> GlobalModel:
    weights = (model.weights + update / 2).astype(np.float32)
    return GlobalModel(model.layers, weights)


def count(agents: Mapping[str, Agent]) -> Assignment:
    """Ask for numbers alone: no model goes out, and no step comes of it."""
    config = {"question": "how do you do?"}
    task = RoundTask(Purpose.EVALUATE, (), config, NO_MODEL.weights)
    return Assignment(task, frozenset(agents))


def test_a_job_that_asks_for_numbers_alone_needs_neither_model_nor_strategy(
    scene: Scene,
) -> None:
    outcome = scene.loop().settle((1, Purpose.EVALUATE), count, NO_MODEL, NOTHING)
    assert outcome.opened is not None
    losses = [0.25 * len(name) for name in HOSPITALS]
    assert outcome.opened.mean.scalars["loss"] == pytest.approx(np.mean(losses))
    assert outcome.model is NO_MODEL
    assert outcome.proposal.spec.statement.dimension == 0
    assert "apply" not in outcome.seconds


def test_an_accountant_that_refuses_stops_the_run_before_anything_is_sent(
    scene: Scene,
) -> None:
    scene.accountant = account = Account(room=0)
    before = scene.memory.store.head()
    with refused("FS-400"):
        scene.train()
    assert account.told == ["require 1.1"]
    assert scene.agents.asked == []
    assert all(not wire.carried for wire in scene.memory.wires.values())
    assert scene.memory.store.head() == before
    assert not list((scene.memory.folder / "rounds").iterdir())


def test_a_run_ends_at_the_round_that_there_is_no_room_for(scene: Scene) -> None:
    scene.accountant = account = Account(room=2)
    with refused("FS-400"):
        scene.train()
    assert account.told == [
        *("require 1.1", "spend 1.1", "opened 1.1"),
        *("require 2.1", "spend 2.1", "opened 2.1"),
        "require 3.1",
    ]
    assert [state for *_, state in scene.rounds()] == ["opened", "opened"]
    members = list(account.spent.values())
    assert members == [list(HOSPITALS)] * 2


def test_a_void_attempt_costs_nothing(scene: Scene) -> None:
    scene.agents.broken = {"chur": 1, "genf": 1}
    scene.accountant = account = Account(room=ROUNDS + 1)
    scene.train()
    assert account.told[:4] == ["require 1.1", "void 1.1", "require 1.2", "spend 1.2"]
    assert len(account.spent) == ROUNDS + 1


def test_a_set_that_an_accountant_refuses_is_void_and_never_opened(
    scene: Scene,
) -> None:
    scene.accountant = account = Account(room=9, refuse_spending=True)
    with refused("FS-400"):
        scene.train()
    assert account.told == ["require 1.1", "spend 1.1", "void 1.1"]
    (round_,) = scene.memory.store.rounds(RUN)
    assert (round_.state, round_.opening) == (RoundState.VOID, None)
    assert sorted(round_.voids) == ["north", "south"]
    assert scene.shown[0].reason == "given up after FS-400"


def test_a_round_that_one_aggregator_opened_stays_charged(
    scene: Scene, die_at: Callable[[Point, int], None]
) -> None:
    """South loses everything after north has opened round 2."""
    scene.accountant = account = Account(room=ROUNDS + 1)
    die_at(Point.SHARE_A_FETCHED, 2)
    scene.memory.wires["south"].fault = _cut_the_second_opening()
    with pytest.raises(Killed):
        scene.train()
    south = scene.memory.servers["south"]
    south.stop()
    shutil.rmtree(south.folder)
    south.start()
    scene.resume()
    assert "burnt 2.1" in account.told
    assert len(account.spent) == ROUNDS + 1  # two opened, one burnt, an evaluation


def _cut_the_second_opening() -> Callable[[httpx.Request, Handler], httpx.Response]:
    left = [2]

    def cut(request: httpx.Request, deliver: Handler) -> httpx.Response:
        if request.url.path.endswith("/open"):
            left[0] -= 1
            if left[0] == 0:
                return nobody(request, deliver)
        return deliver(request)

    return cut


def test_an_accountant_hears_of_the_end_after_it_was_recorded(scene: Scene) -> None:
    states: list[str] = []

    class Looking(Account):
        def opened(self, spec: Signed[RoundSpec]) -> None:
            (found,) = [
                one
                for one in scene.memory.store.rounds(RUN)
                if one.spec_digest == spec.digest
            ]
            states.append(found.state.value)

    scene.accountant = Looking(room=9)
    scene.train()
    assert states == ["opened"] * (ROUNDS + 1)


def test_a_run_is_driven_without_loading_any_framework() -> None:
    program = (
        "import sys, fedsecure.owner.jobs.train, fedsecure.contributor.contribution;"
        "print([name for name in ('flwr', 'keras', 'tensorflow') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
