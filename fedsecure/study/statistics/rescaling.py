"""A schema with the scale that statistics suggest, as a person would write it.

A model sees (x - centre) / spread. Without noise centre and spread are mean and
standard deviation; with it median and 0.74 of the interquartile range, which noise in
far bins does not reach, and which for a normal distribution is the same. Both are
rounded to three digits: the model needs no more, and a file that people read is better
off.

It is another schema, and so another study: data owners approve it anew.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Final

import tomli_w

from fedsecure.study.schema.columns import NumberColumn, Scale
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.study.statistics.reading import (
    NumberStatistics,
    StudyStatistics,
)

NORMAL: Final = 1.349  # interquartile ranges of a normal distribution, by its sd
DIGITS: Final = 3
_HEADER: Final = re.compile(r"^\s*\[")
_COLUMN: Final = re.compile(r"^\s*\[\[\s*columns\s*\]\]")
_SCALE: Final = re.compile(r"^\s*scale\s*=\s*\{[^}]*\}\s*(?=#|$)")


def scales_of(statistics: StudyStatistics) -> dict[str, Scale]:
    """Return a scale for each column of numbers that has any spread, by its name."""
    numbers = [one for one in statistics.columns if isinstance(one, NumberStatistics)]
    found = ((one.column, _scale(one)) for one in numbers)
    return {name: scale for name, scale in found if scale is not None}


def rescaled(text: str, schema: TableSchema, scales: Mapping[str, Scale]) -> str:
    """Return a schema file with these scales; comments stay where they can.

    Args:
        text: The file.
        schema: What it says.
        scales: By column; those of others stay as they are.
    """
    wanted = _with(schema, scales)
    lines = _edited(text.splitlines(), schema, scales)
    edited = "\n".join(lines) + "\n"
    if _says(edited, wanted):
        return edited
    # Written in another way than lines show: then without its comments.
    return tomli_w.dumps(wanted.model_dump(mode="json", exclude_none=True))


def _scale(one: NumberStatistics) -> Scale | None:
    exact = one.histogram.error == 0
    centre, spread = (one.mean, one.sd) if exact else (one.median, one.iqr)
    if centre is None or spread is None or not spread.value > 0:
        return None
    width = spread.value if exact else spread.value / NORMAL
    return Scale(centre=_rounded(centre.value), spread=_rounded(width))


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _with(schema: TableSchema, scales: Mapping[str, Scale]) -> TableSchema:
    columns = tuple(
        one.model_copy(update={"scale": scales[one.name]})
        if isinstance(one, NumberColumn) and one.name in scales
        else one
        for one in schema.columns
    )
    return schema.model_copy(update={"columns": columns})


def _edited(
    lines: list[str], schema: TableSchema, scales: Mapping[str, Scale]
) -> Iterator[str]:
    """Yield the file's lines, with a line `scale` at the end of each column."""
    place, inside, held = -1, False, list[str]()
    names = [column.name for column in schema.columns]
    for line in [*lines, "[end]"]:
        if _HEADER.match(line):
            known = inside and place < len(names)
            yield from _with_scale(held, scales.get(names[place]) if known else None)
            held = []
            inside = bool(_COLUMN.match(line))
            place += inside
        held.append(line)


def _with_scale(block: list[str], scale: Scale | None) -> list[str]:
    if scale is None:
        return block
    kept = [line for line in block if not _SCALE.match(line)]
    end = len(kept)
    while not kept[end - 1].strip() or kept[end - 1].lstrip().startswith("#"):
        end -= 1
    written = f"scale = {{ centre = {scale.centre:g}, spread = {scale.spread:g} }}"
    return [*kept[:end], written, *kept[end:]]


def _says(text: str, schema: TableSchema) -> bool:
    """Tell whether a text is the file of this schema."""
    try:
        content = json.dumps(tomllib.loads(text))
        return TableSchema.model_validate_json(content) == schema
    except ValueError:
        return False
