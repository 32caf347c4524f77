"""A run that was cut off at any step goes on to the very same model."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from flwr.serverapp.strategy import FedAdam, FedAvg, FedAvgM

from fedsecure.errors import OperatorError
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.frameworks.flower.secure_aggregation import SecureAggregation
from fedsecure.owner.recorder import Recorder, RoundReport
from fedsecure.owner.run.resume import Past, read_past
from fedsecure.owner.store.files import load_array
from fedsecure.protocol.signing import verify
from fedsecure.protocol.statements import RoundSpec
from fedsecure.study.task import Layer, model_digest
from fedsecure.system import crash_points
from fedsecure.system.crash_points import Point
from tests.protocol.federation import Handler, MemoryFederation, federate
from tests.protocol.test_secure_aggregation import (
    Fleet,
    adaptive,
    initial,
    options,
    plan,
)

ROUNDS = 3
OWNER_POINTS = [point for point in Point if point.startswith("owner:")]


class Killed(BaseException):
    """Stands for the end of the model owner's process."""


@dataclass
class Owner:
    """A model owner that is killed and started again."""

    memory: MemoryFederation
    kind: Any = FedAdam
    shown: list[RoundReport] = field(default_factory=list)

    def run(self, **changes: Any) -> bytes:
        return self._train(Past(), **changes)

    def resume(self, **changes: Any) -> bytes:
        for one in self.memory.wires.values():
            one.fault = None
        past = read_past(self.memory.store, self.memory.folder, "run-1")
        return self._train(past, **changes)

    def _train(self, past: Past, **changes: Any) -> bytes:
        recorder = Recorder(
            self.memory.store,
            self.memory.folder,
            lambda means: {name: value[0] for name, value in means.items()},
            self.shown.append,
        )
        secure = SecureAggregation(
            self.kind(**options(), **adaptive(self.kind)),
            self.memory.owner,
            Fleet(self.memory),
            plan(rounds=ROUNDS, **changes),
            record=recorder.record,
            clock=lambda: 0.0,
            sleep=lambda _seconds: None,
        )
        with task_identity(1):
            return wire.flatten(secure.run(initial(), past))[1].tobytes()

    def digests(self) -> list[tuple[int, str, str, str]]:
        """Return each opened round: number, purpose, digests of mean and model."""
        return [
            (
                one.round,
                one.purpose.value,
                one.mean.sha256 if one.mean else "",
                one.model.sha256 if one.model else "",
            )
            for one in self.memory.store.rounds("run-1")
            if one.state == "opened"
        ]


@pytest.fixture
def owner(memory: MemoryFederation) -> Owner:
    return Owner(memory)


@pytest.fixture
def die_at(
    memory: MemoryFederation, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Point, int], None]:
    """Make the owner die when it gets to a point for the n-th time."""

    def die(point: Point, turn: int) -> None:
        fault = crash_points._Fault(point, turn, None)

        def arrive() -> None:
            fault.turn -= 1
            if fault.turn == 0:
                for one in memory.wires.values():
                    one.fault = _nobody  # a dead process says nothing any more
                raise Killed

        monkeypatch.setattr(crash_points, "_fault", Stub(point, arrive))

    return die


@dataclass
class Stub:
    point: Point
    arrive: Callable[[], None]


def _nobody(request: httpx.Request, _deliver: Handler) -> httpx.Response:
    msg = "connection refused"
    raise httpx.ConnectError(msg, request=request)


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Any], tuple[bytes, list[Any]]]:
    """Return model and rounds of a run to which nothing happened."""
    known: dict[Any, tuple[bytes, list[Any]]] = {}

    def of(kind: Any) -> tuple[bytes, list[Any]]:
        if kind not in known:
            with federate(tmp_path_factory.mktemp("undisturbed")) as memory:
                owner = Owner(memory, kind)
                known[kind] = owner.run(), owner.digests()
        return known[kind]

    return of


@pytest.mark.parametrize(
    ("kind", "point"),
    [*((FedAdam, point) for point in OWNER_POINTS), (FedAvgM, Point.MEAN_ON_DISK)],
)
def test_a_run_whose_owner_died_gets_to_the_same_model_bit_by_bit(
    owner: Owner,
    die_at: Callable[[Point, int], None],
    undisturbed: Callable[[Any], tuple[bytes, list[Any]]],
    point: Point,
    kind: Any,
) -> None:
    owner.kind = kind
    die_at(point, 2)
    with pytest.raises(Killed):
        owner.run()
    model, rounds = undisturbed(kind)
    assert owner.digests() != rounds
    assert owner.resume() == model
    assert owner.digests() == rounds
    # The same spec was used again: nobody had to train anew for another attempt.
    assert {one.attempt for one in owner.memory.store.rounds("run-1")} == {1}


@pytest.mark.parametrize("turn", [1, 4])
def test_the_first_round_and_the_evaluation_are_taken_up_too(
    owner: Owner,
    die_at: Callable[[Point, int], None],
    undisturbed: Callable[[Any], tuple[bytes, list[Any]]],
    turn: int,
) -> None:
    die_at(Point.RECEIPTS_COLLECTED, turn)
    with pytest.raises(Killed):
        owner.run()
    assert owner.resume() == undisturbed(FedAdam)[0]
    assert owner.digests() == undisturbed(FedAdam)[1]


def test_a_run_that_dies_again_and_again_still_gets_there(
    owner: Owner,
    die_at: Callable[[Point, int], None],
    undisturbed: Callable[[Any], tuple[bytes, list[Any]]],
) -> None:
    die_at(Point.SPEC_RECORDED, 2)
    with pytest.raises(Killed):
        owner.run()
    for point in (Point.GRANTS_RECORDED, Point.OPENING_RECORDED, Point.MEAN_ON_DISK):
        die_at(point, 1)
        with pytest.raises(Killed):
            owner.resume()
    assert owner.resume() == undisturbed(FedAdam)[0]
    assert owner.digests() == undisturbed(FedAdam)[1]


def test_what_was_reported_is_not_asked_for_again(
    owner: Owner, die_at: Callable[[Point, int], None]
) -> None:
    die_at(Point.RECEIPTS_COLLECTED, 1)
    with pytest.raises(Killed):
        owner.run()
    owner.memory.clock.now += 3600  # long after the deadline
    owner.resume()
    first = owner.memory.store.rounds("run-1")[0]
    assert (first.attempt, first.state) == (1, "opened")


def test_a_round_that_nobody_reported_in_is_void_after_its_deadline(
    owner: Owner, die_at: Callable[[Point, int], None]
) -> None:
    die_at(Point.GRANTS_RECORDED, 2)
    with pytest.raises(Killed):
        owner.run()
    owner.memory.clock.now += 3600
    owner.resume()
    second = [one for one in owner.memory.store.rounds("run-1") if one.round == 2]
    assert [(one.attempt, one.state) for one in second] == [(1, "void"), (2, "opened")]


def test_a_round_whose_key_is_gone_is_void_or_burnt(
    owner: Owner, die_at: Callable[[Point, int], None]
) -> None:
    die_at(Point.GRANTS_RECORDED, 2)
    with pytest.raises(Killed):
        owner.run()
    for key in (owner.memory.folder / "rounds").glob("*.key"):
        key.unlink()
    die_at(Point.SHARE_B_FETCHED, 2)  # of round 3: both have opened it
    with pytest.raises(Killed):
        owner.resume()
    for key in (owner.memory.folder / "rounds").glob("*.key"):
        key.unlink()
    owner.resume()
    states = [(r.round, r.attempt, r.state) for r in owner.memory.store.rounds("run-1")]
    assert states == [
        (1, 1, "opened"),
        (2, 1, "void"),
        (2, 2, "opened"),
        (3, 1, "void"),
        (3, 1, "opened"),  # the evaluation
    ]


def test_a_round_that_one_opened_and_the_other_lost_is_burnt_and_the_run_goes_on(
    owner: Owner, die_at: Callable[[Point, int], None]
) -> None:
    """South loses everything after north has opened round 2."""
    die_at(Point.SHARE_A_FETCHED, 2)
    south = owner.memory.wires["south"]
    south.fault = _cut_openings(2)
    with pytest.raises(Killed):
        owner.run()
    south.fault = None
    _lose(owner.memory, "south")
    model = owner.resume()
    rounds = owner.memory.store.rounds("run-1")
    assert [(r.round, r.purpose.value, r.state.value) for r in rounds] == [
        (1, "train", "opened"),
        (2, "train", "void"),
        (3, "train", "opened"),
        (3, "evaluate", "opened"),
    ]
    assert rounds[1].burnt
    (reason,) = [one.reason for one in owner.shown if one.reason]
    assert "burnt: opened at north and lost" in reason
    # Round 3 started from the model of round 1.
    after_first = load_array(owner.memory.folder, rounds[0].model)
    last = load_array(owner.memory.folder, rounds[2].model)
    assert last.tobytes() == model
    asked = verify(rounds[2].spec, RoundSpec, owner.memory.federation).statement
    assert asked.model == model_digest(layers(), after_first).hex()


def test_a_study_that_was_changed_is_found_out_before_anything_is_asked(
    owner: Owner, die_at: Callable[[Point, int], None]
) -> None:
    die_at(Point.ROUND_RECORDED, 2)
    with pytest.raises(Killed):
        owner.run()
    before = owner.memory.store.head()
    with pytest.raises(OperatorError, match=r"FS-356.*task of round 1"):
        owner.resume(config={"study": "another toy"})
    owner.kind = FedAvg
    with pytest.raises(OperatorError, match=r"FS-356.*model after round 1"):
        owner.resume()
    assert owner.memory.store.head() == before


def test_a_stop_after_the_set_was_fixed_does_not_burn_the_round(
    owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: Callable[[Any], tuple[bytes, list[Any]]],
) -> None:
    """Ctrl-C comes when north has opened round 2 and south has not."""
    turns = iter([False, True, False])

    def stop() -> None:
        if next(turns):
            raise KeyboardInterrupt

    monkeypatch.setattr(crash_points, "_fault", Stub(Point.SHARE_A_FETCHED, stop))
    with pytest.raises(KeyboardInterrupt):
        owner.run()
    monkeypatch.setattr(crash_points, "_fault", None)
    assert owner.resume() == undisturbed(FedAdam)[0]
    assert owner.digests() == undisturbed(FedAdam)[1]


def _cut_openings(
    turn: int,
) -> Callable[[httpx.Request, Handler], httpx.Response]:
    left = [turn]

    def cut(request: httpx.Request, deliver: Handler) -> httpx.Response:
        if request.url.path.endswith("/open"):
            left[0] -= 1
            if left[0] == 0:
                return _nobody(request, deliver)
        return deliver(request)

    return cut


def _lose(memory: MemoryFederation, name: str) -> None:
    """Start an aggregator anew, with nothing but its key."""
    server = memory.servers[name]
    server.stop()
    shutil.rmtree(server.folder)
    server.start()


def layers() -> tuple[Layer, ...]:
    return wire.flatten(initial())[0]


def test_a_round_passes_every_point_in_the_order_of_the_list(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[Point] = []

    def note(point: Point) -> None:
        passed.append(point)

    for module in (
        "fedsecure_aggregator.rounds.grants",
        "fedsecure_aggregator.rounds.reports",
        "fedsecure_aggregator.rounds.openings",
        "fedsecure.owner.rounds.round_owner",
        "fedsecure.contributor.contribution",
        "fedsecure.frameworks.flower.mod",
        "fedsecure.owner.recorder",
        "fedsecure.owner.run.asking",
    ):
        monkeypatch.setattr(f"{module}.crash_point", note)
    owner.run()
    of_rounds = {
        one for one in Point if not one.startswith(("aggregator-job:", "job:"))
    }
    assert set(passed) == of_rounds - {Point.REPLYING}  # the agent's own loop
    for party in ("aggregator:", "owner:", "agent:"):
        first = [one for one in dict.fromkeys(passed) if one.startswith(party)]
        either = {Point.SHARE_A_FETCHED, Point.SHARE_B_FETCHED, Point.SENT_A}
        either |= {Point.SENT_B}  # both aggregators are asked at the same time
        ordered = [one for one in Point if one in first]
        assert [o for o in first if o not in either] == [
            o for o in ordered if o not in either
        ]


@pytest.mark.parametrize("harm", ["a bit", "its end", "all of it"])
def test_a_key_that_is_damaged_is_taken_for_lost_and_never_used(
    owner: Owner, die_at: Callable[[Point, int], None], harm: str
) -> None:
    """With another key nothing opens, and an aggregator would be blamed for it."""
    die_at(Point.GRANTS_RECORDED, 2)
    with pytest.raises(Killed):
        owner.run()
    (key,) = (owner.memory.folder / "rounds").glob("*.key")
    content = key.read_bytes()
    flipped = bytes([content[0] ^ 1]) + content[1:]
    key.write_bytes({"a bit": flipped, "its end": content[:-1]}.get(harm, b""))
    owner.resume()
    second = [one for one in owner.memory.store.rounds("run-1") if one.round == 2]
    assert [(one.attempt, one.state) for one in second] == [(1, "void"), (2, "opened")]
    (reason,) = [one.reason for one in owner.shown if one.reason]
    assert "FS-355" in reason
