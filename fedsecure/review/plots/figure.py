"""The curves of a run as a picture, for screens and documents.

Panels (module `panels`) stand above each other over one axis, below a title that says
which run it is and how far it got. With one version of matplotlib, the same rounds
give the same bytes.
"""

import io
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedsecure.errors import OperatorError
from fedsecure.review import privacy
from fedsecure.review.plots import panels
from fedsecure.review.plots.curves import Curves, curves
from fedsecure.review.records import RoundRow, RunRow
from fedsecure.terminal import values

Form: TypeAlias = Literal["png", "svg"]

# Inches; 8 of them at 150 dots each are 1200 pixels.
WIDTH: Final = 8.0
DPI: Final = 150
EDGE: Final = 0.3
TITLE_LINE: Final = 0.26
FACT_LINE: Final = 0.19
ABOVE: Final = 0.32  # the name of a panel
BELOW: Final = 0.12
BOTTOM: Final = 0.46  # numbers and name of the common axis

STYLE: Final[dict[str, Any]] = {
    "axes.axisbelow": True,
    "font.size": 9.0,
    "svg.fonttype": "none",  # words stay words: to search, to copy, to read aloud
    "svg.hashsalt": "fedsecure",
    "text.color": panels.INK,
}
PAPER: Final = "#ffffff"
DARK: Final[Mapping[str, str]] = {  # what each colour becomes on a dark page
    PAPER: "#171c22",
    panels.INK: "#e6ebf0",
    panels.FAINT: "#9aa7b4",
    panels.GRID: "#2a323b",
    panels.IN_SET: "#56728c",
    panels.ABSENT: "#5e4630",
    panels.MISSING: "#f0a24e",
    panels.VOID: "#ff8a80",
    panels.CLIPPED: "#d490b4",
    panels.LOSS: "#5bb3ea",
    panels.QUALITY: "#4fc6a1",
    panels.EPSILON: "#b79be0",
}
METADATA: Final[Mapping[Form, dict[str, Any]]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
}


def form_of(path: Path) -> Form:
    """Return what kind of picture a file's ending asks for.

    Raises:
        OperatorError: FS-865 when it is neither .png nor .svg.
    """
    match path.suffix.lower():
        case ".png":
            return "png"
        case ".svg":
            return "svg"
    raise OperatorError("FS-865", f"{path} ends in neither .png nor .svg")


def save(path: Path, run: RunRow, rounds: Sequence[RoundRow]) -> None:
    """Write the picture of a run.

    Raises:
        OperatorError: FS-864 when no round was opened, FS-865 when the ending is
            unknown, FS-866 when the file cannot be written.
    """
    content = picture(run, rounds, form_of(path))
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OperatorError("FS-866", f"{path}: {error.strerror}") from error


def picture(
    run: RunRow, rounds: Sequence[RoundRow], form: Form, *, titled: bool = True
) -> bytes:
    """Draw a run.

    Args:
        run: The run.
        rounds: Every attempt at its rounds, in order of proposal.
        form: What the bytes are to be.
        titled: Whether it says itself which run it is.

    Raises:
        OperatorError: FS-864 when no round was opened.
    """
    shown = curves(run, rounds)
    content = io.BytesIO()
    # After a reset, so that nobody's own matplotlibrc changes the bytes.
    with style.context(STYLE, after_reset=True), warnings.catch_warnings():
        # A title in letters that the font does not have shows boxes instead.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        draw(run, shown, titled=titled).savefig(
            content, format=form, metadata=METADATA[form]
        )
    return content.getvalue()


def darkened(svg: bytes) -> bytes:
    """Return an SVG picture of a run in the colours for a dark page."""
    colours = {light.lower(): dark for light, dark in DARK.items()}

    def repainted(found: re.Match[str]) -> str:
        return colours.get(found[0], found[0])

    return re.sub(r"#[0-9a-f]{6}\b", repainted, svg.decode("utf-8")).encode("utf-8")


def draw(run: RunRow, shown: Curves, *, titled: bool = True) -> Figure:
    """Lay a run out as a figure; needs `STYLE`."""
    lanes = panels.lanes(shown)
    heights = [
        *(panels.CURVE for _ in shown.metrics),
        *([panels.SPENT] if shown.spending else []),
        *([panels.clip_height(shown.bars)] if shown.bars.clipping else []),
        panels.sets_height(lanes),
    ]
    title, facts = (_title(run), _facts(run)) if titled else ([], [])
    header = (EDGE if titled else 0) + TITLE_LINE * len(title) + FACT_LINE * len(facts)
    height = header + sum(ABOVE + one + BELOW for one in heights) + BOTTOM
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=PAPER)
    _write_header(figure, title, facts)
    empty = _empty_panels(figure, header, heights, shown)
    for curve in shown.metrics:
        panels.draw_curve(next(empty), curve)
    if shown.spending is not None:
        panels.draw_spending(next(empty), shown.spending)
    if shown.bars.clipping:
        panels.draw_clip_rate(next(empty), shown.bars)
    lowest = next(empty)
    panels.draw_sets(lowest, shown, lanes)
    lowest.tick_params(axis="x", labelbottom=True)
    lowest.set_xlabel("Rounds completed (0: the initial model)", color=panels.FAINT)
    return figure


def _title(run: RunRow) -> list[str]:
    words = values.plain(run.title).plain
    return textwrap.wrap(words, 62, max_lines=2, placeholder=" ...")


def _facts(run: RunRow) -> list[str]:
    noise = privacy.briefly(run)
    return [
        f"{run.run}: {run.state}, {run.opened_rounds:,} of {run.planned_rounds:,} "
        "rounds opened",
        f"{run.strategy}, weights {run.weighting}, clip {run.clip:g}, sums of at least "
        f"{run.min_cohort:,} data owners",
        *([noise] if noise else []),
    ]


def _write_header(figure: Figure, title: Sequence[str], facts: Sequence[str]) -> None:
    y = figure.get_figheight() - EDGE
    for line in title:
        _write(figure, line, y, 13.0, weight="bold")
        y -= TITLE_LINE
    for line in facts:
        _write(figure, line, y, 9.0, color=panels.FAINT)
        y -= FACT_LINE


def _write(figure: Figure, line: str, y: float, size: float, **look: Any) -> None:
    """Write a line, `y` inches above the bottom, smaller where it would not fit."""
    place = EDGE / WIDTH, y / figure.get_figheight()
    # What a person named may hold `$`, which would be read as a formula.
    text = figure.text(*place, line, va="top", size=size, parse_math=False, **look)
    room = (WIDTH - 2 * EDGE) * DPI
    text.set_fontsize(size * min(1.0, room / max(1.0, text.get_window_extent().width)))


def _empty_panels(
    figure: Figure, header: float, heights: Sequence[float], shown: Curves
) -> Iterator[Axes]:
    """Yield axes, top to bottom, over the rounds that are shown."""
    whole = figure.get_figheight()
    left = EDGE + panels.LABELS
    y = whole - header
    for height in heights:
        y -= ABOVE + height
        place = left / WIDTH, y / whole, panels.SPAN / WIDTH, height / whole
        axes = figure.add_axes(place)
        panels.prepare(axes, shown.first, shown.last)
        yield axes
        y -= BELOW
