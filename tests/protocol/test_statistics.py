"""A round of statistics from the owner's job to the agents' own files, in memory.

Real aggregators, real agents with the heart study's four tables, Flower's messages
without its network. What was opened is held against what pandas says of all rows.
"""

import math
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from flwr.app import Context, Message

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.fleet import FlowerParticipants
from fedsecure.frameworks.flower.runtime import task_identity
from fedsecure.owner.jobs.model_source import WHOLE, Parts
from fedsecure.owner.jobs.statistics import NO_MODEL, StatisticsJob
from fedsecure.owner.jobs.train import Connect, Connection, Notify, Progress
from fedsecure.owner.run.participants import Agent
from fedsecure.owner.settings import OwnerSettings
from fedsecure.owner.store.states import RunState
from fedsecure.protocol.statements import Purpose, ScalarField, Weighting
from fedsecure.study.config import Study, load_study
from fedsecure.study.round_task import RoundTask
from fedsecure.study.statistics.reading import NameStatistics, NumberStatistics
from fedsecure.study.statistics_study import Budget, statistics_request
from fedsecure.study.task import ConfigValue, Layer
from fedsecure.study.terms import StudyRequest, require_declared
from fedsecure_clients.consent.policy import Policy
from fedsecure_clients.statistics_app.app import beside
from tests.protocol.agents import agent_of
from tests.protocol.federation import (
    HOSPITALS,
    Handler,
    MemoryFederation,
    offer_of,
    refused,
)
from tests.protocol.test_run_loop import Momentum, nobody
from tests.protocol.test_secure_aggregation import copy_for
from tests.protocol.test_training_job import MemoryOwner

HEART = Path(__file__).parents[2] / "studies" / "heart"
FILES = dict(
    zip(
        HOSPITALS,
        ("cleveland", "hungary", "switzerland", "va-long-beach"),
        strict=True,
    )
)
EVERYTHING = frozenset(Purpose)
ALLOWING = Policy(studies="any", purposes=EVERYTHING)
UNBOUNDED = 1000.0


def never(_message: Message, _context: Context) -> Message:
    msg = "the app that trains saw a round of statistics"
    raise AssertionError(msg)


@dataclass
class Hospitals:
    """All hospitals' agents, each with its own file; also the framework of the job."""

    memory: MemoryFederation
    policies: Mapping[str, Policy] = field(default_factory=dict)
    folder: Path = HEART / "data"
    faults: list[Callable[[], None]] = field(default_factory=list)

    def online(self) -> Mapping[str, Agent]:
        return {name: Agent(100 + at, "1") for at, name in enumerate(HOSPITALS)}

    def ask(
        self, messages: Sequence[Message], seconds: float, enough: Callable[[], bool]
    ) -> Iterable[Message]:
        assert seconds > 0
        assert not enough()
        for message in messages:
            node = message.metadata.dst_node_id
            reply = self.agent(HOSPITALS[node - 100]).answer(copy_for(message), node)
            reply.metadata.__dict__["_src_node_id"] = node
            yield reply

    def agent(self, name: str) -> Any:
        hospital = self.memory.hospital(name, self.policies.get(name, ALLOWING))
        data = self.folder / f"{FILES[name]}.csv"
        return agent_of(self.memory, hospital, beside(never), data)

    @contextmanager
    def serve(
        self, config: Mapping[str, ConfigValue], parts: Parts, stage: Notify
    ) -> Iterator[Connect]:
        assert (set(config), parts) == ({"study"}, WHOLE)
        stage("opening the doors")
        yield self._connect

    @contextmanager
    def _connect(self) -> Iterator[Connection]:
        yield Connection(FlowerParticipants(self), Momentum())
        while self.faults:
            self.faults.pop()()


@dataclass
class Scene:
    memory: MemoryFederation
    hospitals: Hospitals
    study: Study
    heard: list[str] = field(default_factory=list)

    def job(self, budget: Budget | None = None) -> StatisticsJob:
        settings = OwnerSettings.model_construct(
            folder=self.memory.folder,
            round_seconds=60.0,
            join_seconds=1.0,
            attempts=1,
            pause_seconds=0.0,
            longest_pause_seconds=0.0,
        )
        end = self.memory.owner
        store = self.memory.store
        owner = MemoryOwner(settings, end.author, end.aggregators, store, end=end)
        progress = Progress(
            study=self.heard.append,
            stage=self.heard.append,
            round=lambda report: self.heard.append(report.reason or "opened"),
            interrupted=lambda run: self.heard.append(f"interrupted {run}"),
            waiting=lambda what, _seconds: self.heard.append(what),
            diverged=lambda run, _sound, _model: self.heard.append(f"diverged {run}"),
        )
        request = statistics_request(self.study, budget)
        return StatisticsJob(owner, self.study, request, self.hospitals, progress)


@pytest.fixture
def scene(memory: MemoryFederation) -> Iterator[Scene]:
    with task_identity(1):
        yield Scene(memory, Hospitals(memory), load_study(HEART))


def heart() -> pd.DataFrame:
    """Return all rows, as text."""
    files = [HEART / "data" / f"{name}.csv" for name in FILES.values()]
    return pd.concat(pd.read_csv(file, dtype=str, na_filter=False) for file in files)


def numbers(rows: pd.DataFrame, name: str) -> Any:
    """Return a column's known numbers by the study's own codes, as float64."""
    content = tomllib.loads((HEART / "schema.toml").read_text(encoding="utf-8"))
    (column,) = [one for one in content["columns"] if one["name"] == name]
    found = pd.to_numeric(rows[name], errors="coerce")
    codes = [float(code) for code in column.get("missing", []) if code]
    return found[found.notna() & ~found.isin(codes)].to_numpy(np.float64)


def test_without_noise_counts_means_and_variances_are_exact(scene: Scene) -> None:
    found = scene.job().run().statistics
    rows = heart()
    assert (found.data_owners, found.exact) == (4, True)
    assert found.rows is not None
    assert found.rows.value == len(rows) == 920
    positive = int((pd.to_numeric(rows["num"]) > 0).sum())
    assert [one.value for _, one in found.label.counts] == [920 - positive, positive]
    columns = {one.column: one for one in found.columns}
    for name in ("age", "trestbps", "chol", "thalch", "oldpeak"):
        column, known = columns[name], numbers(rows, name)
        assert isinstance(column, NumberStatistics)
        assert column.known.value == len(known)
        assert column.mean is not None
        assert column.sd is not None
        assert column.mean.value == pytest.approx(known.mean(), rel=1e-6)
        assert column.sd.value == pytest.approx(known.std(), rel=1e-6)
        bins, edges = np.histogram(known, 32, column.histogram.edges[[0, -1]])
        np.testing.assert_array_equal(column.histogram.counts, bins)
        assert column.median is not None
        assert abs(column.median.value - np.median(known)) <= edges[1] - edges[0]
    pain = columns["cp"]
    assert isinstance(pain, NameStatistics)
    assert {name: one.value for name, one in pain.counts} == dict(
        rows["cp"].value_counts()
    )
    assert columns["fbs"].missing is not None
    assert columns["fbs"].missing.value == (rows["fbs"] == "").sum()


def test_what_it_told_is_a_round_of_the_record_like_any_other(scene: Scene) -> None:
    run = scene.job().run().run
    record = scene.memory.store.run(run)
    (found,) = scene.memory.store.rounds(run)
    assert (record.state, record.strategy) == (RunState.COMPLETED, "statistics")
    assert (found.purpose, found.state.value) == (Purpose.STATISTICS, "opened")
    (server,) = scene.memory.servers["north"].ask(
        "SELECT purpose, dimension FROM v_round"
    )
    assert server == ("statistics", 0)


def test_a_data_owner_that_has_not_allowed_statistics_says_nothing(
    scene: Scene,
) -> None:
    scene.hospitals.policies = {"genf": Policy(studies="any")}
    found = scene.job().run().statistics
    assert found.data_owners == 3
    agent = scene.hospitals.agent("genf")
    (refusal,) = agent.state.refusals.newest(10)
    assert refusal.code == "FS-414"
    assert 'purposes = ["train", "evaluate", "statistics"]' in refusal.detail


def test_a_run_that_was_cut_off_goes_on_and_tells_the_same(scene: Scene) -> None:
    whole = scene.job().run().statistics
    scene.memory.wires["south"].fault = _cut_off
    with refused("FS-551"):
        scene.job().run()
    run = scene.memory.store.latest_run()
    assert run is not None
    assert scene.heard[-1] == f"interrupted {run.run}"
    scene.memory.wires["south"].fault = None
    again = scene.job().run(resume=run.run)
    assert again.run == run.run
    assert again.statistics.label == whole.label
    with refused("FS-357"):
        scene.job().run(resume=run.run)


def _cut_off(request: httpx.Request, deliver: Handler) -> httpx.Response:
    cut = request.url.path.endswith("/open")
    return nobody(request, deliver) if cut else deliver(request)


def test_with_noise_a_round_tells_what_its_budget_allows_and_then_no_more(
    scene: Scene,
) -> None:
    budget = Budget(Unit.ROW, 1.0, 1e-5)
    done = scene.job(budget).run()
    found, rows = done.statistics, heart()
    assert found.rows is not None
    assert 0 < abs(found.rows.value - 920) < 4 * found.rows.error
    # Both aggregators' noise, over the 11 vectors and two words of core's own that one
    # row may move; rounding may cost a hundredth.
    noise = math.sqrt(2) * budget.privacy().evaluation_noise * math.sqrt(11 + 2)
    assert noise <= found.error <= 1.01 * noise
    columns = {one.column: one for one in found.columns}
    for name in ("age", "trestbps", "chol", "thalch"):
        column, known = columns[name], numbers(rows, name)
        assert isinstance(column, NumberStatistics)
        for told, true in (
            (column.median, np.median(known)),
            (column.iqr, np.subtract(*np.quantile(known, (0.75, 0.25)))),
            (column.mean, known.mean()),
        ):
            assert told is not None
            bin_width = np.diff(column.histogram.edges)[0]
            assert 0 < abs(told.value - true) < 4 * told.error + bin_width
    with refused("FS-374"):
        scene.job(budget).run()
    run = scene.memory.store.latest_run()
    assert run is not None
    assert run.state is RunState.BUDGET_SPENT
    assert len(scene.memory.store.rounds(done.run)) == 1
    assert scene.memory.store.rounds(run.run) == []


def test_where_data_owners_are_protected_only_parts_of_rows_are_told(
    scene: Scene,
) -> None:
    found = scene.job(Budget(Unit.DATA_OWNER, UNBOUNDED, 1e-5)).run().statistics
    assert found.rows is None
    parts = []
    for name in FILES.values():
        table = pd.read_csv(HEART / "data" / f"{name}.csv")
        parts.append((table["num"] > 0).mean())
    (_, positive) = found.label.counts[1]
    assert positive.error > 0
    assert abs(positive.value - np.mean(parts)) < 4 * positive.error


def test_who_approved_counts_is_not_made_to_train_and_the_other_way_round(
    scene: Scene,
) -> None:
    request = statistics_request(scene.study, None)
    task = RoundTask(
        Purpose.TRAIN,
        (Layer("0", (500,)),),
        request.config,
        np.zeros(500, np.float32),
    )
    assert _refusal(scene, task, request.terms.scalars) == "FS-376"
    other = RoundTask(Purpose.STATISTICS, (), {"study": "a toy"}, NO_MODEL.weights)
    assert _refusal(scene, other, ()) == "FS-376"


def test_exact_sums_are_refused_where_noise_is_to_hide_a_row(scene: Scene) -> None:
    request = statistics_request(scene.study, None)
    privacy = Budget(Unit.ROW, 1.0, 1e-5).privacy()
    terms = request.terms.model_copy(update={"privacy": privacy})
    with refused("FS-427"):
        require_declared(StudyRequest(request.config, terms))


def _refusal(scene: Scene, task: RoundTask, scalars: Sequence[ScalarField]) -> str:
    """Return the code with which basel's agent says no to a task."""
    size = task.weights.size
    request = scene.memory.request(
        task=task.digest(),
        model=task.model,
        purpose=task.purpose,
        dimension=size,
        scalars=scalars,
        weighting=Weighting.EQUAL,
        weight_cap=1,
        round=1 if size else 2,
    )
    proposal = scene.memory.owner.propose(request)
    content = wire.pack_task(task, offer_of(proposal))
    kind = wire.KINDS[task.purpose]
    agent = scene.hospitals.agent("basel")
    reply = agent.answer(Message(content, dst_node_id=1, message_type=kind), 1)
    assert reply.has_error()
    code: str = agent.state.refusals.newest(1)[0].code
    return code
