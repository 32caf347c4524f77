"""Count a data owner's rows in the cells that a task of statistics has.

Runs at the data owner. Rows are read as for training: one that does not fit the schema
refuses them all (FS-1xx), with its place, on the data owner's own screen. Only sums
come out of here, and they leave as shares.
"""

import math
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fedsecure.study.schema.features import AnySchema
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.study.statistics.cells import Cells, plain
from fedsecure.study.statistics.task import SUM_STEPS, StatisticsTask, sums_of
from fedsecure_clients.data.dataset import Dataset, load

Counts: TypeAlias = dict[str, list[int] | list[float]]  # by declared name


def count(task: StatisticsTask, path: Path) -> Counts:
    """Return what a round of statistics shares. Run by a data owner.

    A data owner without any row counts none: that is an answer, too.

    Args:
        task: What is asked.
        path: A file, or a folder of images.

    Raises:
        OperatorError: FS-1xx, with the file and the first place in it.
    """
    rows = load(path, _readable(task.features), fewest=0)
    counts = {one.scalar: _cells(one, rows) for one in task.cells}
    if task.form == "fractions":
        most = max(len(rows), 1)
        return {
            name: [number / most for number in found] for name, found in counts.items()
        }
    found: Counts = dict(counts)
    if task.form == "exact":
        numbers = [one for one in task.cells if one.range is not None]
        found |= {sums_of(one): _sums(one, rows) for one in numbers}
    return found


def _readable(schema: AnySchema) -> AnySchema:
    return plain(schema) if isinstance(schema, TableSchema) else schema


def _cells(cells: Cells, rows: Dataset) -> list[int]:
    if cells.kind == "label":
        places = rows.labels.astype(np.intp)
    else:
        places = cells.places(rows.features[:, cells.start : cells.start + cells.width])
    counts: list[int] = np.bincount(places, minlength=cells.size).tolist()
    return counts


def _sums(cells: Cells, rows: Dataset) -> list[int]:
    """Return the sums of places in the range, and of their squares, in whole steps."""
    features = rows.features[:, cells.start : cells.start + cells.width]
    places = cells.positions(features)
    sums = math.fsum(places), math.fsum(places**2)
    return [round(one * SUM_STEPS) for one in sums]
