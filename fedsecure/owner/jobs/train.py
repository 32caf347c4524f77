"""One training from its first look to the saved model: what `fedsecure train` does.

Run by the model owner. How agents are reached and how a server steps is a framework's
part (`Framework`), and so is the model (`ModelSource`); this puts them together with
aggregators and round store, begins a run or goes on with one, and has recorded how it
ended, whatever happens.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, TypeVar

from fedsecure.errors import FedsecureError
from fedsecure.owner.jobs.model_source import ModelSource, Parts
from fedsecure.owner.jobs.rollback import Beginning
from fedsecure.owner.jobs.run_start import (
    StartedRun,
    plan_of,
    resumable,
    resume,
    start,
)
from fedsecure.owner.jobs.training_rounds import Strategy, Training
from fedsecure.owner.process import Owner
from fedsecure.owner.recorder import Recorder, RoundReport, model_file
from fedsecure.owner.run.accountant import Accountant
from fedsecure.owner.run.budget import BudgetSpentError, StudyBudget
from fedsecure.owner.run.loop import RoundLoop
from fedsecure.owner.run.participants import Participants
from fedsecure.owner.run.pauses import Pausing, Tell
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.run.recovery import keep_going
from fedsecure.owner.run.resume import Past, read_past
from fedsecure.owner.run.soundness import DivergedError
from fedsecure.owner.store.files import load_array
from fedsecure.owner.store.records import RunFinished
from fedsecure.owner.store.states import RunState
from fedsecure.study.config import AnyStudy
from fedsecure.study.metrics import HISTOGRAMS, read_deviations, read_means
from fedsecure.study.round_task import GlobalModel, laid_out
from fedsecure.study.task import ConfigValue

T = TypeVar("T")

Notify: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training tells a person how it is going.

    `study` hears the digest that data owners approve.
    """

    study: Notify
    stage: Notify
    round: Callable[[RoundReport], None]
    interrupted: Notify  # hears the run that can be resumed
    waiting: Tell
    diverged: Callable[[str, int | None, Path], None]  # run, last sound round, model


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection to the agents, with a strategy that has seen no round yet."""

    participants: Participants
    strategy: Strategy


Connect: TypeAlias = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True, slots=True)
class Driven:
    """A run whose rounds a job brings to an end, again after each fault that passes.

    Args:
        owner: Opened by `open_owner`.
        plan: The run.
        recorder: Records every attempt.
        progress: Told for whom the run waits.
        accountant: May stop it before a round is asked; None: the study's budget does.
    """

    owner: Owner
    plan: Plan
    recorder: Recorder
    progress: Progress
    accountant: Accountant | None

    def rounds(self, connection: Connection) -> RoundLoop:
        """Return what brings its rounds to an end, on one connection."""
        owner = self.owner
        return RoundLoop(
            owner.rounds(),
            connection.participants,
            self.plan,
            record=self.recorder.record,
            clock=time.monotonic,
            sleep=time.sleep,
            tell=self.progress.waiting,
            accountant=self.accountant or StudyBudget(owner.store),
        )

    def keep_going(self, work: Callable[[Past], T], past: Past) -> T:
        """Do the work, and once more after a fault, from what is on record by then."""
        store, folder = self.owner.store, self.owner.settings.folder
        return keep_going(
            work,
            past,
            lambda: read_past(store, folder, self.plan.run),
            Pausing(self.plan.pauses, time.sleep, self.progress.waiting),
        )


class Framework(Protocol):
    """How agents are reached, and how a server steps; Flower is one."""

    def serve(
        self, config: Mapping[str, ConfigValue], parts: Parts, stage: Notify
    ) -> AbstractContextManager[Connect]:
        """Be there for agents as long as the block lasts.

        Args:
            config: What every app sees.
            parts: What the server's step has to mind.
            stage: Hears what is going on.

        Returns:
            What connects to them; a run that goes on after a fault connects anew.
        """


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asked for.

    Args:
        rounds: Instead of the study's own number, if given.
        resume: A run that was interrupted, to go on with instead of a new one.
        beginning: An earlier round, whose model a new run starts from.
    """

    rounds: int | None = None
    resume: str | None = None
    beginning: Beginning | None = None


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training that can be run.

    Args:
        owner: Opened by `open_owner`.
        study: From `load_study`.
        build: Builds its model.
        framework: Reaches the agents.
        progress: Told about stages and rounds.
        accountant: May stop the run before a round is asked; None: the study's budget
            does.
    """

    owner: Owner
    study: AnyStudy
    build: Callable[[], ModelSource]
    framework: Framework
    progress: Progress
    accountant: Accountant | None = None

    def run(self, wanted: Wanted) -> Path:
        """Train a study from its initial model; return where the model lies.

        Raises:
            FedsecureError: What went wrong; the run is then recorded as failed.
            DivergedError: FS-232, the model cannot be measured any more.
            BudgetSpentError: FS-374, with where the model so far lies.
            OperatorError: FS-233, FS-356 or FS-357 when the run cannot be resumed,
                FS-235 when no round moved the model, FS-861 when there is no run of
                that name, FS-862 when there is no such round.
            RoundStateError: FS-646 when the round is not accepted.
        """
        owner, stage = self.owner, self.progress.stage
        began = None
        if wanted.resume is not None:
            began = resumable(owner, self.study, wanted.resume)
        stage("asking both aggregators")
        for client in owner.aggregators.values():
            client.require_same_federation()
        stage("building the model")
        source = self.build()
        self.progress.study(source.request.digest)
        recorder = Recorder(
            owner.store,
            owner.settings.folder,
            _read,
            self.progress.round,
            _read_deviations,
        )
        if began is None:
            rounds = wanted.rounds or self.study.training.rounds
            run = start(owner, self.study, source, recorder, rounds, wanted.beginning)
        else:
            stage(f"reading what {began.run} did so far")
            run = resume(owner, began, source)
        with _recorded(owner, run.name, self.progress):
            try:
                last = self._train(run, source, recorder)
            except FedsecureError as error:
                if error.problem.spent:
                    raise self._spent(error, run, source) from error
                raise
            stage("saving the model")
            return self._save(last, run, source)

    def _train(
        self, run: StartedRun, source: ModelSource, recorder: Recorder
    ) -> GlobalModel:
        """Go through the rounds, again after each fault that passes."""
        owner, progress = self.owner, self.progress
        plan = plan_of(owner.settings, source.request, run.name, run.rounds)
        driven = Driven(owner, plan, recorder, progress, self.accountant)
        config = source.request.config
        with self.framework.serve(config, source.parts, progress.stage) as connect:
            progress.stage("waiting for the data owners' agents")

            def train(past: Past) -> GlobalModel:
                with connect() as connection:
                    rounds = driven.rounds(connection)
                    training = Training(connection.strategy, rounds, plan)
                    return training.run(run.model, past)

            return driven.keep_going(train, run.past)

    def _save(self, model: GlobalModel, run: StartedRun, source: ModelSource) -> Path:
        return source.save(model, self.owner.settings.folder / "models" / run.name)

    def _spent(
        self, error: FedsecureError, run: StartedRun, source: ModelSource
    ) -> BudgetSpentError:
        """Keep the model so far as what came of the run, and say so."""
        store, folder = self.owner.store, self.owner.settings.folder
        trained = len(store.means(run.name))
        detail = f"{error.detail}. {trained} of {run.rounds} rounds were trained"
        if trained:
            weights = load_array(folder, store.last_model(run.name))
            model = laid_out(run.model.layers, weights)
            detail += f"; the model so far is {self._save(model, run, source)}"
        return BudgetSpentError(detail)


@contextmanager
def _recorded(owner: Owner, run: str, progress: Progress) -> Iterator[None]:
    """Record how a run ended whatever happens, and say how it can go on."""
    try:
        yield
    except DivergedError as error:
        model = owner.settings.folder / model_file(run, error.sound or 0)
        progress.diverged(run, error.sound, model)
        owner.store.finish_run(RunFinished(run, RunState.DIVERGED, str(error)))
        raise
    except BudgetSpentError as error:
        owner.store.finish_run(RunFinished(run, RunState.BUDGET_SPENT, error.detail))
        raise
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        outcome = RunState.STOPPED if stopped else RunState.FAILED
        reason = "stopped by its owner" if stopped else str(error)
        progress.interrupted(run)
        owner.store.finish_run(RunFinished(run, outcome, reason))
        raise
    owner.store.finish_run(RunFinished(run, RunState.COMPLETED))


def _read(means: Mapping[str, Sequence[float] | None]) -> dict[str, float | None]:
    """Return every mean that is one number, and what follows from histograms."""
    single = {
        name: None if mean is None else mean[0]
        for name, mean in means.items()
        if name not in HISTOGRAMS
    }
    return {**single, **dataclasses.asdict(read_means(means))}


def _read_deviations(
    means: Mapping[str, Sequence[float] | None], noise: Mapping[str, float]
) -> dict[str, float | None]:
    """Return how far noise has moved each of what `_read` returns."""
    single = {name: noise[name] for name in means if name not in HISTOGRAMS}
    return {**single, **dataclasses.asdict(read_deviations(means, noise))}
