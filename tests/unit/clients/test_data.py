import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from fedsecure.errors import OperatorError
from fedsecure.study.schema.features import load_schema
from fedsecure.study.schema.tabular import TableSchema
from fedsecure_clients.data import data_report, tables
from fedsecure_clients.data.dataset import (
    Dataset,
    inspect,
    load,
    split,
    split_by_row,
)

HEART = Path(__file__).parents[3] / "studies" / "heart"
SCHEMA = """\
version = 1
[label]
column = "finding"
classes = ["normal", "pneumonia"]
[[columns]]
name = "age"
type = "number"
range = [0, 120]
[[columns]]
name = "smokes"
type = "boolean"
missing = [""]
impute = 0.5
"""
ROWS = "age,smokes,finding\n40,TRUE,normal\n50,,pneumonia\n60,FALSE,normal\n"


@pytest.fixture
def schema(tmp_path: Path) -> TableSchema:
    path = tmp_path / "schema.toml"
    path.write_text(SCHEMA, encoding="utf-8")
    schema = load_schema(path)
    assert isinstance(schema, TableSchema)
    return schema


def table(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_rows_become_features_and_class_numbers(
    tmp_path: Path, schema: TableSchema
) -> None:
    rows = load(table(tmp_path, ROWS), schema)
    assert rows.features.tolist() == [[40, 1], [50, 0.5], [60, 0]]
    assert rows.labels.tolist() == [0, 1, 0]
    assert rows.features.dtype == np.float32
    assert rows.labels.dtype == np.int32


@pytest.mark.parametrize(
    "content",
    [
        "\ufeff" + ROWS,
        ROWS.replace("\n", "\r\n"),
        ROWS + "\n\n",
        ROWS.replace("40", " 40 ").replace("normal", '"normal"'),
        "finding,name,smokes,age\n"
        "normal,Ann,TRUE,40\npneumonia,Bob,,50\nnormal,Cy,FALSE,60\n",
    ],
    ids=["byte-order mark", "CRLF", "blank lines", "blanks and quotes", "other order"],
)
def test_what_spreadsheets_do_to_a_table_changes_nothing(
    tmp_path: Path, schema: TableSchema, content: str
) -> None:
    plain = load(table(tmp_path, ROWS), schema)
    other = load(table(tmp_path, content, "other.csv"), schema)
    assert np.array_equal(plain.features, other.features)
    assert np.array_equal(plain.labels, other.labels)


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("50,", "x,", "FS-103", "row 3, column age: text"),
        ("50,", "5O0,", "FS-103", "row 3, column age"),
        ("50,", "500,", "FS-104", "row 3, column age: a number outside 0 to 120"),
        ("50,", "'',", "FS-103", "row 3, column age"),
        ("40,", ",", "FS-106", "row 2, column age: blank"),
        ("TRUE", "ja", "FS-105", "row 2, column smokes"),
        ("pneumonia", "flu", "FS-107", "row 3, column finding: a value that is none"),
        ("pneumonia", "", "FS-107", "row 3, column finding: blank"),
        ("smokes", "smoker", "FS-102", "lacks smokes"),
        ("60,FALSE", "60", "FS-101", "row 4 has 2 cells, the header 3"),
        (ROWS, "", "FS-108", "no header"),
        (ROWS, "age,smokes,finding\n", "FS-108", "holds 0 examples"),
        (ROWS, ROWS[:34], "FS-110", "holds 1 examples"),
        (ROWS, ROWS.replace(",", ";"), "FS-101", "separated by ;"),
        ("smokes", "age", "FS-101", "twice: age"),
        ("normal", '"normal', "FS-101", "rows.csv"),
    ],
)
def test_a_problem_names_file_row_and_column(
    tmp_path: Path, schema: TableSchema, old: str, new: str, code: str, says: str
) -> None:
    path = table(tmp_path, ROWS.replace(old, new, 1))
    with pytest.raises(OperatorError) as caught:
        load(path, schema)
    assert (caught.value.code, str(path) in caught.value.detail) == (code, True)
    assert says in caught.value.detail


def test_an_error_never_repeats_what_a_patient_s_row_holds(
    tmp_path: Path, schema: TableSchema
) -> None:
    path = table(tmp_path, ROWS.replace("50", "Mrs Smith"))
    with pytest.raises(OperatorError) as caught:
        load(path, schema)
    assert "Smith" not in str(caught.value)
    assert "Smith" not in repr(inspect(path, schema))
    assert "40" not in repr(load(table(tmp_path, ROWS), schema))


def test_a_file_that_is_not_there_or_not_text_is_refused(
    tmp_path: Path, schema: TableSchema
) -> None:
    cases = {
        "FS-100": tmp_path / "absent.csv",
        "FS-101": table(tmp_path, ROWS.encode("utf-16"), "utf16.csv"),
        "FS-109": table(tmp_path, ROWS, "rows.xlsx"),
    }
    for code, path in cases.items():
        with pytest.raises(OperatorError) as caught:
            load(path, schema)
        assert caught.value.code == code
    with pytest.raises(OperatorError) as caught:
        load(table(tmp_path, b"PAR1 not", "rows.parquet"), schema)
    assert caught.value.code == "FS-101"


def test_an_inspection_lists_every_column_with_problems_and_what_is_ignored(
    tmp_path: Path, schema: TableSchema
) -> None:
    rows = "age,smokes,finding,name\nx,,normal,Ann\ny,,sick,Bob\n50,TRUE,normal,Cy\n"
    found = inspect(table(tmp_path, rows), schema)
    assert found.dataset is None
    assert [str(problem) for problem in found.problems] == [
        "row 2, column age: text where a number is expected (and 1 more)",
        "row 3, column finding: a value that is none of: normal, pneumonia",
    ]
    assert (found.rows, found.missing, found.ignored) == (3, {"smokes": 2}, ("name",))


def test_parquet_means_what_the_same_csv_means(
    tmp_path: Path, schema: TableSchema
) -> None:
    columns = {
        "age": [40, 50, 60],
        "smokes": [True, None, False],
        "finding": pa.array(["normal", "pneumonia", "normal"]).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    plain = load(table(tmp_path, ROWS), schema)
    typed = load(tmp_path / "rows.parquet", schema)
    assert np.array_equal(plain.features, typed.features)
    assert np.array_equal(plain.labels, typed.labels)


def test_parquet_rows_are_checked_like_any_other(
    tmp_path: Path, schema: TableSchema
) -> None:
    columns = {
        "age": [40.0, float("nan")],
        "smokes": ["", ""],
        "finding": ["normal"] * 2,
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    with pytest.raises(OperatorError) as caught:
        load(tmp_path / "rows.parquet", schema)
    assert caught.value.code == "FS-106"
    assert "row 3, column age" in caught.value.detail


def test_a_long_table_is_read_in_blocks_with_the_same_result(
    tmp_path: Path, schema: TableSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(table(tmp_path, ROWS), schema)
    monkeypatch.setattr(tables, "BLOCK_ROWS", 2)
    blocks = load(table(tmp_path, ROWS), schema)
    assert np.array_equal(whole.features, blocks.features)
    with pytest.raises(OperatorError, match="row 4, column age"):
        load(table(tmp_path, ROWS.replace("60", "x")), schema)


@pytest.mark.parametrize(
    ("name", "rows", "ill"),
    [
        ("cleveland", 304, 139),
        ("hungary", 293, 106),
        ("switzerland", 123, 115),
        ("va-long-beach", 200, 149),
    ],
)
def test_four_hospitals_files_mean_the_same(name: str, rows: int, ill: int) -> None:
    schema = load_schema(HEART / "schema.toml")
    assert isinstance(schema, TableSchema)
    found = inspect(HEART / "data" / f"{name}.csv", schema)
    dataset = load(HEART / "data" / f"{name}.csv", schema)
    assert (len(dataset), int(dataset.labels.sum())) == (rows, ill)
    assert dataset.features.shape == (rows, schema.width)
    assert np.abs(dataset.features).max() < 8
    assert set(found.ignored) == {"slope", "ca", "thal"}
    no_cholesterol = dataset.features[:, schema.feature_names.index("chol missing")]
    assert no_cholesterol.all() == (name == "switzerland")


def dataset(rows: list[tuple[int, int]]) -> Dataset:
    features = np.array([[value, 1.0] for value, _ in rows], dtype=np.float32)
    labels = np.array([label for _, label in rows], dtype=np.int32)
    return Dataset(features, labels, ("normal", "pneumonia"))


def contents(rows: Dataset) -> list[tuple[float, int]]:
    pairs = zip(rows.features[:, 0].tolist(), rows.labels.tolist(), strict=True)
    return sorted(pairs)


TABLES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 1)), min_size=2, max_size=60
).filter(lambda rows: len(set(rows)) > 1)


@given(TABLES, st.integers(0, 2**53 - 1), st.data())
@settings(max_examples=60)
def test_a_split_keeps_every_row_once_and_depends_on_content_alone(
    rows: list[tuple[int, int]], seed: int, data: st.DataObject
) -> None:
    training, held_out = split(dataset(rows), 0.25, seed)
    assert len(training) > 0
    assert len(held_out) > 0
    assert sorted(contents(training) + contents(held_out)) == contents(dataset(rows))
    assert not set(contents(training)) & set(contents(held_out))
    again = split(dataset(data.draw(st.permutations(rows))), 0.25, seed)
    assert contents(again[1]) == contents(held_out)


def test_a_split_holds_out_its_share_of_every_class() -> None:
    rows = [(value, int(value >= 80)) for value in range(100)]
    _, held_out = split(dataset(rows), 0.25, seed=1)
    assert np.bincount(held_out.labels).tolist() == [20, 5]
    assert contents(held_out) != contents(split(dataset(rows), 0.25, seed=2)[1])


def test_rows_that_are_all_equal_cannot_be_split() -> None:
    with pytest.raises(OperatorError) as caught:
        split(dataset([(1, 0)] * 5), 0.25, seed=1)
    assert caught.value.code == "FS-110"


ROW = st.tuples(st.integers(0, 30), st.integers(0, 1))


@given(
    st.lists(ROW, min_size=1, max_size=40), ROW, st.integers(0, 2**53 - 1), st.data()
)
@settings(max_examples=60)
def test_no_row_moves_another_over_the_line(
    rows: list[tuple[int, int]],
    other: tuple[int, int],
    seed: int,
    data: st.DataObject,
) -> None:
    holdout = data.draw(st.sampled_from([0.01, 0.25, 0.99]))

    def held_out(table: list[tuple[int, int]]) -> Counter[tuple[float, int]]:
        return Counter(contents(split_by_row(dataset(table), holdout, seed)[1]))

    before, alone = held_out(rows), held_out([other])
    place = data.draw(st.integers(0, len(rows)))
    added = held_out([*rows[:place], other, *rows[place:]])
    assert added == before + alone
    # And when one changes, it alone may change sides.
    place %= len(rows)
    changed = [*rows[:place], other, *rows[place + 1 :]]
    assert held_out(changed) + held_out([rows[place]]) == before + alone


def test_a_row_is_held_out_if_its_hash_is_below_the_line() -> None:
    table = dataset([(value, value % 2) for value in range(400)])
    training, held_out = split_by_row(table, 0.25, 7)
    assert sorted(contents(training) + contents(held_out)) == contents(table)
    below = []
    for features, label in zip(table.features, table.labels.tolist(), strict=True):
        said = b"fedsecure v1 row held out" + (7).to_bytes(8, "big")
        said += features.astype("<f4").tobytes() + label.to_bytes(4, "little")
        first = hashlib.sha256(said).digest()[:8]
        below.append(int.from_bytes(first, "big") < 2**64 // 4)
    assert contents(held_out) == contents(table.take(np.flatnonzero(below)))
    assert 70 <= len(held_out) <= 130  # 100, by chance


def test_equal_rows_are_on_one_side_even_if_that_empties_the_other() -> None:
    sides = split_by_row(dataset([(1, 0)] * 5), 0.25, seed=1)
    assert sorted(map(len, sides)) == [0, 5]


def test_absent_classes_are_named() -> None:
    assert dataset([(1, 1), (2, 1)]).absent_classes == ("normal",)
    assert dataset([(1, 1), (2, 0)]).absent_classes == ()


@pytest.mark.parametrize(
    ("separator", "called"), [(";", ";"), ("\t", "tabs"), ("|", "|")]
)
@pytest.mark.parametrize("name", ["age", '"age, years"'], ids=["plain", "with a comma"])
def test_a_table_with_another_separator_is_one_error_that_says_which(
    tmp_path: Path, schema: TableSchema, separator: str, called: str, name: str
) -> None:
    content = ROWS.replace(",", separator).replace("age", name)
    path = table(tmp_path, content)
    found = data_report.check(path, schema)
    (error,) = found.whole
    assert error.code == "FS-101"
    assert f"is separated by {called} and not by ," in error.detail
    assert found.places == ()


def test_excels_line_about_the_separator_is_one_error_that_names_it(
    tmp_path: Path, schema: TableSchema
) -> None:
    for line in ("sep=,\n", "sep=;\n", "SEP=\t\n"):
        (error,) = data_report.check(table(tmp_path, line + ROWS), schema).whole
        assert error.code == "FS-101"
        assert "Excel's line `sep=`" in error.detail


@pytest.mark.parametrize("written", ["AGE", "Age", " a_g_e", "ag\u00e9"])
def test_a_column_that_is_spelled_otherwise_is_pointed_at(
    tmp_path: Path, schema: TableSchema, written: str
) -> None:
    path = table(tmp_path, ROWS.replace("age", written))
    with pytest.raises(OperatorError, match="FS-102") as caught:
        inspect(path, schema)
    assert f"lacks age (there is {written.strip()!r}: rename it" in caught.value.detail


def test_a_column_that_is_not_there_is_pointed_at_nothing(
    tmp_path: Path, schema: TableSchema
) -> None:
    path = table(tmp_path, ROWS.replace("age", "patient\x1b[2J"))
    with pytest.raises(OperatorError, match="FS-102") as caught:
        inspect(path, schema)
    assert caught.value.detail == f"{path} lacks age"


def test_a_value_in_other_capitals_says_so_and_not_what_it_is(
    tmp_path: Path, schema: TableSchema
) -> None:
    path = table(tmp_path, ROWS.replace("pneumonia", "Pneumonia"))
    (problem,) = inspect(path, schema).problems
    assert problem.code == "FS-107"
    assert problem.reason == "a value in other capitals than: normal, pneumonia"
