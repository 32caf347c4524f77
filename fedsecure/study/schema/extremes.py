"""Rows at the ends of what a schema allows, to try a model on before it travels.

A model can be built for numbers that it meets nowhere, and fail on those that every
data owner has: an embedding of four entries over a column from -10 to 10, a logarithm
of zero. The schema tells the ends, so this shows without any data.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from fedsecure.study.schema.arrays import ArraysSchema
from fedsecure.study.schema.columns import NumberColumn, scaled
from fedsecure.study.schema.features import AnySchema
from fedsecure.study.schema.tabular import TableSchema

MOST: Final = 2**24  # numbers in all rows together

Rows = NDArray[np.float32]


def extremes(schema: AnySchema) -> Rows:
    """Return the row of all lowest values, of all highest, and of those in between.

    Shape (rows, *schema.shape). In a table each column also stands at its ends alone.
    """
    low, high = ends(schema)
    middle = (low + high) / np.float32(2)
    rows = [low, high, middle]
    if low.size**2 <= MOST // 2:
        for place in np.ndindex(low.shape):
            for end in (low, high):
                row = middle.copy()
                row[place] = end[place]
                rows.append(row)
    return np.stack(rows)


def ends(schema: AnySchema) -> tuple[Rows, Rows]:
    """Return the lowest and the highest value of each feature, each of schema.shape."""
    if isinstance(schema, TableSchema):
        pairs = [pair for column in schema.columns for pair in _of(column)]
        low, high = np.array(pairs, dtype=np.float32).T
        return low.copy(), high.copy()
    if isinstance(schema, ArraysSchema):
        features = schema.features
        bounds = (features.range.low, features.range.high)
        lowest, highest = (scaled(value, features.scale) for value in bounds)
    else:
        lowest, highest = 0.0, 1.0  # images are brought there
    return (
        np.full(schema.shape, lowest, np.float32),
        np.full(schema.shape, highest, np.float32),
    )


def _of(column: object) -> list[tuple[float, float]]:
    if isinstance(column, NumberColumn):
        values = [column.range.low, column.range.high]
        if column.impute is not None:
            values.append(column.impute)
        seen = [scaled(value, column.scale) for value in values]
        return [(min(seen), max(seen)), (0.0, 1.0)][: 1 + column.indicator]
    return [(0.0, 1.0)] * len(column.features)  # type: ignore[attr-defined]
