"""What a run is asked to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fedsecure.owner.run.pauses import Pauses
from fedsecure.protocol.statements import (
    PrivacyField,
    ScalarField,
    StatisticsField,
    Weighting,
)
from fedsecure.study.task import ConfigValue


@dataclass(frozen=True, slots=True)
class Plan:
    """What stays the same over a run.

    Args:
        run: Its name.
        rounds: How many train rounds.
        config: What every app sees, beside the strategy's own settings.
        scalars: The metrics that are shared.
        round_seconds: How long a cohort may take to report.
        join_seconds: How long to wait for the whole roster before going on with
            at least min_cohort.
        pauses: How often a round with too few reports is tried, and how long the run
            waits in between.
        statistics: Which coordinates of an update are clipped on their own.
        privacy: What rounds may tell about one unit, and the noise that hides it.
        study: The study's digest, to which rounds with noise are charged.
        stop_when_diverged: Whether to end the run at a model that is not sound.
    """

    run: str
    rounds: int
    config: Mapping[str, ConfigValue]
    scalars: Sequence[ScalarField]
    clip: float
    weight_cap: int
    weighting: Weighting
    min_cohort: int
    round_seconds: float
    join_seconds: float
    pauses: Pauses = field(default_factory=Pauses)
    statistics: StatisticsField | None = None
    privacy: PrivacyField | None = None
    study: str | None = None
    stop_when_diverged: bool = True
