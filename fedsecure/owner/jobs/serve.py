"""A linear model as a service that answers clients: what `fedsecure serve` does.

Run by the model owner. The steps, in order:
    (1) the model becomes W and b, in a fixed point that is exact enough     FS-22x
    (2) the spec is signed and on record, before anything is sent
    (3) both aggregators grant it, and are given the model
    (4) a few rows go through both, and their scores are the model's own     FS-396
    (5) the record says that it is ready, and only then is there a file to hand out

What fails between (2) and (5) is ended at both aggregators and recorded as failed.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from fedsecure.compute import proposal
from fedsecure.compute.handout import Handout
from fedsecure.compute.inputs import contribute
from fedsecure.compute.numbers import Numbers
from fedsecure.compute.participant import Participant
from fedsecure.compute.proposal import Request
from fedsecure.compute.queries import Service
from fedsecure.core.mpc.program import MODEL
from fedsecure.errors import FedsecureError, OperatorError, PeerError, RoundStateError
from fedsecure.owner.jobs.recorded_model import TrainedModel
from fedsecure.owner.jobs.servable import described, lowered, trial_rows
from fedsecure.owner.store.records import JobProposed, JobResult
from fedsecure.owner.store.rounds import RoundStore
from fedsecure.owner.store.states import JobState
from fedsecure.protocol.identity import Federation, Role
from fedsecure.protocol.jobs.parts import JobKind, Method
from fedsecure.study.lowering.description import ServiceDescription
from fedsecure.study.lowering.linear import LinearModel
from fedsecure.study.lowering.scales import PRECISION, FixedPoint
from fedsecure.study.schema.features import AnySchema

TRIED: Final = 20  # rows
SUFFIX: Final = ".service.json"  # of a service's file


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered to whom.

    Args:
        name: Of the service.
        title: For people.
        clients: Who may ask.
        method: How rows are kept secret.
        rows: The most that one client is answered in all.
        seconds: Until it closes.
    """

    name: str
    title: str
    clients: Sequence[str]
    method: Method
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Served:
    """A service that is ready.

    `difference` is the largest difference of a score to the model's own over `tried`
    rows.
    """

    handout: Handout
    offer: Offer
    model: LinearModel = field(repr=False)
    run: str | None
    tried: int
    difference: float


@dataclass(frozen=True, slots=True)
class Serving:
    """The model owner, who opens and closes services.

    Args:
        p: The model owner as it takes part in jobs.
        store: The round store.
        stage: Hears what is going on.
    """

    p: Participant
    store: RoundStore
    stage: Callable[[str], None]

    def open(self, trained: TrainedModel, features: AnySchema, offer: Offer) -> Served:
        """Have a model served; return it once it has answered as the model does.

        Args:
            trained: From `recorded_model`, or of a file.
            features: What its rows are made of.
            offer: What is offered to whom.

        Raises:
            OperatorError: FS-220 to FS-222 when it cannot be computed, FS-843 when it
                does not fit the schema, FS-341 or FS-741 for clients who cannot ask.
            RoundStateError: FS-602 when a service of that name is open.
            PeerError: FS-396 when scores differ; an aggregator's refusal.
        """
        model, fixed = lowered(trained, features)  # (1)
        require_clients(self.p.federation, offer.clients)
        self._require_new(offer.name)
        description = described(offer.title, features, model)
        spec = proposal.sign(self.p, self._request(offer, fixed, description))
        with self._recorded(spec.digest, spec.token, trained, description):  # (2)
            self.stage("asking both aggregators")
            handout = proposal.grant(self.p, spec, description.as_json())  # (3)
            self.stage("giving them the model")
            values = np.vstack([model.weights, model.bias])
            contribute(self.p, handout, MODEL, values)
            tried = min(TRIED, offer.rows)
            self.stage(f"asking about {tried} rows of its own")
            difference = self._try(handout, model, description, features, tried)  # (4)
            grants = {name: one.token for name, one in handout.grants.items()}
            self.store.note_job(  # (5)
                JobResult(
                    spec.digest,
                    JobState.READY,
                    grants=grants,
                    tried=tried,
                    difference=difference,
                )
            )
        return Served(handout, offer, model, trained.run, tried, difference)

    def close(self, name: str, reason: str) -> str:
        """End a service before its time; return the digest of its spec.

        Raises:
            OperatorError: FS-861 when no service of that name is open.
            PeerError: An aggregator is away.
        """
        job = self.store.open_job(name)
        if job is None:
            raise OperatorError("FS-861", f"no service {name!r} is open")
        if job.deadline > self.p.clock():
            self.stage("closing it at both aggregators")
            self._end(job.spec_digest, reason)
        self.store.note_job(JobResult(job.spec_digest, JobState.CLOSED, reason))
        return job.spec_digest

    def _end(self, spec: str, reason: str) -> None:
        """End a job at both aggregators; one that they never got is none there."""
        try:
            proposal.void(self.p, spec, reason)
        except PeerError as error:
            if error.problem.stands is None:
                raise

    def _require_new(self, name: str) -> None:
        """Check that no service of that name is open; one whose time is over is not.

        Raises:
            RoundStateError: FS-602.
        """
        job = self.store.open_job(name)
        if job is None:
            return
        if job.deadline > self.p.clock():
            raise RoundStateError(
                "FS-602",
                f"service {name} is {job.state.value}; end it with `fedsecure serve "
                f"--close {name}`, or give this one another --name",
            )
        over = JobResult(job.spec_digest, JobState.CLOSED, "its time is over")
        self.store.note_job(over)

    def _request(
        self, offer: Offer, fixed: FixedPoint, description: ServiceDescription
    ) -> Request:
        return Request(
            name=offer.name,
            program=fixed.program,
            kind=JobKind.LINEAR,
            method=offer.method,
            clients=[*offer.clients, self.p.name],
            rows=offer.rows,
            seconds=offer.seconds,
            description=description.as_json(),
        )

    @contextmanager
    def _recorded(
        self,
        spec: str,
        token: str,
        trained: TrainedModel,
        description: ServiceDescription,
    ) -> Iterator[None]:
        """Record a job, and that it failed if it does: it is ended everywhere then."""
        self.store.propose_job(
            JobProposed(token, description.as_json(), trained.run, trained.digest)
        )
        try:
            yield
        except BaseException as error:
            stopped = isinstance(error, KeyboardInterrupt)
            reason = "stopped by its owner" if stopped else _said(error)
            with suppress(FedsecureError):  # one may be away, or not know it
                proposal.void(self.p, spec, reason)
            self.store.note_job(JobResult(spec, JobState.FAILED, reason))
            raise

    def _try(
        self,
        handout: Handout,
        model: LinearModel,
        description: ServiceDescription,
        features: AnySchema,
        count: int,
    ) -> float:
        """Ask about rows of one's own; return how far the scores are off.

        Raises:
            PeerError: FS-396.
        """
        rows = trial_rows(features, count)
        service = Service(self.p, handout, Numbers(self.p.folder))
        answered = description.scores(service.ask(rows))
        own = description.scores(model.logits(rows))
        off = float(np.abs(answered - own).max())
        scale = float(max(1.0, np.abs(own).max()))
        same = np.array_equal(
            description.label_numbers(answered), description.label_numbers(own)
        )
        if not (off <= PRECISION * scale and same):
            raise PeerError(
                "FS-396",
                f"scores of {count} rows are off by up to {off:.1e}, at most "
                f"{PRECISION * scale:g}; labels are {'equal' if same else 'others'}",
            )
        return off


def require_clients(federation: Federation, names: Sequence[str]) -> None:
    """Check that a service answers somebody, and nobody who cannot ask.

    Raises:
        OperatorError: FS-741 for a stranger; FS-341 for nobody, or an aggregator.
    """
    if not names:
        raise OperatorError(
            "FS-341", f"no client is in {federation.name}: name parties with --clients"
        )
    for name in names:
        role, _ = federation.find(name)
        if role in {Role.AGGREGATOR, Role.DEALER}:
            raise OperatorError("FS-341", f"{name} is {role.value}, and cannot ask")


def service_file(name: str) -> Path:
    """Return where a service's file is written, in the folder where one types."""
    return Path(f"{name}{SUFFIX}")


def _said(error: BaseException) -> str:
    return (str(error) or type(error).__name__)[:200]
