"""Section `[compute]` of aggregator.toml: what this aggregator computes for others."""

from typing import Annotated, Final, Literal

from pydantic import Field

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
