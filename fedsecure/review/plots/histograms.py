"""How one column spreads over all data owners' rows, as a picture.

    numbers   a bar for each of 32 bins, the median as a line, the middle half of all
              rows as a band
    names     a bar for each value

With noise a bar is what is likely without it, and a thin line shows how far noise may
have moved the count. With one version of matplotlib the same counts give the same
bytes.
"""

import io
import warnings
from collections.abc import Sequence
from typing import Any, Final

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter, StrMethodFormatter

from fedsecure.review.plots import panels
from fedsecure.review.plots.figure import DPI, METADATA, PAPER, STYLE, Form
from fedsecure.study.statistics.reading import (
    ColumnStatistics,
    Estimate,
    NameStatistics,
    NumberStatistics,
)
from fedsecure.terminal import values

# Inches.
WIDTH: Final = 6.0
LEFT: Final = 0.75
RIGHT: Final = 0.2
TITLE: Final = 0.42
BOTTOM: Final = 0.55
BINS: Final = 1.9  # height of the bars of numbers
VALUE: Final = 0.27  # of one bar of names
NAMES: Final = 1.9  # room for names left of their bars
MOST_NAMES: Final = 20
LETTERS: Final = 26  # of a name
BAR: Final = panels.IN_SET
LINE: Final = panels.LOSS
BAND: Final = "#E4EEF6"
ERROR: Final[dict[str, Any]] = {"ecolor": panels.FAINT, "elinewidth": 0.8}


def column_picture(
    one: ColumnStatistics, form: Form, *, parts: bool, titled: bool = True
) -> bytes:
    """Draw one column.

    Args:
        one: What is known of it.
        form: What the bytes are to be.
        parts: Whether counts are parts of all rows, and not rows.
        titled: Whether it says itself which column it is.
    """
    content = io.BytesIO()
    # After a reset, so that nobody's own matplotlibrc changes the bytes.
    with style.context(STYLE, after_reset=True), warnings.catch_warnings():
        # A name in letters that the font does not have shows boxes instead.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        _drawn(one, parts=parts, titled=titled).savefig(
            content, format=form, metadata=METADATA[form]
        )
    return content.getvalue()


def _drawn(one: ColumnStatistics, *, parts: bool, titled: bool) -> Figure:
    top = TITLE if titled else 0.12
    if isinstance(one, NumberStatistics):
        figure, axes = _empty(top, LEFT, BINS)
        _numbers(axes, one)
        axes.set_ylabel("part of rows" if parts else "rows", color=panels.FAINT)
        axes.set_xlabel(_words(one.unit), color=panels.FAINT, parse_math=False)
    else:
        rows = _rows(one)
        figure, axes = _empty(top, NAMES, VALUE * max(len(rows), 2))
        _names(axes, rows)
        axes.set_xlabel("part of rows" if parts else "rows", color=panels.FAINT)
    counts = axes.yaxis if isinstance(one, NumberStatistics) else axes.xaxis
    counts.set_major_formatter(
        PercentFormatter(1.0) if parts else StrMethodFormatter("{x:,.0f}")
    )
    if titled:
        place = 0.12 / WIDTH, 1 - 0.12 / figure.get_figheight()
        words = _words(one.column)
        figure.text(*place, words, va="top", size=11, weight="bold", parse_math=False)
    return figure


def _empty(top: float, left: float, height: float) -> tuple[Figure, Axes]:
    whole = top + height + BOTTOM
    figure = Figure(figsize=(WIDTH, whole), dpi=DPI, facecolor=PAPER)
    room = (WIDTH - left - RIGHT) / WIDTH
    axes = figure.add_axes((left / WIDTH, BOTTOM / whole, room, height / whole))
    axes.tick_params(length=0, labelcolor=panels.FAINT)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure, axes


def _numbers(axes: Axes, one: NumberStatistics) -> None:
    shape = one.histogram
    edges, likely = shape.edges, shape.likely
    width = float(edges[1] - edges[0])
    if one.low_quartile and one.high_quartile:
        band = one.low_quartile.value, one.high_quartile.value
        axes.axvspan(*band, color=BAND, linewidth=0, zorder=0)
    axes.bar(edges[:-1], likely, 0.92 * width, align="edge", color=BAR, zorder=2)
    if shape.error:
        inside = likely > 0
        middles = ((edges[:-1] + edges[1:]) / 2)[inside]
        least = [min(shape.error, count) for count in likely[inside]]
        most = [shape.error] * len(least)
        axes.errorbar(
            middles, likely[inside], [least, most], fmt="none", zorder=3, **ERROR
        )
    if one.median:
        axes.axvline(one.median.value, color=LINE, linewidth=1.4, zorder=4)
        _beside(axes, one.median.value, "median", edges)
    room = 0.5 * width  # so that the numbers of both axes do not meet
    axes.set_xlim(float(edges[0]) - room, float(edges[-1]) + room)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(4, min_n_ticks=2))
    axes.grid(axis="y", color=panels.GRID, linewidth=0.8)


def _beside(axes: Axes, at: float, word: str, edges: Any) -> None:
    """Write a word at the top of a line, on the side where there is more room."""
    left = at < (edges[0] + edges[-1]) / 2
    axes.annotate(
        word,
        (at, 1.0),
        (4 if left else -4, -2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="left" if left else "right",
        va="top",
        color=LINE,
        size=8.5,
    )


def _rows(one: NameStatistics) -> list[tuple[str, Estimate]]:
    """Return the bars, the largest alone where there are many."""
    rows = list(one.counts)
    if len(rows) > MOST_NAMES:
        kept = sorted(rows, key=lambda row: -row[1].value)[: MOST_NAMES - 1]
        left = [row for row in rows if row not in kept]
        others = Estimate(sum(count.value for _, count in left))
        rows = [*kept, (f"{len(left)} others", others)]
    return [*rows, ("missing", one.missing)] if one.missing else rows


def _names(axes: Axes, rows: Sequence[tuple[str, Estimate]]) -> None:
    counts = [max(count.value, 0.0) for _, count in rows]
    places = range(len(rows))
    axes.barh(places, counts, 0.72, color=BAR, zorder=2)
    errors = [count.error for _, count in rows]
    if any(errors):
        least = [min(pair) for pair in zip(errors, counts, strict=True)]
        axes.errorbar(
            counts, places, xerr=[least, errors], fmt="none", zorder=3, **ERROR
        )
    names = [_short(_words(name)) for name, _ in rows]
    axes.set_yticks(places, names, color=panels.INK, parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5, min_n_ticks=2))
    axes.grid(axis="x", color=panels.GRID, linewidth=0.8)


def _short(words: str) -> str:
    return words if len(words) <= LETTERS else f"{words[: LETTERS - 3]}..."


def _words(text: str) -> str:
    return values.plain(text).plain
