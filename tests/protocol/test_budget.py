"""A study's privacy budget at the model owner: one over all runs, never overdrawn.

Whole runs with noise in memory, by the accountant that every training has. What is
shown: a round that would cost too much is not proposed, the run ends with a model that
was measured, and no crash, resume, void or further run makes a round count twice or not
at all.
"""

import shutil
from dataclasses import dataclass, replace

import httpx
import pytest
from sqlalchemy import text

from fedsecure.core.dp.accountant import epsilon, rho_pico
from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import PROBLEMS, PeerError, Problem
from fedsecure.owner.run.accountant import UNLIMITED
from fedsecure.owner.run.budget import StudyBudget
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.run.resume import read_past
from fedsecure.owner.store.states import UNDECIDED
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import (
    PrivacyField,
    RoundGrant,
    RoundSpec,
    Weighting,
)
from fedsecure.protocol.stored_statements import stored
from fedsecure.storage import database
from fedsecure.study.privacy import Privacy
from fedsecure.study.terms import SUITE, StudyRequest, Terms
from fedsecure.system import crash_points
from fedsecure.system.crash_points import Point
from fedsecure.transport.aggregator_client import AggregatorClient
from tests.protocol.federation import (
    HOSPITALS,
    SCALARS,
    Handler,
    MemoryFederation,
    refused,
    run_started,
)
from tests.protocol.test_run_loop import (
    CONFIG,
    OWNER_POINTS,
    ROUNDS,
    Killed,
    Scene,
    Stub,
    nobody,
)

EPSILON, DELTA = 4.0, 1e-5
SECTION = Privacy(unit=Unit.DATA_OWNER, epsilon=EPSILON, delta=DELTA)
PRIVACY = SECTION.planned(ROUNDS, clip=4.0)


def request_of(privacy: PrivacyField) -> StudyRequest:
    terms = Terms(
        scalars=SCALARS,
        clip=4.0,
        privacy=privacy,
        weight_cap=1,
        weighting=Weighting.EQUAL,
        min_cohort=3,
        suite=SUITE,
    )
    return StudyRequest(CONFIG, terms)


STUDY = request_of(PRIVACY).digest


@dataclass
class NoisyScene(Scene):
    """A run of a study with a budget for `ROUNDS` rounds and one evaluation."""

    name: str = "run-1"
    planned: int = ROUNDS

    def __post_init__(self) -> None:
        super().__post_init__()
        self.accountant = StudyBudget(self.memory.store)

    def plan(self) -> Plan:
        return replace(
            super().plan(),
            run=self.name,
            rounds=self.planned,
            privacy=PRIVACY,
            study=STUDY,
        )

    def another_run(self, name: str, rounds: int) -> "NoisyScene":
        self.memory.store.start_run(run_started(name))
        return NoisyScene(self.memory, name=name, planned=rounds)

    def resume(self) -> bytes:
        for wire in self.memory.wires.values():
            wire.fault = None
        past = read_past(self.memory.store, self.memory.folder, self.name)
        return self.train(past)

    def story(self) -> list[str]:
        return [
            f"{one.purpose.value} {one.round}.{one.attempt} {one.state.value}"
            for one in self.memory.store.rounds(self.name)
        ]

    def spent(self) -> dict[str, int]:
        return self.memory.store.spent(STUDY)

    def undecided(self) -> list[str]:
        rounds = self.memory.store.rounds(self.name)
        return [one.spec_digest for one in rounds if one.state in UNDECIDED]

    def view(self, query: str) -> list[tuple[object, ...]]:
        place = database.locate(self.memory.folder / "rounds.db")
        engine = database.open_for_reading(place)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(query))]
        finally:
            engine.dispose()


@pytest.fixture
def scene(memory: MemoryFederation) -> NoisyScene:
    return NoisyScene(memory)


def costs(scene: NoisyScene) -> list[int]:
    """Return what each round costs, computed from its spec anew."""
    found = []
    for one in scene.memory.store.rounds(scene.name):
        params = params_of(stored(one.spec, RoundSpec).statement)
        tensor, scalars = params.noise_steps, params.scalar_noise_steps
        assert tensor is not None
        assert scalars is not None
        cost = rho_pico(scalars.sensitivity, scalars.sigma)
        if params.dimension:
            cost += rho_pico(tensor.sensitivity, tensor.sigma)
        found.append(cost)
    return found


def test_a_planned_run_costs_what_its_specs_say_and_no_more_than_the_budget(
    scene: NoisyScene,
) -> None:
    scene.train()
    rounds = [f"train {number}.1 opened" for number in range(1, ROUNDS + 1)]
    assert scene.story() == [*rounds, f"evaluate {ROUNDS}.1 opened"]
    assert scene.spent() == dict.fromkeys(HOSPITALS, sum(costs(scene)))
    found = epsilon(sum(costs(scene)), DELTA)
    assert 0.99 * EPSILON < found <= EPSILON
    (row,) = scene.view(
        "SELECT unit, epsilon_budget, delta, epsilon, study_epsilon FROM v_run"
    )
    assert row == ("data-owner", EPSILON, DELTA, *[pytest.approx(found, abs=1e-6)] * 2)
    rhos = [rho for (rho,) in scene.view("SELECT rho FROM v_round ORDER BY entry")]
    assert rhos == pytest.approx([cost / 1e12 for cost in costs(scene)])


def test_train_rounds_show_no_metrics_and_the_evaluation_shows_its_noise(
    scene: NoisyScene,
) -> None:
    scene.train()
    reports = [(bool(one.metrics), bool(one.deviations)) for one in scene.shown]
    assert reports[:-1] == [(False, False)] * ROUNDS
    assert scene.shown[-1].metrics.keys() == {"loss"}
    spent = [one.epsilon for one in scene.shown]
    assert spent == sorted(filter(None, spent))
    assert all(one.figures and one.figures.clip_rate is None for one in scene.shown)


def test_what_was_spent_in_one_run_is_not_there_for_the_next(
    scene: NoisyScene,
) -> None:
    scene.train()
    spent = scene.spent()
    again = scene.another_run("run-2", 1)
    for wire in scene.memory.wires.values():
        wire.carried.clear()
    before = scene.memory.store.head()
    with refused("FS-374"):
        again.train()
    assert scene.memory.store.head() == before
    assert all(not wire.carried for wire in scene.memory.wires.values())
    assert again.agents.asked == []
    assert scene.spent() == spent


def test_two_short_runs_share_what_one_long_one_would_have(scene: NoisyScene) -> None:
    scene.planned = 1
    scene.train()
    again = scene.another_run("run-2", ROUNDS)
    with refused("FS-374"):
        again.train()
    assert again.story()[-1].startswith("evaluate")
    assert 1 <= len(again.story()) - 1 < ROUNDS
    assert epsilon(max(scene.spent().values()), DELTA) <= EPSILON
    runs = scene.view("SELECT epsilon, study_epsilon FROM v_run ORDER BY entry")
    (first, all_of_it), (second, same) = runs
    assert (
        all_of_it
        == same
        == pytest.approx(epsilon(max(scene.spent().values()), DELTA), abs=1e-6)
    )
    assert max(first, second) < all_of_it  # type: ignore[call-overload]


def test_a_run_longer_than_planned_stops_before_the_round_and_is_still_measured(
    scene: NoisyScene,
) -> None:
    scene.planned = 10 * ROUNDS
    with refused("FS-374"):
        scene.train()
    *trained, last = scene.story()
    assert trained == [f"train {n}.1 opened" for n in range(1, len(trained) + 1)]
    assert len(trained) == ROUNDS  # the next one would take the evaluation's part
    assert last == f"evaluate {10 * ROUNDS}.1 opened"
    assert scene.undecided() == []
    assert epsilon(max(scene.spent().values()), DELTA) <= EPSILON
    told = scene.memory.store.head()
    with refused("FS-374"):
        scene.resume()
    assert scene.memory.store.head() == told  # it says the same, and does nothing


@pytest.mark.parametrize("point", OWNER_POINTS)
def test_a_killed_owner_charges_each_round_once(
    scene: NoisyScene, monkeypatch: pytest.MonkeyPatch, point: Point
) -> None:
    left = [2]

    def arrive() -> None:
        left[0] -= 1
        if left[0] == 0:
            for wire in scene.memory.wires.values():
                wire.fault = nobody
            raise Killed

    monkeypatch.setattr(crash_points, "_fault", Stub(point, arrive))
    with pytest.raises(Killed):
        scene.train()
    fixed = OWNER_POINTS.index(point) >= OWNER_POINTS.index(Point.OPENING_RECORDED)
    assert scene.spent() == dict.fromkeys(HOSPITALS, sum(costs(scene)[: 1 + fixed]))
    scene.resume()
    assert scene.spent() == dict.fromkeys(HOSPITALS, sum(costs(scene)))
    assert len(costs(scene)) == ROUNDS + 1


def test_a_void_attempt_costs_nothing(scene: NoisyScene) -> None:
    scene.agents.broken = {"chur": 1, "genf": 1}
    scene.train()
    assert scene.story()[:2] == ["train 1.1 void", "train 1.2 opened"]
    assert scene.spent() == dict.fromkeys(HOSPITALS, sum(costs(scene)[1:]))


def test_who_is_in_fewer_sets_is_charged_less(scene: NoisyScene) -> None:
    scene.agents.broken = {"genf": 1}
    scene.train()
    spent, whole = scene.spent(), sum(costs(scene))
    assert spent["basel"] == whole
    assert spent["genf"] == whole - costs(scene)[0]
    charged = "SELECT data_owner, rho FROM v_participation WHERE round = 1"
    assert dict(scene.view(f"{charged} AND purpose = 'train'"))["genf"] is None


def test_a_round_that_one_aggregator_opened_stays_charged(
    scene: NoisyScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """South never hears of the opening of round 1, and then loses everything."""

    def arrive() -> None:
        for wire in scene.memory.wires.values():
            wire.fault = nobody
        raise Killed

    def deaf(request: httpx.Request, deliver: Handler) -> httpx.Response:
        opens = request.url.path.endswith("/open")
        return nobody(request, deliver) if opens else deliver(request)

    south = scene.memory.servers["south"]
    south.wire.fault = deaf
    stub = Stub(Point.SHARE_A_FETCHED, arrive)
    monkeypatch.setattr(crash_points, "_fault", stub)
    with pytest.raises(Killed):
        scene.train()
    monkeypatch.setattr(crash_points, "_fault", None)
    south.stop()
    shutil.rmtree(south.folder)
    south.start()
    scene.resume()
    assert scene.story()[:2] == ["train 1.1 void", "train 2.1 opened"]
    assert scene.memory.store.rounds(scene.name)[0].burnt
    assert scene.spent() == dict.fromkeys(HOSPITALS, sum(costs(scene)))
    assert len(costs(scene)) == ROUNDS + 1
    burnt = "SELECT rho FROM v_round WHERE round = 1 AND purpose = 'train'"
    assert scene.view(burnt) == [(costs(scene)[0] / 1e12,)]


def test_a_round_without_noise_is_no_business_of_a_budget(
    memory: MemoryFederation,
) -> None:
    plain = Scene(memory)
    plain.accountant = StudyBudget(memory.store)
    plain.train()
    assert memory.store.spent(STUDY) == {}
    assert plain.shown[0].epsilon is None


@pytest.mark.parametrize(
    "refused_with", [one for one in PROBLEMS.values() if one.spent]
)
def test_a_round_that_an_aggregator_has_no_room_for_is_left_void(
    scene: NoisyScene, monkeypatch: pytest.MonkeyPatch, refused_with: Problem
) -> None:
    """As when the model owner's store was put back, and the aggregators' were not."""
    propose, proposed = AggregatorClient.propose, []

    def refuse(client: AggregatorClient, spec: Signed[RoundSpec]) -> Signed[RoundGrant]:
        if client.party.name == "south":
            proposed.append(spec.digest)
            if len(proposed) > 1:
                raise PeerError(refused_with.code, "no room for basel")
        return propose(client, spec)

    monkeypatch.setattr(AggregatorClient, "propose", refuse)
    with refused(refused_with.code):
        scene.train()
    assert len(proposed) == 3  # a second round, and then the evaluation
    assert scene.story() == [
        "train 1.1 opened",
        "train 2.1 void",
        f"evaluate {ROUNDS}.1 void",
    ]
    assert scene.undecided() == []
    assert scene.spent() == dict.fromkeys(HOSPITALS, costs(scene)[0])


def test_an_owner_that_forgets_what_it_spent_is_refused_by_the_aggregators(
    scene: NoisyScene,
) -> None:
    scene.train()
    again = scene.another_run("run-2", 1)
    again.accountant = UNLIMITED
    with refused("FS-408"):
        again.train()
    assert again.story() == ["train 1.1 void", "evaluate 1.1 void"]
    assert again.agents.asked == []
