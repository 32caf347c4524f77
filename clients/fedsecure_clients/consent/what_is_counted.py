"""What leaves a data owner's machine in a round of statistics, in plain words."""

from collections.abc import Iterator
from typing import Final

from fedsecure.core.dp.sensitivity import Unit
from fedsecure.protocol.identity import Federation
from fedsecure.study.statistics.cells import BINS, Cells
from fedsecure.study.statistics.task import StatisticsTask
from fedsecure.study.terms import Terms

SHOWN: Final = 30  # columns that are named one by one
EXACT: Final = (
    "Without noise the sums are exact: with few data owners they tell a lot about "
    "yours, and those who pool what they know of their own rows learn your counts."
)


def what_is_counted(
    task: StatisticsTask, terms: Terms, federation: Federation
) -> Iterator[str]:
    """Say what leaves this data owner's machine, one sentence each."""
    a, b = (party.name for party in federation.pair)
    yield (
        f"Your counts leave as two shares, one to {a} and one to {b}; either alone "
        "tells nothing. No model is sent, and nothing is trained."
    )
    yield (
        f"{federation.model_owner.name} opens the sums, over at least "
        f"{terms.min_cohort} data owners"
        + (f"; {a} and {b} each add noise to them before." if terms.privacy else ".")
    )
    yield from _counted(task)
    if task.form == "exact":
        yield "Of each number also the sums from which mean and variance follow."
        yield EXACT
    elif terms.privacy is not None and terms.privacy.unit is Unit.DATA_OWNER:
        yield "How many rows you have is not told: each count is a part of yours."
    yield "Who took part, and when, is not hidden."


def _counted(task: StatisticsTask) -> Iterator[str]:
    what = "parts of rows" if task.form == "fractions" else "counts of rows"
    cells = task.cells
    for one in cells[:SHOWN]:
        absent = ", and without a value" if one.missing else ""
        yield f"{what[0].upper()}{what[1:]} {_where(one)}{absent}."
    if len(cells) > SHOWN:
        yield f"The same of {len(cells) - SHOWN} more columns."


def _where(one: Cells) -> str:
    if one.range is not None:
        unit = f" {one.unit}" if one.unit else ""
        ends = f"{one.range.low:g} to {one.range.high:g}{unit}"
        return f"in {BINS} bins of {one.column} ({ends})"
    kind = "of each class" if one.kind == "label" else f"of each of {one.known} values"
    return f"{kind} of {one.column}"
