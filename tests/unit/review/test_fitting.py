"""Tables at any width: nothing is cut, and what is left out is named."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings, strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from fedsecure.terminal.text_tables import FOLDED, Column, table

Row = Sequence[str]
ROOT = Path(__file__).parents[3]
WORDS = st.text("abcdefgh0123456789-.", min_size=1, max_size=30)
TEXTS = st.lists(WORDS, min_size=1, max_size=8).map(" ".join)


def printed(columns: Sequence[Column[Row]], rows: Sequence[Row], width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(table(columns, rows))
    return file.getvalue()


def column(place: int, rank: int, folds: bool) -> Column[Row]:
    title = f"c{place}"
    return Column(title, lambda row: Text(row[place]), rank=rank, folds=folds)


@st.composite
def listings(draw: st.DrawFn) -> tuple[list[Column[Row]], list[Row]]:
    kinds = draw(
        st.lists(
            st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=8
        ).filter(lambda kinds: any(rank == 0 for rank, _ in kinds))
    )
    columns = [column(place, *kind) for place, kind in enumerate(kinds)]
    cells = [TEXTS if folds else WORDS for _, folds in kinds]
    return columns, draw(st.lists(st.tuples(*cells), min_size=1, max_size=4))


@given(listings(), st.integers(40, 140))
@settings(max_examples=200, deadline=None)
def test_every_row_can_be_read_and_every_column_is_shown_or_named(
    listing: tuple[list[Column[Row]], list[Row]], width: int
) -> None:
    columns, rows = listing
    text = printed(columns, rows, width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert "…" not in text
    said = " ".join(text.split())
    left_out = re.search(r"\d+ columns? left out \(([^)]*)\)", said)
    named = left_out[1].split(", ") if left_out else []
    for place, one in enumerate(columns):
        assert one.title in said  # as a heading, or as left out
        if one.rank == 0:
            assert one.title not in named
        if one.title not in named and not one.folds:
            for row in rows:
                assert row[place] in text


@given(st.lists(TEXTS, min_size=1, max_size=3), st.integers(60, 140))
@settings(deadline=None)
def test_a_text_is_never_broken_into_slivers(texts: list[str], width: int) -> None:
    fixed = [Column(f"n{place}", lambda _: Text("1234567")) for place in range(4)]
    columns = [*fixed, Column("text", lambda text: Text(str(text)), folds=True)]
    file = io.StringIO()
    Console(file=file, width=width).print(table(columns, texts))
    lines = file.getvalue().splitlines()[2:]
    room = max(len(line.rstrip()) for line in lines) - 4 * 9
    assert room >= min(FOLDED, *map(len, texts)) - 12  # a word may end before


def test_what_does_not_fit_at_all_becomes_a_block_a_row() -> None:
    columns = [column(place, 0, False) for place in range(3)]
    rows = [["a" * 30, "b" * 30, "c"], ["d" * 30, "e" * 30, "f"]]
    lines = [line.rstrip() for line in printed(columns, rows, 60).splitlines()]
    first = [f"c0  {'a' * 30}", f"c1  {'b' * 30}", "c2  c"]
    assert lines == [*first, "", f"c0  {'d' * 30}", f"c1  {'e' * 30}", "c2  f"]


def test_a_value_longer_than_the_terminal_is_folded_in_its_block() -> None:
    text = printed([column(0, 0, False), column(1, 0, False)], [["x" * 300, "y"]], 60)
    assert text.count("x") == 300
    assert max(map(len, text.splitlines())) <= 60


def test_without_rows_the_columns_are_said() -> None:
    columns = [Column(title * 40, lambda row: Text(row[0])) for title in "ab"]
    words = printed(columns, [], 60).split()
    assert words == ["no", "rows", "of:", "a" * 40 + ",", "b" * 40]


def test_every_table_of_the_product_is_one_that_fits() -> None:
    """`rich.table.Table` cuts what does not fit; grids of two columns fold."""
    made = {
        str(path.relative_to(ROOT))
        for part in ("fedsecure", "clients", "aggregator", "bench")
        for path in (ROOT / part).rglob("*.py")
        if re.search(r"(?<!\w)Table\(\s*[^)]*(title|box|\")", path.read_text("utf-8"))
        and "from rich.table import Table" in path.read_text("utf-8")
    }
    assert made == {
        "fedsecure/terminal/text_tables.py",
        "bench/fedsecure_bench/progress.py",
    }
