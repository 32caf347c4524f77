"""Statistics as one HTML page that needs nothing else, as `html_report` is."""

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from fedsecure.review.html_report import STYLE
from fedsecure.review.plots.histograms import column_picture
from fedsecure.review.statistics import wording
from fedsecure.review.statistics.told import Told
from fedsecure.study.statistics.reading import (
    ColumnStatistics,
    NameStatistics,
    NumberStatistics,
)
from fedsecure.terminal import values

OWN_STYLE: Final = """
.columns { display: grid; gap: 1.6rem 2.4rem; margin-top: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(26rem, 1fr)); }
.columns section { break-inside: avoid; min-width: 0; }
.columns h3 { font-size: 1rem; margin: 0; }
.columns h3 span { font-weight: 400; color: var(--faint); font-size: .85rem; }
"""
_NUMBERS: Final = (
    *("column", "unit", "#known", "#missing", "#median", "#IQR"),
    *("#mean", "#standard deviation"),
)


def statistics_page(told: Told) -> str:
    """Return the page of a round of statistics."""
    statistics = told.statistics
    parts = statistics.rows is None
    every = (*statistics.columns, statistics.label)
    numbers = [one for one in every if isinstance(one, NumberStatistics)]
    pictures = "".join(_picture(one, parts) for one in every)
    return "".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            "style-src 'unsafe-inline'\">",
            f"<title>{_text(told.title)}: {_text(told.run)}</title>",
            f"<style>{STYLE}{OWN_STYLE}</style></head><body><main>",
            *_head(told),
            f"<h2>Columns</h2><div class='columns'>{pictures}</div>",
            *([_table(numbers, parts)] if numbers else []),
            "<footer>Made from sums over all data owners, by <code>fedsecure statistics"
            "</code>. Nobody&#8217;s own counts were ever seen. In a picture of "
            "numbers the line is the median, the band the middle half of all rows; "
            "with noise a thin line at a bar shows one standard deviation.</footer>"
            "</main></body></html>\n",
        ]
    )


def _head(told: Told) -> Iterator[str]:
    statistics = told.statistics
    yield f"<h1>{_text(told.title)}</h1>"
    yield f"<p><code>{_text(told.run)}</code></p>"
    for sentence in wording.notes(statistics):
        yield f'<p class="faint">{_text(sentence)}</p>'
    facts = {
        "rows": "not told"
        if statistics.rows is None
        else wording.count(statistics.rows, parts=False),
        "data owners": f"{statistics.data_owners:,}",
        "may tell": wording.budget(told.epsilon, told.delta),
        "study": told.study[: values.SHORT],
    }
    yield "<dl>"
    for name, value in facts.items():
        yield f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
    yield "</dl>"


def _picture(one: ColumnStatistics, parts: bool) -> str:
    drawn = column_picture(one, "svg", parts=parts, titled=False).decode("utf-8")
    title = f"<h3>{_text(one.column)} <span>{_text(_said(one))}</span></h3>"
    return f"<section>{title}<figure>{_inline(drawn)}</figure></section>"


def _said(one: ColumnStatistics) -> str:
    if isinstance(one, NameStatistics):
        return ""
    middle = f"median {wording.shown(one.median)}, IQR {wording.shown(one.iqr)}"
    return f"{middle} {one.unit}".strip()


def _table(numbers: Sequence[NumberStatistics], parts: bool) -> str:
    marks = [_mark(head) for head in _NUMBERS]
    heads = "".join(
        f"<th{mark}>{_text(head.removeprefix('#'))}</th>"
        for head, mark in zip(_NUMBERS, marks, strict=True)
    )
    rows = "".join(f"<tr>{_cells(_row(one, parts), marks)}</tr>" for one in numbers)
    return (
        f'<h2>Numbers</h2><div class="scroll"><table><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _cells(row: Iterable[str], marks: Sequence[str]) -> str:
    pairs = zip(row, marks, strict=True)
    return "".join(f"<td{mark}>{_text(cell)}</td>" for cell, mark in pairs)


def _row(one: NumberStatistics, parts: bool) -> Iterator[str]:
    yield from (one.column, one.unit)
    yield wording.count(one.known, parts=parts)
    yield wording.count(one.missing, parts=parts)
    yield from map(wording.shown, (one.median, one.iqr, one.mean, one.sd))


def _mark(head: str) -> str:
    return ' class="number"' if head.startswith("#") else ""


def _inline(svg: str) -> str:
    """Return an SVG document as part of a page: without prolog, scaled by the page."""
    start = svg.index("<svg")
    return re.sub(
        r'(<svg[^>]*?) (?:width|height)="[^"]*pt"', r"\1", svg[start:], count=1
    )


def _text(words: str) -> str:
    return escape(values.plain(words).plain)
