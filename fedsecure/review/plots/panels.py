"""The panels of a run's picture, each drawn on axes of its own.

    curve      a metric over the completed rounds, with its last value beside it
    spending   epsilon over the rounds, below the line of the budget
    clip rate  a bar a round
    sets       a bar a round, and rows of marks above: who was missing, what is void

Nobody needs a legend, and colour-blind people can tell the colours apart.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import (
    FixedLocator,
    LogLocator,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
    StrMethodFormatter,
)

from fedsecure.review.plots.curves import AFTER, Bars, Curve, Curves, Spending
from fedsecure.terminal.values import measured

# Inches.
SPAN: Final = 6.3  # width of every panel
LABELS: Final = 0.5  # room left of it for the numbers of the vertical axis
CURVE: Final = 1.45  # heights
SPENT: Final = 0.9
CLIP: Final = 0.7
NOTHING: Final = 0.03  # of a panel whose note says everything
SET: Final = 0.4
HEAD: Final = 0.06  # above the set's bars
LANE: Final = 0.2  # one row of marks
DIGIT: Final = 0.075  # width of a character of a mark

# After Okabe and Ito; those of words are darkened until they are legible.
INK: Final = "#1F2933"
FAINT: Final = "#5F6B76"
GRID: Final = "#E6EAEE"
IN_SET: Final = "#8FA9BF"
ABSENT: Final = "#F4DCC2"
MISSING: Final = "#B35900"
VOID: Final = "#A50F15"
CLIPPED: Final = "#A3527F"
LOSS: Final = "#0072B2"
QUALITY: Final = "#00795A"
EPSILON: Final = "#7A4FA3"

FEW: Final = 40  # up to here every round has a marker and a bar of its own
MANY: Final = 200  # from here on lines are thin
LOG_RATIO: Final = 50  # losses that fall further than this get a logarithmic scale
NUMBER: Final = "{x:.3g}"  # when neither too small nor too large for plain digits
MARGIN: Final = ("axes fraction", "data")  # 1, y: in the right margin at height y


@dataclass(frozen=True, slots=True)
class Lane:
    """A row of marks: `number` is how one reads, `marker` how it looks if it cannot."""

    name: str
    note: str
    marks: Mapping[float, int]
    color: str
    number: str
    marker: Literal["v", "x"]


def prepare(axes: Axes, first: int, last: int) -> None:
    """Set up an empty panel over rounds `first` to `last`."""
    room = max(0.75, 0.01 * (last - first))
    axes.set_xlim(first - room, last + room + 0.2)
    axes.xaxis.set_major_locator(
        MaxNLocator(10, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)
    )
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.tick_params(length=0, labelcolor=FAINT, labelbottom=False)
    axes.grid(color=GRID, linewidth=0.8)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)


def draw_curve(axes: Axes, curve: Curve) -> None:
    """Draw a metric; where it is not defined, the line is broken."""
    gaps = curve.undefined
    _name(axes, curve.name, f"n/a in {_count(gaps, 'round')}" if gaps else "")
    last = curve.defined[-1]
    value = curve.values[last]
    noise = curve.noise[last] if curve.noise else 0.0
    if curve.name == "Loss":
        color, words = LOSS, _brief(value)
        _scale_loss(axes, *curve.span)
    else:
        color, words = QUALITY, f"{value:.3f}"
        _scale(axes, *curve.span, 0.1, most=1.0)
    if noise:
        words = measured(value, 3, noise).plain
    points = len(curve.at)
    _noise(axes, curve, color)
    axes.plot(
        curve.at,
        curve.values,
        color=color,
        linewidth=1.8 if points < MANY else 1.1,
        marker="o",
        markersize=4.5,
        markeredgecolor="white",
        markeredgewidth=0.8,
        markevery=None if points <= FEW else curve.alone,
        clip_on=False,
    )
    _label(axes, (curve.at[last], value), "data", words, color)


def _noise(axes: Axes, curve: Curve, color: str) -> None:
    """Draw a bar of one standard deviation each way, where there is noise."""
    noisy = [i for i in curve.defined if curve.noise and curve.noise[i]]
    if noisy:
        places = [curve.at[i] for i in noisy]
        heights = [curve.values[i] for i in noisy]
        spread = [curve.noise[i] for i in noisy]
        axes.errorbar(
            places, heights, spread, fmt="none", ecolor=color, capsize=4, elinewidth=1.1
        )


def draw_spending(axes: Axes, spending: Spending) -> None:
    """Draw what openings have cost, and what they may cost."""
    _name(axes, "Epsilon", "spent by this run; the line is the budget of its study")
    axes.set_ylim(0, 1.12 * max([spending.budget, *spending.values]))
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    axes.axhline(spending.budget, color=VOID, linewidth=1.1, linestyle=(0, (4, 2)))
    at, values = spending.at, spending.values
    axes.step(at, values, where="post", color=EPSILON, lw=1.8)
    axes.fill_between(at, values, step="post", color=EPSILON, alpha=0.15, lw=0)
    _label(axes, (1, values[-1]), MARGIN, f"{values[-1]:.2f}", EPSILON)


def clip_height(bars: Bars) -> float:
    """Return how high the panel of the clip rates is, in inches."""
    return CLIP if any(bars.clip_rates) else NOTHING


def draw_clip_rate(axes: Axes, bars: Bars) -> None:
    """Draw which part of each set was clipped."""
    if not any(bars.clip_rates):
        _name(axes, "Clip rate", "0% in every round: no update was scaled down")
        axes.set_axis_off()
        return
    _name(axes, "Clip rate", "updates that were scaled down to the clip")
    axes.set_ylim(0, 1.05)
    axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _bars(axes, bars.at, bars.clip_rates, CLIPPED)
    last = bars.clip_rates[-1]
    if not math.isnan(last):
        _label(axes, (1, last), MARGIN, f"{last:.0%}", CLIPPED)


def lanes(shown: Curves) -> list[Lane]:
    """Return the rows of marks that a run needs, lowest first."""
    missing, void = shown.missing, shown.void
    note = f"missing in {_count(len(missing), 'round')}"
    attempts = _count(sum(void.values()), "void attempt")
    both = [
        Lane("missing", note, missing, MISSING, "\N{MINUS SIGN}{}", "v"),
        Lane("void", attempts, void, VOID, "{}\N{MULTIPLICATION SIGN}", "x"),
    ]
    return [lane for lane in both if lane.marks]


def sets_height(rows: Sequence[Lane]) -> float:
    """Return how high the panel of the sets is, in inches."""
    return SET + HEAD + LANE * len(rows)


def draw_sets(axes: Axes, shown: Curves, rows: Sequence[Lane]) -> None:
    """Draw how many data owners are in each sum, and what was missing or void."""
    _name(axes, "Data owners in the sum", _sets_note(shown, rows))
    inch = shown.most / SET  # data owners
    axes.set_ylim(0, inch * sets_height(rows))
    axes.yaxis.set_major_locator(FixedLocator([0, shown.most]))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(visible=False, axis="y")
    _bars(axes, shown.bars.at, shown.bars.cohorts, ABSENT)
    _bars(axes, shown.bars.at, shown.bars.sets, IN_SET)
    readable = all(_fits(row, shown.last - shown.first) for row in rows)
    for i, row in enumerate(rows):
        y = shown.most + inch * LANE * (i + 0.6)
        _mark(axes, row, y, in_numbers=readable)
        _label(axes, (1, y), MARGIN, row.name, row.color)


def _name(axes: Axes, title: str, note: str) -> None:
    """Write a panel's title above it, and a note right of the title."""
    near: dict[str, Any] = {"textcoords": "offset points"}
    left = -72 * LABELS, 8
    bold = axes.annotate(
        title, (0, 1), left, "axes fraction", size=10.5, weight="bold", **near
    )
    axes.annotate(note, (1, 0), (8, 0), bold, va="bottom", color=FAINT, **near)


def _scale_loss(axes: Axes, low: float, high: float) -> None:
    if low > 0 and high / low > LOG_RATIO:
        axes.set_yscale("log")
        axes.set_ylim(low / 1.3, high * 1.3)
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=6))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(StrMethodFormatter(NUMBER))
    else:
        # At least so much that noise does not look like change.
        _scale(axes, low, high, 0.1 * max(abs(low), abs(high)) or 1.0)


def _scale(
    axes: Axes, low: float, high: float, least: float, most: float = math.inf
) -> None:
    """Show low to high with some room, never less than `least`, up to `most`."""
    middle, half = (low + high) / 2, 0.6 * max(high - low, least)
    top = min(middle + half, most + 0.03)
    bottom = middle - half if low < 0 else max(middle - half, -0.04 * top)
    axes.set_ylim(bottom, top)
    found = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(bottom, top)
    axes.yaxis.set_major_locator(FixedLocator([tick for tick in found if tick <= most]))
    axes.yaxis.set_major_formatter(_numbers(found[1] - found[0], max(-bottom, top)))


def _numbers(step: float, largest: float) -> StrMethodFormatter:
    """Return how ticks are written: with as many digits as 0.025, a step, has."""
    digits = next((n for n in range(5) if _whole(step * 10**n)), None)
    plain = digits is not None and largest < 1e6
    return StrMethodFormatter(f"{{x:,.{digits}f}}" if plain else NUMBER)


def _whole(number: float) -> bool:
    return math.isclose(number, round(number), rel_tol=1e-6)


def _sets_note(shown: Curves, rows: Sequence[Lane]) -> str:
    notes = ", ".join(row.note for row in rows)
    ends = any(shown.last + AFTER in row.marks for row in rows)
    return f"{notes} (right end: the final evaluation)" if ends else notes


def _fits(row: Lane, rounds: int) -> bool:
    """Tell whether marks can be numbers without touching their neighbours."""
    longest = max(len(row.number.format(number)) for number in row.marks.values())
    return DIGIT * (longest + 0.7) <= AFTER * SPAN / (rounds + 1.75)


def _mark(axes: Axes, row: Lane, y: float, *, in_numbers: bool) -> None:
    if not in_numbers:
        heights = [y] * len(row.marks)
        axes.plot(list(row.marks), heights, row.marker, color=row.color, ms=4)
        return
    for x, number in row.marks.items():
        words = row.number.format(number)
        axes.text(x, y, words, ha="center", va="center", size=8, color=row.color)


def _bars(axes: Axes, at: Sequence[int], heights: Sequence[float], color: str) -> None:
    if not at:
        return
    first, last = at[0], at[-1]
    if last - first < FEW:
        axes.bar(at, heights, min(0.7, 0.1 * (last - first + 2)), color=color)
        return
    # One outline instead of a bar each: no seams, and a small file.
    by_round = dict(zip(at, heights, strict=True))
    steps = [by_round.get(x, 0.0) for x in range(first, last + 1)]
    edges = [x - 0.5 for x in range(first, last + 2)]
    axes.stairs(steps, edges, fill=True, color=color, linewidth=0)


def _label(
    axes: Axes,
    at: tuple[float, float],
    where: str | tuple[str, str],
    words: str,
    color: str,
) -> None:
    """Write right of a point."""
    axes.annotate(
        words,
        at,
        (7, 0),
        where,
        textcoords="offset points",
        va="center",
        color=color,
        weight="bold",
        annotation_clip=False,
    )


def _brief(value: float) -> str:
    """Return a number in at most nine characters."""
    whole = 1000 <= abs(value) < 1e6
    words = f"{value:,.0f}" if whole else f"{value:#.3g}".rstrip(".")
    return words.replace("-", "\N{MINUS SIGN}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
