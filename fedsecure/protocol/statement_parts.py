"""What statements are made of beside plain fields: parts with names of their own."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.protocol.encodings import Digest, ReportId
from fedsecure.protocol.identity import Name
from fedsecure.protocol.statement_fields import (
    MAX_RANGES,
    MAX_SCALARS,
    Count,
    Finite,
    Label,
    PositiveFinite,
)


class Purpose(StrEnum):
    """Why a sum is formed."""

    TRAIN = "train"  # an update and the metrics of the model the round started from
    EVALUATE = "evaluate"  # metrics alone
    STATISTICS = "statistics"  # of the data owners' columns, without any model


class Weighting(StrEnum):
    """What a data owner's weight tells about its number of examples."""

    EQUAL = "equal"  # nothing: everybody weighs the cap
    ROUNDED = "rounded"  # its power of two, within sums
    EXACT = "exact"  # the number itself, within sums


class Kind(StrEnum):
    """Which addend of the update a report carries."""

    SEED = "seed"
    VECTOR = "vector"


class Strict(BaseModel):
    """A part of a statement."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )


class LedgerHead(Strict):
    """How long the signer's ledger was, and its last hash (64 zeros: empty)."""

    entries: Count
    hash: Digest


class ScalarField(Strict):
    """A declared entry of the scalars section; without range it is a count."""

    name: Label
    low: Finite | None = None
    high: Finite | None = None
    size: Annotated[int, Field(ge=1, le=MAX_SCALARS)] = 1


class StatisticsField(Strict):
    """Which coordinates of an update are statistics, and their own clip.

    `ranges`: the first coordinate of each range, and one past its last.
    """

    clip: PositiveFinite
    ranges: Annotated[
        list[Annotated[list[Count], Field(min_length=2, max_length=2)]],
        Field(min_length=1, max_length=MAX_RANGES),
    ]


class PrivacyField(Strict):
    """What one unit may leak in a study, and the noise that each aggregator adds.

    `noise` is sigma by the sensitivity for the update, `scalar_noise` for the scalars
    of training rounds, `evaluation_noise` for those of other rounds. Declared metrics
    are in training rounds only if `every_round`. `epsilon` at `delta` is the budget of
    all rounds of the study together, for who knows the noise of one aggregator.
    """

    unit: Annotated[Unit, Field(strict=False)]
    unit_clip: PositiveFinite
    noise: PositiveFinite
    scalar_noise: PositiveFinite
    evaluation_noise: PositiveFinite
    every_round: bool
    epsilon: PositiveFinite
    delta: Annotated[float, Field(gt=0, lt=1)]


class Member(Strict):
    """One report of the set to open."""

    reporter: Name
    report_id: ReportId
