"""A training from its first look to the saved model, over a framework of the test's.

What `fedsecure train` does beside Flower and Keras: it begins a run or goes on with
one, connects anew after a fault that passes, and has recorded how the run ended.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.errors import OperatorError
from fedsecure.owner.jobs.model_source import WHOLE, Parts
from fedsecure.owner.jobs.rollback import Beginning
from fedsecure.owner.jobs.train import (
    Connect,
    Connection,
    Notify,
    Progress,
    TrainingJob,
    Wanted,
)
from fedsecure.owner.process import Owner
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.owner.run.budget import BudgetSpentError
from fedsecure.owner.settings import OwnerSettings
from fedsecure.owner.store.records import RunRecord
from fedsecure.owner.store.states import RunState
from fedsecure.protocol.statements import ScalarField, Weighting
from fedsecure.study.config import Study, load_study
from fedsecure.study.privacy import Privacy
from fedsecure.study.round_task import GlobalModel
from fedsecure.study.task import ConfigValue
from fedsecure.study.terms import SUITE, StudyRequest, Terms
from tests.protocol.federation import MemoryFederation, refused
from tests.protocol.test_run_loop import CONFIG, Account, Agents, Momentum, initial

HEART = Path(__file__).parents[2] / "studies" / "heart"
TERMS = Terms(
    scalars=tuple(
        ScalarField(name=name, low=0.0, high=4.0) for name in ("loss", "accuracy")
    ),
    clip=4.0,
    weight_cap=1,
    weighting=Weighting.EQUAL,
    min_cohort=3,
    suite=SUITE,
)
REQUEST = StudyRequest(CONFIG, TERMS)


@dataclass(frozen=True)
class Source:
    """A study's model that is no Keras model: its file is the vector itself."""

    request: StudyRequest = REQUEST
    parts: Parts = WHOLE

    def initial(self) -> GlobalModel:
        return initial()

    def save(self, model: GlobalModel, folder: Path) -> Path:
        np.save(folder / "model.npy", model.weights)
        return folder / "model.npy"


@dataclass(frozen=True, slots=True)
class MemoryOwner(Owner):
    """A model owner whose end of a round has the time of the federation in memory."""

    end: RoundOwner = field(kw_only=True)

    def rounds(self) -> RoundOwner:
        return self.end


@dataclass
class Reach:
    """A framework that connects to hospitals in this process; at first it may fail."""

    agents: Agents
    faults: list[OperatorError] = field(default_factory=list)
    connected: int = 0

    @contextmanager
    def serve(
        self,
        config: Mapping[str, ConfigValue],
        parts: Parts,
        stage: Notify,
    ) -> Iterator[Connect]:
        assert (config, parts) == (CONFIG, WHOLE)
        stage("opening the doors")
        yield self._connect

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        self.connected += 1
        yield Connection(self.agents, Momentum())
        if self.faults:
            raise self.faults.pop()


@dataclass
class Scene:
    memory: MemoryFederation
    study: Study
    heard: list[str] = field(default_factory=list)
    reach: Reach = field(init=False)

    def __post_init__(self) -> None:
        self.reach = Reach(Agents(self.memory))

    def job(self, **changes: Any) -> TrainingJob:
        settings = OwnerSettings.model_construct(
            folder=self.memory.folder,
            round_seconds=60.0,
            join_seconds=1.0,
            attempts=3,
            pause_seconds=0.0,
            longest_pause_seconds=0.0,
            stop_when_diverged=True,
        )
        end, author = self.memory.owner, self.memory.owner.author
        owner = MemoryOwner(
            settings, author, end.aggregators, self.memory.store, end=end
        )
        progress = Progress(
            study=self.heard.append,
            stage=self.heard.append,
            round=lambda report: self.heard.append(f"round {report.round}"),
            interrupted=lambda run: self.heard.append(f"interrupted {run}"),
            waiting=lambda what, _seconds: self.heard.append(what),
            diverged=lambda run, _sound, _model: self.heard.append(f"diverged {run}"),
        )
        return replace(
            TrainingJob(owner, self.study, Source, self.reach, progress), **changes
        )

    def newest(self) -> RunRecord:
        run = self.memory.store.latest_run()
        assert run is not None
        return run


@pytest.fixture
def scene(memory: MemoryFederation) -> Scene:
    return Scene(memory, load_study(HEART))


def test_a_training_is_recorded_from_its_first_model_to_its_end(scene: Scene) -> None:
    file = scene.job().run(Wanted(rounds=2))
    run = scene.newest()
    assert (run.state, run.planned_rounds, run.study) == ("completed", 2, "heart")
    assert file == scene.memory.folder / "models" / run.run / "model.npy"
    last = scene.memory.store.last_model(run.run)
    recorded = np.load(scene.memory.folder / last.path)
    np.testing.assert_array_equal(np.load(file), recorded)
    assert scene.heard == [
        "asking both aggregators",
        "building the model",
        REQUEST.digest,
        "opening the doors",
        "waiting for the data owners' agents",
        *("round 1", "round 2", "round 2"),
        "saving the model",
    ]


def test_a_run_that_failed_goes_on_and_a_completed_one_does_not(scene: Scene) -> None:
    whole = np.load(scene.job().run(Wanted(rounds=2)))
    with refused("FS-400"):
        scene.job(accountant=Account(room=1)).run(Wanted(rounds=2))
    run = scene.newest()
    assert (run.state, run.reason) == (
        RunState.FAILED,
        str(OperatorError("FS-400", "1 openings are spent")),
    )
    assert scene.heard[-1] == f"interrupted {run.run}"
    file = scene.job().run(Wanted(resume=run.run))
    np.testing.assert_array_equal(np.load(file), whole)
    with refused("FS-357"):
        scene.job().run(Wanted(resume=run.run))


def test_a_new_run_starts_from_an_earlier_rounds_model(scene: Scene) -> None:
    scene.job().run(Wanted(rounds=1))
    before = scene.newest().run
    beginning = Beginning(f"{before}:1", forced=True)
    scene.job().run(Wanted(rounds=1, beginning=beginning))
    first, second = (
        scene.memory.store.run(name) for name in (before, scene.newest().run)
    )
    assert second.initial_model == scene.memory.store.last_model(first.run)
    assert second.origin is not None


def test_a_fault_that_passes_has_the_job_connect_anew(scene: Scene) -> None:
    scene.reach.faults = [OperatorError("FS-513", "the line was cut")]
    scene.job().run(Wanted(rounds=1))
    assert scene.reach.connected == 2
    assert scene.newest().state is RunState.COMPLETED


def test_a_fault_that_does_not_pass_ends_the_run(scene: Scene) -> None:
    scene.reach.faults = [OperatorError("FS-512", "it is gone")]
    with refused("FS-512"):
        scene.job().run(Wanted(rounds=1))
    assert scene.reach.connected == 1
    assert scene.newest().state is RunState.FAILED


PRIVATE = Privacy(unit=Unit.DATA_OWNER, epsilon=4.0, delta=1e-5)


TWO_ROUNDS = PRIVATE.planned(2, TERMS.clip)
NOISY = partial(
    Source, StudyRequest(CONFIG, TERMS.model_copy(update={"privacy": TWO_ROUNDS}))
)


def test_a_run_whose_budget_is_spent_keeps_the_model_so_far(scene: Scene) -> None:
    scene.study = replace(scene.study, privacy=PRIVATE)
    with pytest.raises(BudgetSpentError, match="2 of 9 rounds were trained") as caught:
        scene.job(build=NOISY).run(Wanted(rounds=9))
    run = scene.newest()
    assert (run.state, run.reason) == (RunState.BUDGET_SPENT, caught.value.detail)
    file = scene.memory.folder / "models" / run.run / "model.npy"
    assert str(file) in caught.value.detail
    last = scene.memory.store.last_model(run.run)
    np.testing.assert_array_equal(
        np.load(file), np.load(scene.memory.folder / last.path)
    )
    decided = [one.purpose.value for one in scene.memory.store.rounds(run.run)]
    assert decided == ["train", "train", "evaluate"]
    with pytest.raises(BudgetSpentError, match="2 of 9 rounds were trained"):
        scene.job(build=NOISY).run(Wanted(resume=run.run))
    assert scene.newest().state is RunState.BUDGET_SPENT
    assert not any(said.startswith("interrupted") for said in scene.heard)


def test_a_run_for_which_nothing_is_left_trains_nothing(scene: Scene) -> None:
    scene.study = replace(scene.study, privacy=PRIVATE)
    scene.job(build=NOISY).run(Wanted(rounds=2))
    with pytest.raises(BudgetSpentError, match=r"0 of 1 rounds were trained$"):
        scene.job(build=NOISY).run(Wanted(rounds=1))
    assert scene.memory.store.rounds(scene.newest().run) == []


def test_a_run_is_not_resumed_under_another_budget_or_none(scene: Scene) -> None:
    scene.study = replace(scene.study, privacy=PRIVATE)
    with refused("FS-400"):
        scene.job(build=NOISY, accountant=Account(room=0)).run(Wanted(rounds=2))
    run = scene.newest().run
    for other in (None, PRIVATE.model_copy(update={"epsilon": 5.0})):
        scene.study = replace(scene.study, privacy=other)
        with pytest.raises(OperatorError, match=r"FS-356.*\[privacy\]"):
            scene.job(build=NOISY).run(Wanted(resume=run))
