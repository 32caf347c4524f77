"""How a run starts: anew, from an earlier round, or where it was interrupted."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedsecure.errors import OperatorError, PeerError
from fedsecure.owner.jobs.model_source import ModelSource
from fedsecure.owner.jobs.rollback import Beginning, Start, read_start
from fedsecure.owner.process import Owner
from fedsecure.owner.recorder import Recorder
from fedsecure.owner.run.pauses import Pauses
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.run.resume import NOTHING, Past, read_past
from fedsecure.owner.settings import OwnerSettings
from fedsecure.owner.store.files import load_array
from fedsecure.owner.store.records import RunRecord, RunStarted
from fedsecure.owner.store.states import RunState
from fedsecure.protocol.statements import Weighting
from fedsecure.study.config import AnyStudy
from fedsecure.study.round_task import GlobalModel, laid_out
from fedsecure.study.terms import StudyRequest


@dataclass(frozen=True, slots=True)
class StartedRun:
    """A run that is recorded as running.

    Args:
        name: Of the run.
        rounds: How many train rounds are planned.
        model: The model that it began with.
        past: What it did before; nothing, if it begins.
    """

    name: str
    rounds: int
    model: GlobalModel
    past: Past = NOTHING


def resumable(owner: Owner, study: AnyStudy, run: str) -> RunRecord:
    """Return a run that is not over and was begun with this very study.

    Raises:
        OperatorError: FS-233 it diverged, FS-356 the study is another, FS-357 it is
            completed, FS-861 there is none of that name.
    """
    began = owner.store.run(run)
    if began.state is RunState.COMPLETED:
        raise OperatorError("FS-357", f"run {run} is completed")
    if began.state is RunState.DIVERGED and owner.settings.stop_when_diverged:
        raise OperatorError("FS-233", f"run {run}: {began.reason}")
    now = study.settings()
    changed = [
        f"[{section}] {name}"
        for section in {**now, "privacy": {}}
        for name in _differing(began.settings.get(section, {}), now.get(section, {}))
    ]
    if began.study != study.name or changed:
        what = ", ".join(changed) or f"it trained {began.study}"
        raise OperatorError("FS-356", f"{study.folder}, run {run}: {what}")
    return began


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    names = {**now, **before}
    return [name for name in names if before.get(name) != now.get(name)]


def resume(owner: Owner, began: RunRecord, source: ModelSource) -> StartedRun:
    """Record that a run goes on, and read what it did so far.

    Raises:
        OperatorError: FS-356 when the study's model has other layers, FS-604 to FS-606
            from the store and its files.
    """
    folder = owner.settings.folder
    model = _initial_model(folder, began, source.initial())
    past = read_past(owner.store, folder, began.run)
    owner.store.resume_run(began.run)
    return StartedRun(began.run, began.planned_rounds, model, past)


def start(
    owner: Owner,
    study: AnyStudy,
    source: ModelSource,
    recorder: Recorder,
    rounds: int,
    beginning: Beginning | None,
) -> StartedRun:
    """Record that a new run starts, from the study's first model or an earlier round's.

    Raises:
        OperatorError: FS-356, FS-605, FS-606, FS-861 to FS-863, from `read_start`.
        RoundStateError: FS-646 when the round is not accepted.
    """
    run = f"{study.name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    model = source.initial()
    if beginning is None:
        begins = Start(model, recorder.save_model(run, 0, model), None)
    else:
        begins = read_start(owner.store, owner.settings.folder, beginning, model)
    owner.store.start_run(_started(run, study, source.request, rounds, begins))
    return StartedRun(run, rounds, begins.model)


def _initial_model(folder: Path, began: RunRecord, built: GlobalModel) -> GlobalModel:
    """Return the model that a run began with, in the layers of today's."""
    try:
        return laid_out(built.layers, load_array(folder, began.initial_model))
    except PeerError as error:
        raise OperatorError("FS-356", f"{began.run}: {error.detail}") from error


def _started(
    run: str, study: AnyStudy, request: StudyRequest, planned: int, begins: Start
) -> RunStarted:
    aggregation, statistics = study.aggregation, request.terms.statistics
    return RunStarted(
        run=run,
        study=study.name,
        title=study.title,
        strategy=aggregation.strategy,
        weighting=Weighting(aggregation.weighting),
        planned_rounds=planned,
        min_cohort=aggregation.min_cohort,
        clip=aggregation.clip,
        settings={**study.settings(), **_first_weights(study)},
        initial_model=begins.stored,
        origin=begins.origin,
        statistics_clip=None if statistics is None else statistics.clip,
    )


def _first_weights(study: AnyStudy) -> dict[str, Any]:
    """Return from which seed a run began, where it is not the study's own."""
    if study.weights_seed is None:
        return {}
    return {"first_weights": {"seed": study.weights_seed}}


def plan_of(
    settings: OwnerSettings, request: StudyRequest, run: str, rounds: int
) -> Plan:
    """Return what stays the same over a run.

    Args:
        settings: From owner.toml.
        request: What every data owner agrees to.
        run: The run's name.
        rounds: To train.
    """
    terms = request.terms
    return Plan(
        run=run,
        rounds=rounds,
        config=request.config,
        scalars=terms.scalars,
        clip=terms.clip,
        weight_cap=terms.weight_cap,
        weighting=terms.weighting,
        min_cohort=terms.min_cohort,
        round_seconds=settings.round_seconds,
        join_seconds=settings.join_seconds,
        pauses=Pauses(
            settings.pause_seconds,
            settings.longest_pause_seconds,
            settings.attempts,
        ),
        statistics=terms.statistics,
        privacy=terms.privacy,
        study=request.digest if terms.privacy else None,
        stop_when_diverged=settings.stop_when_diverged,
    )
