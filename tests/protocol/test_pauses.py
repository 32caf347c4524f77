"""What passes does not end a run: it waits, says for whom, and goes on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, Message
from flwr.serverapp.strategy import FedAdam, FedAvg

from fedsecure.errors import FedsecureError, OperatorError, PeerError
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.frameworks.flower.secure_aggregation import SecureAggregation
from fedsecure.owner.recorder import Recorder, RoundReport
from fedsecure.owner.run.pauses import LOOK_EVERY, Pauses, Pausing
from fedsecure.owner.run.recovery import keep_going
from fedsecure.owner.run.resume import NOTHING, Past, read_past
from fedsecure.owner.store.files import load_array
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.storage.transactions import Patience
from tests.postgres import Cluster, cluster
from tests.protocol.federation import (
    Handler,
    MemoryFederation,
    federate,
    refused,
    run_started,
)
from tests.protocol.test_secure_aggregation import (
    NODES,
    Fleet,
    adaptive,
    few,
    flat,
    initial,
    learn,
    plan,
)


@dataclass
class Scene:
    """A model owner whose time passes only while it waits."""

    memory: MemoryFederation
    fleet: Fleet = field(init=False)
    now: float = 0.0
    waits: list[str] = field(default_factory=list)
    lefts: list[float] = field(default_factory=list)
    shown: list[RoundReport] = field(default_factory=list)
    kind: Any = FedAvg

    def __post_init__(self) -> None:
        self.fleet = Fleet(self.memory)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def tell(self, what: str, seconds: float) -> None:
        if not self.waits or self.waits[-1] != what:
            self.waits.append(what)
        self.lefts.append(seconds)

    def secure(self, **changes: Any) -> SecureAggregation:
        recorder = Recorder(
            self.memory.store,
            self.memory.folder,
            lambda means: {name: value[0] for name, value in means.items()},
            self.shown.append,
        )
        return SecureAggregation(
            self.kind(**{**few(), **adaptive(self.kind)}),
            self.memory.owner,
            self.fleet,
            plan(**{"rounds": 2, "join_seconds": 1.0, **changes}),
            record=recorder.record,
            clock=self.clock,
            sleep=self.sleep,
            tell=self.tell,
        )

    def run(self, past: Past = NOTHING, **changes: Any) -> ArrayRecord:
        with task_identity(1):
            return self.secure(**changes).run(initial(), past)

    def keep_going(self, **changes: Any) -> ArrayRecord:
        return keep_going(
            lambda past: self.run(past, **changes),
            NOTHING,
            lambda: read_past(self.memory.store, self.memory.folder, "run-1"),
            Pausing(Pauses(), self.sleep, self.tell),
        )

    def away(self, name: str, until: Callable[[], bool]) -> None:
        """Take a data owner's file away for a while."""

        def app(message: Message, context: Context) -> Message:
            if context.node_id == NODES[name] and not until():
                raise OperatorError("FS-100", "data.csv: No such file or directory")
            return learn(message, context)

        self.fleet.app = app


@pytest.fixture
def scene(memory: MemoryFederation) -> Scene:
    return Scene(memory)


def test_a_file_that_is_away_for_eight_seconds_does_not_end_a_run(
    scene: Scene,
) -> None:
    scene.away("bern", lambda: scene.now >= 8.0)
    scene.run(min_cohort=4)
    assert [(one.round, one.reason) for one in scene.shown] == [
        (1, "3 reported, 4 needed"),
        (1, "3 reported, 4 needed"),
        (1, None),
        (2, None),
        (2, None),
    ]
    assert scene.now == 5.0 + 10.0
    assert scene.waits == [  # each of them said once where there is no terminal
        "train round 1: 3 reported, 4 needed; waiting for bern (it answered: not "
        f"reported); attempt {number} of 10"
        for number in (2, 3)
    ]


def test_it_is_said_each_second_how_long_a_run_still_waits(scene: Scene) -> None:
    scene.away("bern", lambda: scene.now >= 5.0)
    scene.run(min_cohort=4)
    assert scene.lefts == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert LOOK_EVERY == 1.0


def test_pauses_double_up_to_the_longest_and_last_twenty_minutes_in_all() -> None:
    pauses = Pauses()
    waited = [pauses.after(failed) for failed in range(1, pauses.attempts)]
    assert waited == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0, 300.0]
    assert pauses.total == sum(waited) >= 20 * 60
    assert Pauses(attempts=1000).after(999) == 300.0


def test_who_joins_anew_is_not_kept_waiting(scene: Scene) -> None:
    """An administrator mends the file and starts the agent again."""
    restarted: list[float] = []
    scene.away("bern", lambda: bool(restarted))
    online = scene.fleet.online

    def rejoined() -> Any:
        if scene.now < 2.0:
            return online()
        restarted.append(scene.now)
        return {
            name: type(node)(node.address, "2" if name == "bern" else "1")
            for name, node in online().items()
        }

    scene.fleet.online = rejoined  # type: ignore[method-assign]
    scene.run(min_cohort=4)
    assert scene.now == 2.0


def test_a_run_that_is_given_up_says_what_each_one_who_is_missing_needs(
    scene: Scene,
) -> None:
    scene.away("bern", lambda: False)
    scene.fleet.silent = {"genf"}
    with refused("FS-369") as caught:
        scene.run(min_cohort=3, pauses=Pauses(attempts=2))
    assert "train round 1: 2 reported, 3 needed. bern answered `not reported`: " in (
        caught.value.detail
    )
    assert "genf could not be asked: start `fedsecure agent` there" in (
        caught.value.detail
    )
    assert "start" not in caught.value.detail.split("genf")[0]  # bern's agent runs


def test_a_model_that_nobody_can_train_further_is_named_as_what_may_be_wrong(
    scene: Scene,
) -> None:
    """Its weights are finite, and what is trained from them is not."""

    def too_steep(message: Message, context: Context) -> Message:
        if message.content["config"]["server-round"] == 2:
            raise PeerError("FS-230", "loss in round 2, epoch 1")
        return learn(message, context)

    scene.fleet.app = too_steep
    with refused("FS-369") as caught:
        scene.run(pauses=Pauses(attempts=1))
    detail = caught.value.detail
    largest = np.abs(
        load_array(scene.memory.folder, scene.memory.store.last_model("run-1"))
    ).max()
    assert f"the largest weight before round 2 is {largest:.3g}; if so" in detail
    assert "lower the learning rate in model.py" in detail
    assert "`fedsecure train --from-round RUN:N`" in detail
    # Nothing of what a data owner met is told: its code stands as a possibility.
    assert "loss in round 2" not in detail


def test_one_who_declines_is_no_sign_of_a_model_that_cannot_be_trained(
    scene: Scene,
) -> None:
    scene.away("bern", lambda: False)
    with refused("FS-369") as caught:
        scene.run(min_cohort=4, pauses=Pauses(attempts=1))
    assert "learning rate" not in caught.value.detail


def test_it_is_said_whether_the_deadline_passed(
    scene: Scene, memory: MemoryFederation
) -> None:
    class Slow(Fleet):
        def ask(self, messages: Any, seconds: float, enough: Any) -> Any:
            found = list(super().ask(messages, seconds, enough))
            memory.clock.now += seconds
            return found

        def _answer(self, name: str, message: Message) -> Message | None:
            return None if name == "chur" else super()._answer(name, message)

    scene.fleet = Slow(memory)
    with refused("FS-369") as caught:
        scene.run(min_cohort=4, pauses=Pauses(attempts=1))
    assert "chur did not answer before the deadline: " in caught.value.detail


def test_agents_that_go_in_the_middle_of_a_run_are_waited_for_longer_than_at_its_start(
    scene: Scene,
) -> None:
    """A hospital's machine is started anew, which takes four minutes."""
    began = scene.fleet.app

    def go_after_round_1(message: Message, context: Context) -> Message:
        if context.node_id == NODES["genf"] and not scene.shown:
            scene.fleet.silent = {"bern"}
        return began(message, context)

    def sleep(seconds: float) -> None:
        scene.now += seconds
        if scene.now > 240.0:
            scene.fleet.silent = set()

    scene.fleet.app = go_after_round_1
    scene.sleep = sleep  # type: ignore[method-assign]
    scene.run(min_cohort=4, round_seconds=60.0)
    assert [one.reason for one in scene.shown if one.reason] == []
    assert "waiting for bern to join" in scene.waits
    scene.fleet.silent, scene.now = {"bern"}, 0.0
    with refused("FS-370") as caught:
        scene.run(min_cohort=4)
    assert scene.now < 10.0  # nobody waits so long for a run that never began
    assert caught.value.detail.endswith("4 are needed; bern did not")


def test_a_run_that_the_superlink_ended_while_the_machine_slept_just_goes_on(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scene.kind = FedAdam  # with moments, that are computed anew

    class Asleep(Fleet):
        asked = 0

        def ask(self, messages: Any, seconds: float, enough: Any) -> Any:
            found = list(super().ask(messages, seconds, enough))
            self.asked += 1
            if self.asked == 2:
                raise OperatorError("FS-513", "127.0.0.1:1 has ended the run")
            return found

    scene.fleet = Asleep(scene.memory)
    went_on = scene.keep_going(min_cohort=4)
    assert [(one.round, one.attempt, one.reason) for one in scene.shown] == [
        (1, 1, None),
        (2, 1, None),  # the very round that was under way
        (2, 1, None),
    ]
    assert scene.waits[0].startswith("it goes on after: FS-513 ")
    with federate(tmp_path_factory.mktemp("undisturbed")) as other:
        undisturbed = Scene(other, kind=FedAdam)
        expected = undisturbed.run(min_cohort=4)
    np.testing.assert_array_equal(flat(went_on), flat(expected))


def test_an_aggregator_that_is_away_for_minutes_does_not_end_a_run(
    scene: Scene,
) -> None:
    def gone(request: httpx.Request, deliver: Handler) -> httpx.Response:
        if scene.now < 200.0:
            msg = "[Errno 111] Connection refused"
            raise httpx.ConnectError(msg, request=request)
        return deliver(request)

    scene.memory.wires["south"].fault = gone
    scene.keep_going(min_cohort=4)
    assert [one.reason for one in scene.shown] == [None] * 3
    assert all("FS-551" in one for one in scene.waits)
    assert scene.now == 5.0 + 10.0 + 20.0 + 40.0 + 80.0 + 160.0


@pytest.fixture
def database_server(postgresql: Cluster) -> Iterator[Cluster]:
    """A server of its own, to be stopped."""
    assert postgresql.programs  # skipped with all others where there is none
    with cluster() as running:
        yield running


@dataclass
class Outage:
    """A database server that is killed, and comes back while the run waits."""

    scene: Scene
    server: Cluster
    killed: bool = False
    back: bool = False

    def begin(self) -> None:
        if not self.killed:
            self.killed = True
            self.server.kill()

    def sleep(self, seconds: float) -> None:
        self.scene.now += seconds
        if self.killed and not self.back and self.scene.now > 200.0:
            self.back = True
            self.server.start()

    def train(self, message: Message, context: Context) -> Message:
        self.begin()
        return learn(message, context)

    def deliver(self, request: httpx.Request, deliver: Handler) -> httpx.Response:
        response = deliver(request)
        if request.url.path.endswith("/open"):
            self.begin()
        return response


@pytest.mark.parametrize("when", ["while agents train", "once the sum is opened"])
def test_a_database_server_that_is_away_for_minutes_does_not_end_a_run(
    scene: Scene, database_server: Cluster, when: str
) -> None:
    memory, outage = scene.memory, Outage(scene, database_server)
    scene.sleep = outage.sleep  # type: ignore[method-assign]
    if when == "while agents train":
        scene.fleet.app = outage.train
    else:
        memory.wires["south"].fault = outage.deliver
    place, author = database_server.new_database(), memory.author("consortium")
    with RoundStore(place, author, memory.clock, Patience(0.2, 0.1)) as store:
        store.start_run(run_started())
        memory.store, memory.owner = store, replace(memory.owner, log=store)
        scene.keep_going(min_cohort=4)
    assert outage.back
    assert [(one.round, one.attempt, one.reason) for one in scene.shown] == [
        (1, 1, None),  # the very round that was under way
        (2, 1, None),
        (2, 1, None),
    ]
    assert all("FS-604" in one for one in scene.waits)
    assert scene.now == 5.0 + 10.0 + 20.0 + 40.0 + 80.0 + 160.0


def test_a_run_does_not_wait_for_ever_and_not_for_what_does_not_pass(
    scene: Scene,
) -> None:
    def refuse(_past: Past) -> ArrayRecord:
        raise PeerError("FS-705", "south holds another file")

    def silence(_past: Past) -> ArrayRecord:
        raise OperatorError("FS-513", "again")

    waited: list[FedsecureError] = []
    for drive, pauses in ((refuse, 0.0), (silence, Pauses().total)):
        scene.now = 0.0
        with pytest.raises(FedsecureError) as caught:
            keep_going(
                drive,
                NOTHING,
                lambda: NOTHING,
                Pausing(Pauses(), scene.sleep, scene.tell),
            )
        assert scene.now == pauses
        waited.append(caught.value)
    assert [one.code for one in waited] == ["FS-705", "FS-513"]
