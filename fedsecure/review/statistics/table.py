"""Statistics for a terminal: numbers in one table, names in another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from fedsecure.review.statistics import wording
from fedsecure.study.statistics.reading import (
    Estimate,
    NameStatistics,
    NumberStatistics,
    StudyStatistics,
)
from fedsecure.terminal.text_tables import Column, table
from fedsecure.terminal.values import plain


@dataclass(frozen=True, slots=True)
class _Number:
    of: NumberStatistics
    parts: bool


@dataclass(frozen=True, slots=True)
class _Name:
    column: str
    value: str
    rows: Estimate
    parts: bool


def statistics_tables(statistics: StudyStatistics) -> RenderableType:
    """Return what was told of each column, and how to read it."""
    parts = statistics.rows is None
    numbers = [
        _Number(one, parts)
        for one in statistics.columns
        if isinstance(one, NumberStatistics)
    ]
    shown: list[RenderableType] = [_whole(statistics), Text()]
    if numbers:
        shown += [table(_NUMBERS, numbers), Text()]
    names = table(_NAMES, list(_names(statistics)))
    return Group(*shown, names, Text(), *map(_note, wording.notes(statistics)))


def _whole(statistics: StudyStatistics) -> Text:
    owners = f"{statistics.data_owners} data owners"
    if statistics.rows is None:
        return Text(owners, "bold")
    rows = wording.count(statistics.rows, parts=False)
    return Text(f"{rows} rows at {owners}", "bold")


def _note(sentence: str) -> Text:
    return Text(sentence, "dim")


def _names(statistics: StudyStatistics) -> Iterator[_Name]:
    parts = statistics.rows is None
    for one in (*statistics.columns, statistics.label):
        if isinstance(one, NameStatistics):
            column = one.column
            for value, rows in one.counts:
                yield _Name(column, value, rows, parts)
                column = ""
            if one.missing is not None:
                yield _Name("", "missing", one.missing, parts)


_NUMBERS: Final[tuple[Column[_Number], ...]] = (
    Column("column", lambda one: plain(_titled(one.of))),
    Column(
        "known",
        lambda one: Text(wording.count(one.of.known, parts=one.parts)),
        justify="right",
        rank=2,
    ),
    Column(
        "missing",
        lambda one: Text(wording.count(one.of.missing, parts=one.parts)),
        justify="right",
        rank=1,
    ),
    Column("median", lambda one: Text(wording.shown(one.of.median)), justify="right"),
    Column("IQR", lambda one: Text(wording.shown(one.of.iqr)), justify="right"),
    Column("mean", lambda one: Text(wording.shown(one.of.mean)), justify="right"),
    Column("sd", lambda one: Text(wording.shown(one.of.sd)), justify="right"),
)
_NAMES: Final[tuple[Column[_Name], ...]] = (
    Column("column", lambda one: plain(one.column)),
    Column("value", lambda one: plain(one.value), folds=True),
    Column(
        "rows",
        lambda one: Text(wording.count(one.rows, parts=one.parts)),
        justify="right",
    ),
)


def _titled(one: NumberStatistics) -> str:
    return f"{one.column} ({one.unit})" if one.unit else one.column
