"""What this aggregator refuses whatever the model owner signs."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol.identity import Federation, Role
from fedsecure.protocol.statement_fields import MAX_DIMENSION
from fedsecure.protocol.statements import RoundSpec
from fedsecure.system.toml_file import Settings

DAY: Final = 86_400  # seconds

Seconds = Annotated[int, Field(ge=1, le=366 * DAY)]


class CompareSets(StrEnum):
    """With which sets a new one is compared before it is opened."""

    SAME_MODEL = "same-model"  # those opened for the very same global model
    ALL_ROUNDS = "all-rounds"  # every one: models that are nearly the same, too


class Policy(Settings):
    """Section `[policy]` of aggregator.toml.

    `min_cohort` is the fewest data owners whose sum is opened, and the smallest group
    that several sums together may tell apart (`opening.require_groups`). A grant
    lives `grant_seconds` beyond the round's deadline, for resuming after a failure; a
    sealed aggregate share is kept `share_seconds` beyond the grant, for asking again.
    `max_body` bounds one report in bytes, `requests_per_minute` each party's requests.
    """

    min_cohort: Annotated[int, Field(ge=2)] = 3
    compare_sets: Annotated[CompareSets, Field(strict=False)] = CompareSets.SAME_MODEL
    max_dimension: Annotated[int, Field(ge=0, le=MAX_DIMENSION)] = 100_000_000
    max_body: Annotated[int, Field(ge=2**16)] = 2**30
    max_open_rounds: Annotated[int, Field(ge=1)] = 64
    max_rounds_per_hour: Annotated[int, Field(ge=1)] = 7200
    requests_per_minute: Annotated[int, Field(ge=1)] = 1200
    max_round_seconds: Seconds = 7 * DAY
    grant_seconds: Seconds = DAY
    share_seconds: Seconds = 7 * DAY

    def least_members(self, spec: RoundSpec) -> int:
        """Return the fewest members with which a round of `spec` is opened."""
        return max(self.min_cohort, spec.min_cohort)


def require_acceptable(
    spec: RoundSpec, policy: Policy, federation: Federation, now: float
) -> None:
    """Check a new round's spec against this aggregator's own policy.

    Raises:
        PeerError: FS-400, FS-401, FS-403 or FS-404 with both numbers or the name.
    """
    least = policy.least_members(spec)
    if not len(spec.cohort) >= least:
        raise PeerError("FS-400", f"{len(spec.cohort)} data owners, at least {least}")
    if not spec.dimension <= policy.max_dimension:
        raise PeerError(
            "FS-401", f"{spec.dimension} parameters, at most {policy.max_dimension}"
        )
    ahead = spec.deadline - now
    if not 0 < ahead <= policy.max_round_seconds:
        raise PeerError(
            "FS-403", f"it is {ahead:.0f} s ahead, at most {policy.max_round_seconds}"
        )
    for name in spec.cohort:
        require_data_owner(federation, name)


def require_body(longest: int, policy: Policy) -> None:
    """Check that a round's reports are not longer than this aggregator takes.

    Args:
        longest: Bytes of the longest payload that the round's reports have.
        policy: This aggregator's own.

    Raises:
        PeerError: FS-405 with both numbers.
    """
    if not longest <= policy.max_body:
        raise PeerError("FS-405", f"{longest} bytes, at most {policy.max_body}")


def require_room(open_rounds: int, this_hour: int, policy: Policy) -> None:
    """Check that one more round may be open, and be granted this hour.

    Raises:
        RoundStateError: FS-402 or FS-406.
    """
    if not open_rounds < policy.max_open_rounds:
        raise RoundStateError(
            "FS-402", f"{open_rounds} are, at most {policy.max_open_rounds} may be"
        )
    if not this_hour < policy.max_rounds_per_hour:
        raise RoundStateError(
            "FS-406", f"{this_hour} were granted, at most {policy.max_rounds_per_hour}"
        )


def require_data_owner(federation: Federation, name: str) -> None:
    """Check that a party is on the roster of data owners.

    Raises:
        PeerError: FS-404 when it has another role, FS-741 when it is unknown.
    """
    role, _ = federation.find(name)
    if role is not Role.DATA_OWNER:
        raise PeerError("FS-404", f"{name} is {role} in federation {federation.name}")
