"""One training, put together: study, SuperLink, agents, aggregators, round store.

Run by the model owner (`fedsecure train`). The SuperLink is this process's child, and
this process its only executor.
"""

import dataclasses
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flwr.app import ArrayRecord

from fedsecure.errors import OperatorError, PeerError
from fedsecure.frameworks.flower import wire
from fedsecure.frameworks.flower.runtime import (
    Superlink,
    TlsFiles,
    node_public_bytes,
    owned_run,
    require_free,
    superlink,
)
from fedsecure.frameworks.flower.strategies import build_strategy, parts_of
from fedsecure.membership.accepted import open_membership
from fedsecure.owner.jobs.rollback import Beginning, Start, read_start
from fedsecure.owner.recorder import Recorder, RoundReport, model_file
from fedsecure.owner.rounds.round_owner import RoundOwner
from fedsecure.owner.run.cohort import RosterFleet
from fedsecure.owner.run.loop import SecureAggregation
from fedsecure.owner.run.pauses import Pauses, Pausing, Tell
from fedsecure.owner.run.plan import Plan
from fedsecure.owner.run.recovery import keep_going
from fedsecure.owner.run.resume import NOTHING, Past, read_past
from fedsecure.owner.run.soundness import DivergedError
from fedsecure.owner.settings import OwnerSettings
from fedsecure.owner.store.files import load_array
from fedsecure.owner.store.records import RunFinished, RunRecord, RunStarted
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.owner.store.states import RunState
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.signing import Author
from fedsecure.protocol.statements import Weighting
from fedsecure.storage import locks
from fedsecure.study.config import Study, build_model
from fedsecure.study.metrics import read_means
from fedsecure.study.terms import StudyRequest
from fedsecure.system.durability import sync
from fedsecure.transport.aggregator_client import AggregatorClient
from fedsecure.transport.retries import Patience

if TYPE_CHECKING:
    import keras

PORT_LOOKS: Final = 10  # once a second


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training tells a person how it is going.

    `study` hears the digest that data owners approve.
    """

    study: Callable[[str], None]
    stage: Callable[[str], None]
    round: Callable[[RoundReport], None]
    interrupted: Callable[[str], None]  # hears the run that can be resumed
    waiting: Tell
    diverged: Callable[[str, int | None, Path], None]  # run, last sound round, model


@dataclass(frozen=True, slots=True)
class Owner:
    """The model owner with everything opened that a training needs."""

    settings: OwnerSettings
    author: Author
    aggregators: Mapping[str, AggregatorClient]
    store: RoundStore = field(repr=False)

    @property
    def federation(self) -> Federation:
        """The federation that everybody agreed on."""
        return self.author.federation


@contextmanager
def open_owner(settings: OwnerSettings, told: Callable[[str], None]) -> Iterator[Owner]:
    """Load keys and open the round store; connects to nobody yet.

    Args:
        settings: From owner.toml.
        told: Hears why an aggregator is asked again.

    Raises:
        OperatorError: FS-8xx settings, FS-7xx keys, FS-6xx the store.
    """
    membership = open_membership(settings)
    author, federation = membership.author, membership.federation
    authorities = settings.authorities or membership.authorities
    with ExitStack() as stack:
        stack.enter_context(_alone(settings.folder))
        store = RoundStore(settings.database_url, author, time.time, alone=True)
        stack.callback(store.close)
        patience = Patience(told=told)
        clients = {
            party.name: AggregatorClient(party, federation, authorities, patience)
            for party in federation.aggregators
        }
        for client in clients.values():
            stack.callback(client.close)
        yield Owner(settings, author, clients, store)


def train(
    owner: Owner,
    study: Study,
    rounds: int | None,
    progress: Progress,
    resume: str | None = None,
    beginning: Beginning | None = None,
) -> Path:
    """Train a study from its initial model; return where the Keras model lies.

    Args:
        owner: Opened by `open_owner`.
        study: From `load_study`.
        rounds: Instead of the study's own number, if given.
        progress: Told about stages and rounds.
        resume: A run that was interrupted, to go on with instead of a new one.
        beginning: An earlier round, whose model a new run starts from.

    Raises:
        FedsecureError: What went wrong; the run is then recorded as failed.
        DivergedError: FS-232, the model cannot be measured any more.
        OperatorError: FS-233, FS-356 or FS-357 when the run cannot be resumed, FS-235
            when no round moved the model, FS-861 when there is no run of that name,
            FS-862 when there is no such round.
        RoundStateError: FS-646 when the round is not accepted.
    """
    build_strategy(study)  # a wrong one is refused before anything else is done
    began = None if resume is None else _resumable(owner, study, resume)
    progress.stage("asking both aggregators")
    for client in owner.aggregators.values():
        client.require_same_federation()
    progress.stage("building the model")
    model, data = build_model(study)
    request = study.request(data)
    progress.study(request.digest)
    arrays = ArrayRecord(model.get_weights())
    recorder = Recorder(owner.store, owner.settings.folder, _read, progress.round)
    if began is None:
        run = f"{study.name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        planned, past = rounds or study.training.rounds, NOTHING
        if beginning is None:
            start = Start(arrays, recorder.save_model(run, 0, arrays), None)
        else:
            start = read_start(owner.store, owner.settings.folder, beginning, arrays)
        arrays = start.arrays
        owner.store.start_run(_started(run, study, request, planned, start))
    else:
        progress.stage(f"reading what {resume} did so far")
        run, planned = began.run, began.planned_rounds
        arrays = _initial_model(owner, began, arrays)
        past = read_past(owner.store, owner.settings.folder, run)
        owner.store.resume_run(run)
    with _recorded(owner, run, progress):
        progress.stage("starting the SuperLink")
        with _superlink(owner, progress) as link:
            progress.stage("waiting for the data owners' agents")
            plan = _plan(owner, request, run, planned)

            def drive(past: Past) -> ArrayRecord:
                with owned_run(link) as running:
                    secure = SecureAggregation(
                        build_strategy(study),  # one that goes on begins anew
                        round_owner(owner),
                        RosterFleet(running, owner.federation),
                        plan,
                        record=recorder.record,
                        clock=time.monotonic,
                        sleep=time.sleep,
                        linear=study.aggregation.linear,
                        parts=parts_of(model, data),
                        tell=progress.waiting,
                    )
                    return secure.run(arrays, past)

            last = keep_going(
                drive,
                past,
                lambda: read_past(owner.store, owner.settings.folder, run),
                Pausing(plan.pauses, time.sleep, progress.waiting),
            )
        progress.stage("saving the model")
        model.set_weights(last.to_numpy_ndarrays())
        return _save_model(model, owner.settings.folder / "models" / run)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Take the owner's folder for this process.

    Raises:
        OperatorError: FS-609 when another has it, FS-606 when it cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = locks.alone(folder / "lock", "FS-609", folder)
    except OSError as error:
        raise OperatorError("FS-606", f"{folder}: {error.strerror}") from error
    with lock:
        yield


@contextmanager
def _superlink(owner: Owner, progress: Progress) -> Iterator[Superlink]:
    """Run the SuperLink, with the roster's keys registered."""
    settings = owner.settings.superlink
    home = owner.settings.folder / "superlink"
    home.mkdir(mode=0o700, exist_ok=True)
    _wait_free(settings.listen, progress)
    tls = TlsFiles(settings.authority, settings.certificate, settings.key)
    with superlink(settings.listen, tls, home, home / "superlink.log") as link:
        link.register_nodes(
            node_public_bytes(party.flower_key)
            for party in owner.federation.data_owners
        )
        yield link


def _wait_free(listen: str, progress: Progress) -> None:
    """Wait for the SuperLink of an owner that was killed to notice that."""
    for _ in range(PORT_LOOKS):
        try:
            return require_free(listen)
        except OperatorError as error:
            progress.stage(f"waiting: {error.detail}")
        time.sleep(1.0)
    return require_free(listen)


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
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        outcome = RunState.STOPPED if stopped else RunState.FAILED
        reason = "stopped by its owner" if stopped else str(error)
        progress.interrupted(run)
        owner.store.finish_run(RunFinished(run, outcome, reason))
        raise
    owner.store.finish_run(RunFinished(run, RunState.COMPLETED))


def _resumable(owner: Owner, study: Study, run: str) -> RunRecord:
    """Return a run that is not over and was begun with this very study."""
    began = owner.store.run(run)
    if began.state is RunState.COMPLETED:
        raise OperatorError("FS-357", f"run {run} is completed")
    if began.state is RunState.DIVERGED and owner.settings.stop_when_diverged:
        raise OperatorError("FS-233", f"run {run}: {began.reason}")
    now = _settings(study)
    changed = [
        f"[{section}] {name}"
        for section, values in now.items()
        for name, value in values.items()
        if began.settings.get(section, {}).get(name) != value
    ]
    if began.study != study.name or changed:
        what = ", ".join(changed) or f"it trained {began.study}"
        raise OperatorError("FS-356", f"{study.folder}, run {run}: {what}")
    return began


def _initial_model(owner: Owner, began: RunRecord, built: ArrayRecord) -> ArrayRecord:
    """Return the model that a run began with, in the layers of today's model.py."""
    layers, _ = wire.flatten(built)
    stored = load_array(owner.settings.folder, began.initial_model)
    try:
        return wire.restore(layers, stored)
    except PeerError as error:
        raise OperatorError("FS-356", f"{began.run}: {error.detail}") from error


def _save_model(model: "keras.Model", folder: Path) -> Path:
    """Write the Keras model; the file is there whole or not at all."""
    path, part = folder / "model.keras", folder / "part.keras"
    try:
        model.save(part)
        sync(part)
        part.replace(path)
        sync(folder)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OperatorError("FS-606", f"{path}: {error.strerror or error}") from error
    return path


def _settings(study: Study) -> dict[str, dict[str, Any]]:
    """Return the study's settings as the round store keeps them."""
    return {
        "training": study.training.model_dump(mode="json"),
        "aggregation": study.aggregation.model_dump(mode="json"),
        "metrics": study.metrics.model_dump(mode="json"),
    }


def _started(
    run: str, study: Study, request: StudyRequest, planned: int, start: Start
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
        settings={**_settings(study), **_first_weights(study)},
        initial_model=start.model,
        origin=start.origin,
        statistics_clip=None if statistics is None else statistics.clip,
    )


def _first_weights(study: Study) -> dict[str, Any]:
    """Return from which seed a run began, where it is not the study's own."""
    if study.weights_seed is None:
        return {}
    return {"first_weights": {"seed": study.weights_seed}}


def round_owner(owner: Owner) -> RoundOwner:
    """Return the model owner's end of the rounds of its folder."""
    folder: Path = owner.settings.folder / "rounds"
    folder.mkdir(mode=0o700, exist_ok=True)
    return RoundOwner(
        author=owner.author,
        aggregators=owner.aggregators,
        log=owner.store,
        folder=folder,
        clock=time.time,
        rand=secrets.token_bytes,
    )


def _plan(owner: Owner, request: StudyRequest, run: str, rounds: int) -> Plan:
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
        round_seconds=owner.settings.round_seconds,
        join_seconds=owner.settings.join_seconds,
        pauses=Pauses(
            owner.settings.pause_seconds,
            owner.settings.longest_pause_seconds,
            owner.settings.attempts,
        ),
        statistics=terms.statistics,
        stop_when_diverged=owner.settings.stop_when_diverged,
    )


def _read(means: Mapping[str, Sequence[float] | None]) -> dict[str, float | None]:
    return dataclasses.asdict(read_means(means))
