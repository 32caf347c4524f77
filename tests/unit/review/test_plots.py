import io
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from typer.testing import CliRunner

from fedsecure.cli.rounds import app
from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.review import records
from fedsecure.review.plots import figure
from fedsecure.review.plots.curves import curves
from fedsecure.review.reading import open_round_store
from fedsecure.review.records import RoundRow, RunRow
from tests.unit.owner_store.round_story import HOSPITALS

HOSTILE = "Cost < 5 $ & more $ per patient\x1b[2J\n]]>"
LONG = "A study at many hospitals in all of Europe " * 4

Run = tuple[RunRow, Sequence[RoundRow]]


@pytest.fixture
def story(told: Path) -> Run:
    with open_round_store(told) as session:
        chosen = records.find_run(session)
        return chosen, records.rounds(session, chosen.run)


@pytest.fixture
def trained(story: Run) -> RoundRow:
    """A train round that is complete."""
    return story[1][0]


def plot(*words: str | Path) -> str:
    result = CliRunner().invoke(app, ["plot", *map(str, words)], env={"COLUMNS": "120"})
    if result.exception:
        raise result.exception
    return result.stdout


def code_of(*words: str | Path) -> str:
    with pytest.raises(FedsecureError) as caught:
        plot(*words)
    return caught.value.code


def words_of(svg: bytes) -> list[str]:
    root = ElementTree.fromstring(svg)  # noqa: S314 - our own bytes
    found = root.iter("{http://www.w3.org/2000/svg}text")
    return ["".join(text.itertext()) for text in found]


def many(trained: RoundRow, number: int, cohort: int = 4) -> list[RoundRow]:
    """A long run: every third cohort misses somebody, every seventh round is void."""
    told = []
    for n in range(1, number + 1):
        row = replace(trained, round=n, cohort=cohort, in_set=cohort, loss=0.7 / n)
        if n % 7 == 0:
            told += [replace(row, state="void", attempt=a, in_set=None) for a in (1, 2)]
        gone = cohort // 4 if n % 3 == 0 else 0
        auc = None if n % 5 == 0 else 0.5 + 0.4 * (1 - 1 / n)
        told.append(replace(row, attempt=3, in_set=cohort - gone, auc=auc))
    void = replace(told[-1], purpose="evaluate", state="void", in_set=None)
    return [*told, void, replace(void, attempt=2, state="opened", in_set=cohort - 1)]


def seen(figure: Figure) -> list[Text]:
    """Every text of a figure that is drawn."""
    texts = list(figure.texts)
    for axes in figure.axes:
        if not axes.axison:
            texts += axes.texts
            continue
        texts += [*axes.texts, axes.xaxis.label]
        for axis, (low, high) in (
            (axes.xaxis, axes.get_xlim()),
            (axes.yaxis, axes.get_ylim()),
        ):
            ticks = axis.get_major_ticks()
            texts += [one.label1 for one in ticks if low <= one.get_loc() <= high]
    return [text for text in texts if text.get_visible() and text.get_text()]


def test_a_png_shows_something_and_is_as_wide_as_promised(
    told: Path, tmp_path: Path
) -> None:
    output = tmp_path / "curves.png"
    shown = plot("--db", told, "-o", output)
    assert shown == f"{output} shows run heart-1, 5 attempts at rounds\n"
    with Image.open(output) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape[1] == 1200
    assert pixels.shape[0] > 600
    assert (pixels[:5] == 255).all()
    for color in ("#0072B2", "#00795A", "#A3527F", "#8FA9BF"):
        wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert (pixels == wanted).all(axis=2).sum() > 50, color


def test_an_svg_says_what_it_shows_and_names_no_data_owner(
    told: Path, tmp_path: Path
) -> None:
    plot("--db", told, "--output", tmp_path / "curves.SVG")
    words = words_of((tmp_path / "curves.SVG").read_bytes())
    for name in ("Loss", "AUC", "Clip rate", "Data owners in the sum"):
        assert name in words
    assert "Rounds completed (0: the initial model)" in words
    assert "heart-1: completed, 3 of 3 rounds opened" in words
    assert {"0.200", "0.875", "25%"} <= set(words)
    said = " ".join(words)
    assert not [name for name in HOSPITALS if name in said.split()]


def test_missing_data_owners_and_void_attempts_are_marked(story: Run) -> None:
    shown = curves(*story)
    assert dict(shown.missing) == {2: 1}
    assert dict(shown.void) == {3: 1}
    words = words_of(figure.picture(*story, "svg"))
    assert "missing in 1 round, 1 void attempt" in words
    assert {"missing", "\u22121", "void", "1\u00d7"} <= set(words)


def test_what_happened_in_the_final_evaluation_stands_after_the_last_round(
    story: Run, trained: RoundRow
) -> None:
    shown = curves(story[0], many(trained, 8))
    assert dict(shown.missing) == {3: 1, 6: 1, 8.75: 1}
    assert dict(shown.void) == {7: 2, 8.75: 1}
    words = words_of(figure.picture(story[0], many(trained, 8), "svg"))
    assert any(word.endswith("(right end: the final evaluation)") for word in words)


def test_a_metric_stands_at_the_number_of_rounds_its_model_has_seen(
    story: Run,
) -> None:
    shown = curves(*story)
    loss, auc = shown.metrics
    assert list(zip(loss.at, loss.values, strict=True)) == [
        (0, 0.7),
        (1, 0.35),
        (2, pytest.approx(0.233333)),
        (3, 0.2),
    ]
    assert auc.at == loss.at
    assert shown.bars.at == [1, 2, 3]
    assert shown.bars.clip_rates == [0.25, 0.3333, 0.25]
    assert shown.bars.sets == [4, 3, 4]


def test_where_the_auc_is_undefined_the_line_is_broken_and_it_is_said(
    story: Run, trained: RoundRow
) -> None:
    values = [0.5, None, 0.7, None, 0.8, 0.9]
    told = [replace(trained, round=n + 1, auc=auc) for n, auc in enumerate(values)]
    auc = curves(story[0], told).metrics[1]
    assert [math.isnan(value) for value in auc.values] == [v is None for v in values]
    assert auc.alone == [0, 2]
    assert "n/a in 2 rounds" in words_of(figure.picture(story[0], told, "svg"))


def test_accuracy_is_shown_where_no_auc_was_measured(
    story: Run, trained: RoundRow
) -> None:
    told = [replace(trained, round=n, auc=None) for n in (1, 2)]
    words = words_of(figure.picture(story[0], told, "svg"))
    assert "Accuracy" in words
    assert "AUC" not in words


def test_what_was_never_measured_gets_no_empty_panel(
    story: Run, trained: RoundRow
) -> None:
    bare = replace(trained, loss=None, auc=None, accuracy=None, clip_rate=0.0)
    words = words_of(figure.picture(story[0], [bare], "svg"))
    assert not {"Loss", "AUC", "Accuracy", "100%"} & set(words)
    assert "0% in every round: no update was scaled down" in words


@pytest.mark.parametrize("title", ["Hearts", HOSTILE, LONG, "X" * 200])
@pytest.mark.parametrize(
    ("number", "cohort"), [(1, 4), (3, 4), (20, 4), (24, 1000), (41, 40), (1000, 100)]
)
def test_no_words_are_cut_or_lie_upon_each_other(
    story: Run, trained: RoundRow, title: str, number: int, cohort: int
) -> None:
    run = replace(story[0], title=title, run="heart-" + "9" * 57)
    shown = curves(run, many(trained, number, cohort))
    with style.context(figure.STYLE, after_reset=True):
        drawn = figure.draw(run, shown)
        drawn.draw_without_rendering()
        boxes = [(text.get_text(), text.get_window_extent()) for text in seen(drawn)]
    assert len(boxes) > 12
    page = drawn.bbox
    for words, box in boxes:
        assert page.x0 < box.x0 < box.x1 < page.x1, words
        assert page.y0 < box.y0 < box.y1 < page.y1, words
    upon = [
        (a, b)
        for (a, one), (b, other) in combinations(boxes, 2)
        if one.shrunk(1, 0.8).overlaps(other.shrunk(1, 0.8))
    ]
    assert upon == []


def test_a_thousand_rounds_stay_a_small_file(story: Run, trained: RoundRow) -> None:
    told = many(trained, 1000)
    assert len(figure.picture(story[0], told, "svg")) < 500_000
    assert len(figure.picture(story[0], told, "png")) < 500_000


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_rounds_give_the_same_bytes_whatever_somebody_configured(
    story: Run, form: figure.Form
) -> None:
    first = figure.picture(*story, form)
    with mpl.rc_context({"font.size": 30, "savefig.dpi": 50, "axes.facecolor": "k"}):
        assert figure.picture(*story, form) == first
        assert mpl.rcParams["font.size"] == 30


def test_a_title_is_neither_markup_nor_a_formula(story: Run) -> None:
    run = replace(story[0], title=HOSTILE)
    words = words_of(figure.picture(run, story[1], "svg"))
    assert "Cost < 5 $ & more $ per patient?[2J?]]>" in words
    with Image.open(io.BytesIO(figure.picture(run, story[1], "png"))) as image:
        image.verify()


def test_letters_that_the_font_lacks_do_not_stop_a_picture(story: Run) -> None:
    run = replace(story[0], title="\u5fc3\u81d3\u75c5")
    assert "\u5fc3\u81d3\u75c5" in words_of(figure.picture(run, story[1], "svg"))


def test_a_run_without_an_opened_round_has_nothing_to_draw(story: Run) -> None:
    void = [row for row in story[1] if row.state == "void"]
    for told in ([], void):
        with pytest.raises(OperatorError, match=r"FS-864.*heart-1"):
            figure.picture(story[0], told, "png")


@pytest.mark.parametrize("name", ["curves.pdf", "curves", "png"])
def test_another_ending_is_refused(told: Path, tmp_path: Path, name: str) -> None:
    assert code_of("--db", told, "-o", tmp_path / name) == "FS-865"
    assert not (tmp_path / name).exists()


def test_what_cannot_be_written_or_is_not_there_has_a_code(
    told: Path, tmp_path: Path
) -> None:
    assert code_of("--db", told, "-o", tmp_path / "nowhere" / "c.png") == "FS-866"
    assert code_of("--db", told, "-o", tmp_path / "c.png", "--run", "9") == "FS-861"


def test_without_matplotlib_it_says_what_to_install(
    told: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("fedsecure.review.plots.figure")
    monkeypatch.delitem(sys.modules, "fedsecure.review.plots.figure")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert code_of("--db", told) == "FS-867"


def test_other_commands_do_not_wait_for_matplotlib() -> None:
    look = "import sys, fedsecure.cli.rounds; print('matplotlib' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, check=True, text=True
    )
    assert done.stdout == "False\n"


def test_the_command_has_an_example() -> None:
    assert "Example: fedsecure rounds plot" in plot("--help")


def test_a_part_of_a_long_run_is_drawn_where_it_stands(
    story: Run, trained: RoundRow
) -> None:
    part = [replace(trained, round=99_000 + n) for n in range(1, 101)]
    shown = curves(story[0], part)
    assert (shown.first, shown.last) == (99_000, 99_100)
    words = words_of(figure.picture(story[0], part, "svg"))
    assert {"99,000", "99,100"} <= set(words)
