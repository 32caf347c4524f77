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

import flwr.serverapp.strategy
from flwr.app import ArrayRecord
from flwr.serverapp.strategy import Strategy

from fedsecure import identity
from fedsecure.aggregators import AggregatorClient, Patience
from fedsecure.errors import OperatorError
from fedsecure.flower.cohort import RosterFleet
from fedsecure.flower.linear import require_linear
from fedsecure.flower.owner_settings import OwnerSettings
from fedsecure.flower.plan import Plan
from fedsecure.flower.recorder import Recorder, RoundReport
from fedsecure.flower.runtime import (
    OwnedRun,
    TlsFiles,
    node_public_bytes,
    owned_run,
    superlink,
)
from fedsecure.flower.secure_aggregation import SecureAggregation
from fedsecure.identity import Federation
from fedsecure.rounds.owner import RoundOwner
from fedsecure.signing import Author
from fedsecure.statements import Weighting
from fedsecure.store.records import RunFinished, RunStarted
from fedsecure.store.rounds import RoundStore
from fedsecure.store.states import RunState
from fedsecure.study.config import Study, build_model, load_own
from fedsecure.study.metrics import read_means
from fedsecure.study.terms import StudyRequest


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a training tells a person how it is going.

    `study` hears the digest that data owners approve.
    """

    study: Callable[[str], None]
    stage: Callable[[str], None]
    round: Callable[[RoundReport], None]


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
    federation = identity.load_federation(settings.federation)
    key = identity.load_signing_key(settings.key)
    identity.require_key_of(federation, settings.name, key)
    author = Author(settings.name, key, federation)
    settings.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        store = RoundStore(settings.database_url, author, time.time)
        stack.callback(store.close)
        patience = Patience(told=told)
        clients = {
            party.name: AggregatorClient(
                party, federation, settings.authorities, patience
            )
            for party in federation.aggregators
        }
        for client in clients.values():
            stack.callback(client.close)
        yield Owner(settings, author, clients, store)


def train(owner: Owner, study: Study, rounds: int | None, progress: Progress) -> Path:
    """Train a study from its initial model; return where the Keras model lies.

    Args:
        owner: Opened by `open_owner`.
        study: From `load_study`.
        rounds: Instead of the study's own number, if given.
        progress: Told about stages and rounds.

    Raises:
        FedsecureError: What went wrong; the run is then recorded as failed.
    """
    strategy = build_strategy(study)
    progress.stage("asking both aggregators")
    for client in owner.aggregators.values():
        client.require_same_federation()
    progress.stage("building the model")
    model, data = build_model(study)
    request = study.request(data)
    progress.study(request.digest)
    arrays = ArrayRecord(model.get_weights())
    run = f"{study.name}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    recorder = Recorder(owner.store, owner.settings.folder, _read, progress.round)
    planned = rounds or study.training.rounds
    with _recorded(owner, _started(run, study, planned, recorder, arrays)):
        progress.stage("starting the SuperLink")
        with _flower(owner) as running:
            progress.stage("waiting for the data owners' agents")
            secure = SecureAggregation(
                strategy,
                _round_owner(owner),
                RosterFleet(running, owner.federation),
                _plan(owner, request, run, planned),
                record=recorder.record,
                clock=time.monotonic,
                sleep=time.sleep,
                linear=study.aggregation.linear,
            )
            arrays = secure.run(arrays)
    progress.stage("saving the model")
    path = owner.settings.folder / "models" / run / "model.keras"
    model.set_weights(arrays.to_numpy_ndarrays())
    model.save(path)
    return path


def build_strategy(study: Study) -> Strategy:
    """Make the Flower strategy that a study names.

    Raises:
        OperatorError: FS-368 for a strategy that is not linear, FS-823 when it is no
            strategy or refuses its options, FS-841 when the study's file fails.
    """
    aggregation = study.aggregation
    if ":" in aggregation.strategy:
        kind = load_own(study, aggregation.strategy)
    else:
        kind = getattr(flwr.serverapp.strategy, aggregation.strategy, None)
    if not (isinstance(kind, type) and issubclass(kind, Strategy)):
        raise OperatorError("FS-823", f"{aggregation.strategy} is no Flower strategy")
    require_linear(kind, declared=aggregation.linear)
    ours = {
        "fraction_evaluate": 0.0,  # the received model is evaluated in train rounds
        "min_train_nodes": aggregation.min_cohort,
        "min_available_nodes": aggregation.min_cohort,
    }
    try:
        built: Strategy = kind(**{**aggregation.options, **ours})
    except (TypeError, ValueError) as error:
        raise OperatorError("FS-823", f"{aggregation.strategy}: {error}") from error
    return built


@contextmanager
def _flower(owner: Owner) -> Iterator[OwnedRun]:
    """Run the SuperLink, with the roster's keys registered, and one run on it."""
    settings = owner.settings.superlink
    home = owner.settings.folder / "superlink"
    home.mkdir(mode=0o700, exist_ok=True)
    tls = TlsFiles(settings.authority, settings.certificate, settings.key)
    with superlink(settings.listen, tls, home, home / "superlink.log") as link:
        link.register_nodes(
            node_public_bytes(party.flower_key)
            for party in owner.federation.data_owners
        )
        with owned_run(link) as running:
            yield running


@contextmanager
def _recorded(owner: Owner, started: RunStarted) -> Iterator[None]:
    """Record that a run began, and how it ended whatever happens."""
    owner.store.start_run(started)
    try:
        yield
    except KeyboardInterrupt:
        owner.store.finish_run(
            RunFinished(started.run, RunState.STOPPED, "stopped by its owner")
        )
        raise
    except Exception as error:
        owner.store.finish_run(RunFinished(started.run, RunState.FAILED, str(error)))
        raise
    owner.store.finish_run(RunFinished(started.run, RunState.COMPLETED))


def _started(
    run: str, study: Study, planned: int, recorder: Recorder, arrays: ArrayRecord
) -> RunStarted:
    aggregation = study.aggregation
    return RunStarted(
        run=run,
        study=study.name,
        title=study.title,
        strategy=aggregation.strategy,
        weighting=Weighting(aggregation.weighting),
        planned_rounds=planned,
        min_cohort=aggregation.min_cohort,
        clip=aggregation.clip,
        settings={
            "training": study.training.model_dump(mode="json"),
            "aggregation": aggregation.model_dump(mode="json"),
            "metrics": study.metrics.model_dump(mode="json"),
        },
        initial_model=recorder.save_model(run, 0, arrays),
    )


def _round_owner(owner: Owner) -> RoundOwner:
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
    )


def _read(means: Mapping[str, Sequence[float]]) -> dict[str, float | None]:
    return dataclasses.asdict(read_means(means))
