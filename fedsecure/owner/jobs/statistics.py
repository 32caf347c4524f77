"""One round of counts over a study's columns: what `fedsecure statistics` does.

Run by the model owner. It goes through the same steps as a training's rounds, spec,
approval, receipts, set, opening, record, with a model of nothing: so aggregators hold
all such rounds against each other, and open no two sets that differ by a few.

The round is a run of its own in the store. What it told is read from the record, so a
run that was cut off goes on where it was, and the same answer comes out of it.
"""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np

from fedsecure.errors import FedsecureError, OperatorError, PeerError
from fedsecure.owner.jobs.model_source import WHOLE
from fedsecure.owner.jobs.run_start import plan_of
from fedsecure.owner.jobs.train import Driven, Framework, Progress
from fedsecure.owner.process import Owner
from fedsecure.owner.recorder import Recorder
from fedsecure.owner.run.accountant import Accountant
from fedsecure.owner.run.participants import Agent, Assignment
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.run.resume import NOTHING, Past, RoundKey, read_past
from fedsecure.owner.store.records import RoundRecord, RunFinished, RunStarted
from fedsecure.owner.store.states import RoundState, RunState
from fedsecure.protocol.parameters import params_of
from fedsecure.protocol.statements import Opening, Purpose, RoundSpec
from fedsecure.protocol.stored_statements import stored
from fedsecure.study.config import AnyStudy
from fedsecure.study.round_task import GlobalModel, RoundTask
from fedsecure.study.statistics.reading import (
    StudyStatistics,
    count_error,
    read_statistics,
)
from fedsecure.study.terms import StudyRequest

NO_MODEL: Final = GlobalModel((), np.empty(0, np.float32))
ROUND: Final[RoundKey] = (1, Purpose.STATISTICS)
STRATEGY: Final = "statistics"  # as the record of the run has it: there is no step


@dataclass(frozen=True, slots=True)
class StatisticsRun:
    """What came of it: the run's name, and what it told."""

    run: str
    statistics: StudyStatistics


@dataclass(frozen=True, slots=True)
class StatisticsJob:
    """A round of statistics that can be run.

    Args:
        owner: Opened by `open_owner`.
        study: From `load_any_study`.
        request: Made by `statistics_request`.
        framework: Reaches the agents.
        progress: Told about stages and attempts.
        accountant: May stop it before a round is asked; None: the budget does.
    """

    owner: Owner
    study: AnyStudy
    request: StudyRequest
    framework: Framework
    progress: Progress
    accountant: Accountant | None = None

    def run(self, resume: str | None = None) -> StatisticsRun:
        """Have all data owners count, and return what their sums say.

        Args:
            resume: A run that was interrupted, to go on with instead of a new one.

        Raises:
            FedsecureError: What went wrong; the run is then recorded as failed.
            OperatorError: FS-356 or FS-357 when the run cannot be resumed, FS-861 when
                there is no run of that name.
        """
        owner, stage = self.owner, self.progress.stage
        plan = self._plan(resume)
        stage("asking both aggregators")
        for client in owner.aggregators.values():
            client.require_same_federation()
        self.progress.study(self.request.digest)
        recorder = Recorder(
            owner.store, owner.settings.folder, _no_metrics, self.progress.round
        )
        if resume is None:
            self._start(plan, recorder)
            past = NOTHING
        else:
            past = read_past(owner.store, owner.settings.folder, resume)
            owner.store.resume_run(resume)
        with self._recorded(plan.run):
            self._settle(plan, past, recorder)
            return StatisticsRun(plan.run, self._told(plan.run))

    def _plan(self, resume: str | None) -> Plan:
        run = _new_name(self.study.name) if resume is None else self._again(resume)
        return plan_of(self.owner.settings, self.request, run, rounds=0)

    def _again(self, resume: str) -> str:
        """Return the name of a run that asks the same, and is not over.

        Raises:
            OperatorError: FS-356, FS-357, FS-861.
        """
        began = self.owner.store.run(resume)
        if began.state is RunState.COMPLETED:
            raise OperatorError("FS-357", f"run {resume} is completed")
        asked = began.settings.get(STRATEGY, {}).get("study")
        if asked != self.request.digest:
            raise OperatorError(
                "FS-356",
                f"run {resume} asked for {asked}, now it is {self.request.digest}",
            )
        return resume

    def _start(self, plan: Plan, recorder: Recorder) -> None:
        self.owner.store.start_run(
            RunStarted(
                run=plan.run,
                study=self.study.name,
                title=f"{self.study.title}: statistics",
                strategy=STRATEGY,
                weighting=plan.weighting,
                planned_rounds=plan.rounds,
                min_cohort=plan.min_cohort,
                clip=plan.clip,
                settings={STRATEGY: {"study": self.request.digest}},
                initial_model=recorder.save_model(plan.run, 0, NO_MODEL),
            )
        )

    def _settle(self, plan: Plan, past: Past, recorder: Recorder) -> None:
        """Bring the one round to an end, again after each fault that passes."""
        if ROUND in past.decided:
            return
        progress = self.progress
        driven = Driven(self.owner, plan, recorder, progress, self.accountant)
        with self.framework.serve(plan.config, WHOLE, progress.stage) as connect:
            progress.stage("waiting for the data owners' agents")

            def ask(past: Past) -> None:
                if ROUND in past.decided:
                    return
                with connect() as connection:
                    rounds = driven.rounds(connection)
                    rounds.settle(ROUND, self._assign, NO_MODEL, past)

            driven.keep_going(ask, past)

    def _assign(self, agents: Mapping[str, Agent]) -> Assignment:
        """Ask everybody who can be asked to count."""
        config, nothing = self.request.config, NO_MODEL.weights
        task = RoundTask(Purpose.STATISTICS, (), config, nothing)
        return Assignment(task, frozenset(agents))

    def _told(self, run: str) -> StudyStatistics:
        """Read what the opened round says.

        Raises:
            PeerError: FS-369, an aggregator opened it and lost it.
        """
        task, record = self.request.statistics, _opened(self.owner.store.rounds(run))
        spec = stored(record.spec, RoundSpec).statement
        members = stored(record.opening or "", Opening).statement.set
        error = count_error(params_of(spec), len(members))
        if task is None:
            msg = "the request is no task of statistics"
            raise TypeError(msg)
        return read_statistics(task, record.scalars, error, len(members))

    @contextmanager
    def _recorded(self, run: str) -> Iterator[None]:
        """Record how the run ended whatever happens, and say how it can go on."""
        store = self.owner.store
        try:
            yield
        except BaseException as error:
            spent = isinstance(error, FedsecureError) and error.problem.spent
            stopped = isinstance(error, KeyboardInterrupt)
            outcome = RunState.STOPPED if stopped else RunState.FAILED
            reason = "stopped by its owner" if stopped else str(error)
            if spent:
                outcome = RunState.BUDGET_SPENT
            else:
                self.progress.interrupted(run)
            store.finish_run(RunFinished(run, outcome, reason))
            raise
        store.finish_run(RunFinished(run, RunState.COMPLETED))


def _opened(records: Sequence[RoundRecord]) -> RoundRecord:
    for record in records:
        if record.state is RoundState.OPENED:
            return record
    lost = "its sums were opened at one aggregator, and lost: ask in a new run"
    raise PeerError("FS-369", f"statistics round: {lost}")


def _new_name(study: str) -> str:
    moment = time.strftime("%Y%m%d-%H%M%S")
    return f"{study[:25]}-statistics-{moment}-{secrets.token_hex(2)}"


def _no_metrics(
    means: Mapping[str, Sequence[float] | None],  # noqa: ARG001 - the port's
) -> dict[str, float | None]:
    """Return no metrics: counts are no measure of a model."""
    return {}
