"""All that a round of statistics told, as files in one folder.

statistics.json   every number, for other programs
statistics.html   one page with the pictures
columns/*.png     the pictures alone
schema.toml       the study's schema, with the scale that was found
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fedsecure.errors import OperatorError
from fedsecure.review.plots.histograms import column_picture
from fedsecure.review.statistics.page import statistics_page
from fedsecure.review.statistics.told import Told
from fedsecure.study.schema.features import AnySchema
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.study.statistics.reading import (
    ColumnStatistics,
    Estimate,
    NumberStatistics,
)
from fedsecure.study.statistics.rescaling import rescaled, scales_of

VERSION: Final = 1  # of statistics.json


def write_statistics(
    folder: Path, told: Told, schema_text: str, schema: AnySchema
) -> list[Path]:
    """Write all files; return them in the order of the module's list.

    Args:
        folder: Is made.
        told: What there is to write.
        schema_text: The study's schema.toml.
        schema: What it says; only a table's is written again.

    Raises:
        OperatorError: FS-648 when a file cannot be written.
    """
    statistics = told.statistics
    contents = {
        "statistics.json": as_json(told).encode(),
        "statistics.html": statistics_page(told).encode(),
    }
    parts = statistics.rows is None
    for place, one in enumerate((*statistics.columns, statistics.label), start=1):
        name = f"columns/{place:03d}-{_in_a_name(one.column)}.png"
        contents[name] = column_picture(one, "png", parts=parts)
    if isinstance(schema, TableSchema):
        scaled = rescaled(schema_text, schema, scales_of(statistics))
        contents["schema.toml"] = scaled.encode()
    return [_written(folder / name, content) for name, content in contents.items()]


def as_json(told: Told) -> str:
    """Return every number; the keys are an interface.

    A number is `value` and `error`, the standard deviation that noise gives it.
    """
    statistics = told.statistics
    content: dict[str, Any] = {
        "version": VERSION,
        "run": told.run,
        "study": told.study,
        "title": told.title,
        "epsilon": told.epsilon,
        "delta": told.delta,
        "data_owners": statistics.data_owners,
        "counts": "parts" if statistics.rows is None else "rows",
        "count_error": statistics.error,
        "rows": _estimate(statistics.rows),
        "columns": [_column(one) for one in statistics.columns],
        "label": _column(statistics.label),
    }
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _in_a_name(column: str) -> str:
    """Return a column's name as a part of a file's, on any disk."""
    return re.sub(r"[^a-z0-9]+", "-", column.lower()).strip("-")[:40]


def _written(path: Path, content: bytes) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise OperatorError("FS-648", f"{path}: {error.strerror}") from error
    return path


def _column(one: ColumnStatistics) -> Mapping[str, Any]:
    return {
        "column": one.column,
        "known": _estimate(one.known),
        "missing": _estimate(one.missing),
        **dict(_numbers(one) if isinstance(one, NumberStatistics) else _names(one)),
    }


def _numbers(one: NumberStatistics) -> Iterator[tuple[str, Any]]:
    yield "unit", one.unit
    for name in ("low_quartile", "median", "high_quartile", "iqr", "mean", "sd"):
        yield name, _estimate(getattr(one, name))
    yield (
        "histogram",
        {
            "edges": one.histogram.edges.tolist(),
            "counts": one.histogram.counts.tolist(),
            "likely": one.histogram.likely.tolist(),
        },
    )


def _names(one: ColumnStatistics) -> Iterator[tuple[str, Any]]:
    if not isinstance(one, NumberStatistics):
        yield "values", {name: _estimate(count) for name, count in one.counts}


def _estimate(estimate: Estimate | None) -> Mapping[str, float] | None:
    if estimate is None:
        return None
    return {"value": estimate.value, "error": estimate.error}
