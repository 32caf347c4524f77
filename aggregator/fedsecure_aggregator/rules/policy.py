"""What this aggregator refuses whatever the model owner signs."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from fedsecure.errors import PeerError, RoundStateError
from fedsecure.protocol.identity import Federation, Role
from fedsecure.protocol.statement_fields import MAX_DIMENSION
from fedsecure.protocol.statements import PrivacyField, RoundSpec
from fedsecure.system.toml_file import Settings
from fedsecure_aggregator.rules.budgets import OwnBudget

DAY: Final = 86_400  # seconds
USUAL_DELTA: Final = 1e-5  # where `max_epsilon` is said without a delta

Seconds = Annotated[int, Field(ge=1, le=366 * DAY)]


class CompareSets(StrEnum):
    """With which sets a new one is compared before it is opened."""

    SAME_MODEL = "same-model"  # those opened for the very same global model
    ALL_ROUNDS = "all-rounds"  # every one: models that are nearly the same, too


class PrivacyRule(StrEnum):
    """Which rounds are granted."""

    ANY = "any"  # also those in which an aggregator adds no noise
    REQUIRED = "required"  # only those with noise


class Policy(Settings):
    """Section `[policy]` of aggregator.toml.

    `min_cohort` is the fewest data owners whose sum is opened, and the smallest group
    that several sums together may tell apart (`opening.require_groups`). A grant
    lives `grant_seconds` beyond the round's deadline, for resuming after a failure; a
    sealed aggregate share is kept `share_seconds` beyond the grant, for asking again.
    `max_body` bounds one report in bytes, `requests_per_minute` each party's requests.
    `max_epsilon` at `max_delta` is what all openings together, of all studies, may tell
    about a data owner's rows; with it only rounds with noise are granted.
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
    privacy: Annotated[PrivacyRule, Field(strict=False)] = PrivacyRule.ANY
    max_epsilon: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    max_delta: Annotated[float | None, Field(gt=0, lt=1)] = None

    def least_members(self, spec: RoundSpec) -> int:
        """Return the fewest members with which a round of `spec` is opened."""
        return max(self.min_cohort, spec.min_cohort)

    @property
    def own_budget(self) -> OwnBudget | None:
        """What openings may cost a data owner in all; None: anything."""
        if self.max_epsilon is None:
            return None
        return OwnBudget(self.max_epsilon, self.max_delta or USUAL_DELTA)

    @property
    def needs_noise(self) -> bool:
        """Whether rounds without noise are refused."""
        return self.privacy is PrivacyRule.REQUIRED or self.max_epsilon is not None


def require_acceptable(
    spec: RoundSpec, policy: Policy, federation: Federation, now: float
) -> None:
    """Check a new round's spec against this aggregator's own policy.

    Raises:
        PeerError: FS-400, FS-401, FS-403, FS-404 or FS-407 with both numbers or the
            name.
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
    _require_private(spec.privacy, policy)


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


def _require_private(privacy: PrivacyField | None, policy: Policy) -> None:
    """Check what a study's rounds may tell in all against this aggregator's policy.

    Raises:
        PeerError: FS-407 with both numbers.
    """
    if privacy is None:
        if policy.needs_noise:
            raise PeerError("FS-407", "it has no noise")
        return
    own = policy.own_budget
    most = own.delta if own else policy.max_delta
    if most is not None and not privacy.delta <= most:
        raise PeerError("FS-407", f"its delta is {privacy.delta:g}, at most {most:g}")
    if own is not None and not privacy.epsilon <= own.epsilon:
        raise PeerError(
            "FS-407", f"its epsilon is {privacy.epsilon:g}, at most {own.epsilon:g}"
        )
