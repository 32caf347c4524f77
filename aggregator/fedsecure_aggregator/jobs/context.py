"""What every request about a job is answered with."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.orm import Session

from fedsecure_aggregator.jobs.known_jobs import JobCache, ServiceCache
from fedsecure_aggregator.rounds.context import Context
from fedsecure_aggregator.rules.compute_policy import ComputePolicy
from fedsecure_aggregator.storage.jobs.spool import JobSpool

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class JobContext:
    """One aggregator, as it computes for others.

    Args:
        server: The aggregator: identity, store, clock, randomness.
        policy: What it computes.
        spool: Keys, inputs and outputs of jobs.
        specs: Jobs that were asked for lately.
        services: Services that were asked lately, with their keys and weights.
    """

    server: Context
    policy: ComputePolicy
    spool: JobSpool
    specs: JobCache = field(default_factory=JobCache, repr=False)
    services: ServiceCache = field(default_factory=ServiceCache, repr=False)

    @property
    def name(self) -> str:
        """This aggregator's name."""
        return self.server.name

    @property
    def is_first(self) -> bool:
        """Whether it is the first of the pair: who adds what is public."""
        return self.server.federation.pair[0].name == self.name

    @property
    def peer(self) -> str:
        """The other aggregator's name."""
        return self.server.federation.other_aggregator(self.name).name

    def change(self, name: str, work: Callable[[Session], T]) -> T:
        """Make one change; run by the worker's thread alone, as `Context.change`."""
        return self.server.change(name, work)
