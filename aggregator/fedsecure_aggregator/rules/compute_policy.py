"""Section `[compute]` of aggregator.toml: what this aggregator computes for others.

And what it refuses by it: pure, no clock, disk or network.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from fedsecure.core.mpc.plan import Plan
from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol.identity import Federation, Role
from fedsecure.protocol.jobs.programs import CircuitField
from fedsecure.protocol.jobs.statements import JobSpec
from fedsecure.system.toml_file import Settings
from fedsecure_aggregator.rules.policy import DAY, Seconds

QUARTER: Final = 90 * DAY


class ComputePolicy(Settings):
    """Which jobs are granted, and how large they may be; nothing by default.

    `kinds` are `shares`, sums and products of numbers that parties share, and `linear`,
    predictions of a linear model. `max_rows` bounds the rows of one input and of one
    query, `max_memory` the bytes that a program holds at once, `max_queries` those of
    one service in all. `max_open_jobs` may be neither done nor closed nor void, and
    none expires later than `max_job_seconds` ahead.
    """

    enabled: bool = False
    kinds: frozenset[Literal["shares", "linear"]] = Field(
        default=frozenset({"shares", "linear"}), strict=False
    )
    max_rows: Annotated[int, Field(ge=1)] = 10_000
    max_memory: Annotated[int, Field(ge=2**20)] = 512 * 2**20
    max_queries: Annotated[int, Field(ge=1)] = 100_000
    max_open_jobs: Annotated[int, Field(ge=1)] = 64
    max_job_seconds: Seconds = QUARTER


def require_enabled(policy: ComputePolicy) -> None:
    """Check that this aggregator computes anything for others.

    Raises:
        PeerError: FS-446.
    """
    if not policy.enabled:
        raise PeerError("FS-446", "[compute] enabled is false")


def require_acceptable(
    spec: JobSpec, plan: Plan, policy: ComputePolicy, now: float
) -> None:
    """Check a new job's spec against this aggregator's own policy.

    Args:
        spec: As its proposer signed it.
        plan: What follows from its program; of a service, for the rows of one query.
        policy: This aggregator's own.
        now: Seconds since 1970.

    Raises:
        PeerError: FS-403, FS-440, FS-443 or FS-444 with both numbers or the kind.
    """
    if spec.kind.value not in policy.kinds:
        raise PeerError("FS-440", f"{spec.kind}; it computes {sorted(policy.kinds)}")
    if not spec.is_service:
        for name, value in plan.inputs.items():
            require_rows(f"input {name!r}", value.rows, policy)
    if not plan.memory <= policy.max_memory:
        raise PeerError("FS-444", f"{plan.memory} bytes, at most {policy.max_memory}")
    ahead = spec.deadline - now
    if not 0 < ahead <= policy.max_job_seconds:
        raise PeerError(
            "FS-403", f"it is {ahead:.0f} s ahead, at most {policy.max_job_seconds}"
        )


def require_rows(what: str, rows: int, policy: ComputePolicy) -> None:
    """Check that an input or a query is not too long.

    Raises:
        PeerError: FS-443 with both numbers.
    """
    if not rows <= policy.max_rows:
        raise PeerError("FS-443", f"{what}: {rows} rows, at most {policy.max_rows}")


def require_one_more_job(going_on: int, policy: ComputePolicy) -> None:
    """Check that one more job may be open.

    Raises:
        RoundStateError: FS-402.
    """
    if not going_on < policy.max_open_jobs:
        raise RoundStateError(
            "FS-402", f"{going_on} jobs are, at most {policy.max_open_jobs} may be"
        )


def require_one_more_query(answered: int, policy: ComputePolicy) -> None:
    """Check that a service may answer one query more.

    Raises:
        PeerError: FS-445.
    """
    if not answered < policy.max_queries:
        raise PeerError(
            "FS-445", f"{answered} queries were, at most {policy.max_queries} are"
        )


def require_parties(spec: JobSpec, federation: Federation) -> None:
    """Check that everybody whom a spec names is on the roster, and may take part.

    Whoever is no aggregator and no dealer may propose a job of shares, give inputs to
    it and ask a service; only the model owner proposes a service.

    Raises:
        PeerError: FS-703 for a role that may not, FS-741 for a stranger.
    """
    role, _ = federation.find(spec.proposer)
    if spec.is_service and role is not Role.MODEL_OWNER:
        raise PeerError("FS-703", f"{spec.proposer} is {role} and proposes a service")
    names = list(spec.clients)
    if isinstance(spec.program, CircuitField):
        names += [one.owner for one in spec.program.inputs]
    for name in names:
        role, _ = federation.find(name)
        if role not in _TAKE_PART:
            raise PeerError("FS-703", f"{name} is {role} and takes no part in jobs")


_TAKE_PART: Final = frozenset({Role.MODEL_OWNER, Role.DATA_OWNER, Role.CLIENT})
