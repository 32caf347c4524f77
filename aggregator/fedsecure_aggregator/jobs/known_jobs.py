"""Jobs and services as memory holds them.

What follows from a job's spec never changes, and each request about it asks. A query of
one row takes less than a millisecond to compute: read anew for each, the service's keys
and weights would cost more than all the rest.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from sqlalchemy.orm import Session

from fedsecure.core.mpc.plan import Plan, plan
from fedsecure.core.mpc.program import MODEL, Linear, Program
from fedsecure.core.mpc.ranges import Value
from fedsecure.core.mpc.ring import Words
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import PeerError
from fedsecure.protocol.jobs.digests import WentIn
from fedsecure.protocol.jobs.parts import InputKind, Method
from fedsecure.protocol.jobs.programs import LinearField, program_of
from fedsecure.protocol.jobs.statements import JobSpec
from fedsecure_aggregator.storage.jobs import reading
from fedsecure_aggregator.storage.jobs.projection import spec_of
from fedsecure_aggregator.storage.jobs.reading import Progress

MOST_JOBS: Final = 64
MOST_SERVICES: Final = 8
_SHARED: Final = frozenset({InputKind.SEED, InputKind.VECTOR})
_PLAIN: Final = frozenset({InputKind.PUBLIC})


@dataclass(frozen=True, slots=True)
class Wanted:
    """An input that a job needs: whose it is, what it holds, and how it may come."""

    owner: str
    value: Value
    kinds: frozenset[InputKind]


@dataclass(frozen=True, slots=True)
class KnownJob:
    """One job's spec, and what follows from its program.

    Args:
        digest: Of the spec, hex.
        spec: The job's.
        program: As the core knows it.
        plan: Of the program; of a service, for one row.
        inputs: By name.
    """

    digest: str
    spec: JobSpec
    program: Program
    plan: Plan
    inputs: Mapping[str, Wanted]

    @property
    def digests(self) -> tuple[bytes, bytes]:
        """Of the federation and of the spec: what everything sealed is bound to."""
        return bytes.fromhex(self.spec.federation), bytes.fromhex(self.digest)


def job_of(digest: str, spec: JobSpec) -> KnownJob:
    """Return what follows from a spec.

    Raises:
        PeerError: FS-220 or FS-223 for a program that nobody computes.
    """
    program = program_of(spec.program)
    found = plan(program)
    if isinstance(spec.program, LinearField):
        kinds = _SHARED if spec.method is Method.PAILLIER else _PLAIN
        model = Wanted(spec.proposer, found.inputs[MODEL], kinds)
        return KnownJob(digest, spec, program, found, {MODEL: model})
    inputs = {
        one.name: Wanted(
            one.owner, found.inputs[one.name], _SHARED if one.secret else _PLAIN
        )
        for one in spec.program.inputs
    }
    return KnownJob(digest, spec, program, found, inputs)


def linear(job: KnownJob) -> Linear:
    """Return the program of a service.

    Raises:
        PeerError: FS-310 for a job that answers no queries.
    """
    if not isinstance(job.program, Linear):
        raise PeerError("FS-310", f"{job.spec.name} answers no queries")
    return job.program


class JobCache:
    """The jobs that were asked for last; for all threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, KnownJob] = OrderedDict()
        self._lock = Lock()

    def known(self, digest: str) -> KnownJob | None:
        """Return a job if it was asked for lately; the store is not asked."""
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
            return self._kept.get(digest)

    def find(self, session: Session, digest: str) -> KnownJob:
        """Return a job, read from the store only once.

        Raises:
            RoundStateError: FS-390 when it was never granted here.
        """
        kept = self.known(digest)
        if kept is not None:
            return kept
        spec = spec_of(reading.find_job(session, digest).token)
        found = job_of(digest, spec)
        with self._lock:
            self._kept[digest] = found
            while len(self._kept) > MOST_JOBS:
                self._kept.popitem(last=False)
        return found


@dataclass(slots=True)
class Counts:
    """How far a service is.

    One for each service, as long as it lives: two who count apart could together pass
    a limit.

    Args:
        answered: Queries so far, of all clients; the worker's thread counts them.
    """

    answered: int
    _progress: dict[str, Progress] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def progress(self, client: str) -> Progress | None:
        """Return how far a client is, if this process has seen it."""
        return self._progress.get(client)

    def note(self, client: str, progress: Progress) -> None:
        """Keep how far a client is; it never goes back."""
        with self._lock:
            known = self._progress.get(client, progress)
            self._progress[client] = max(known, progress)


@dataclass(slots=True)
class Service:
    """A service that answers.

    Args:
        job: Its spec and plan.
        key: Rows are sealed to it.
        channel_keys: Of both aggregators, in the order of the pair.
        model: What its method computes with: words, or this aggregator's share.
        went_in: The inputs that every answer is made from.
        counts: How far it is.
    """

    job: KnownJob
    key: SealingKey = field(repr=False)
    channel_keys: tuple[bytes, bytes] = field(repr=False)
    model: Words = field(repr=False)
    went_in: Sequence[WentIn]
    counts: Counts


class ServiceCache:
    """The services that were asked last; for all threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Service] = OrderedDict()
        self._counts: dict[str, Counts] = {}
        self._lock = Lock()

    def known(self, digest: str) -> Service | None:
        """Return a service if it was asked lately."""
        with self._lock:
            if digest in self._kept:
                self._kept.move_to_end(digest)
            return self._kept.get(digest)

    def keep(self, service: Service) -> Service:
        """Keep a service that was read; return the one that is kept already, if so."""
        digest = service.job.digest
        with self._lock:
            service.counts = self._counts.setdefault(digest, service.counts)
            kept = self._kept.setdefault(digest, service)
            while len(self._kept) > MOST_SERVICES:
                self._kept.popitem(last=False)
            return kept

    def forget(self, digest: str) -> None:
        """Drop a service that is over, with its keys."""
        with self._lock:
            self._kept.pop(digest, None)
            self._counts.pop(digest, None)
