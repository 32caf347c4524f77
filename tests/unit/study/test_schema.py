from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from fedsecure.errors import OperatorError
from fedsecure.study.schema.columns import CellError
from fedsecure.study.schema.features import load_schema
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.study.strict import canonical

SCHEMA = """\
version = 1

[label]
column = "num"
positive = "> 0"
range = [0, 4]

[[columns]]
name = "chol"
type = "number"
range = [50, 700]
missing = ["", "0"]
impute = 240
indicator = true
scale = { centre = 240, spread = 50 }

[[columns]]
name = "fbs"
type = "boolean"
missing = [""]
impute = 0.5

[[columns]]
name = "cp"
type = "category"
values = ["typical", "none"]
"""


def read(folder: Path, text: str) -> TableSchema:
    path = folder / "schema.toml"
    path.write_text(text, encoding="utf-8")
    schema = load_schema(path)
    assert isinstance(schema, TableSchema)
    return schema


@pytest.fixture
def schema(tmp_path: Path) -> TableSchema:
    return read(tmp_path, SCHEMA)


def encode(schema: TableSchema, column: str, cell: str) -> tuple[float, ...]:
    found = next(entry for entry in schema.columns if entry.name == column)
    return found.encode(cell)


def refusal(schema: TableSchema, column: str, cell: str) -> CellError:
    with pytest.raises(CellError) as caught:
        encode(schema, column, cell)
    return caught.value


def test_features_are_named_in_the_order_of_the_file(schema: TableSchema) -> None:
    assert schema.feature_names == (
        "chol",
        "chol missing",
        "fbs",
        "cp = typical",
        "cp = none",
    )
    assert schema.width == 5


@pytest.mark.parametrize("cell", ["", "0", "0.0", "0e0"])
def test_every_spelling_of_a_missing_code_is_missing(
    schema: TableSchema, cell: str
) -> None:
    assert encode(schema, "chol", cell) == (0.0, 1.0)


def test_numbers_are_scaled_by_public_constants(schema: TableSchema) -> None:
    assert encode(schema, "chol", "290") == (1.0, 0.0)


@pytest.mark.parametrize(
    ("cell", "expected"), [("TRUE", 1.0), ("false", 0.0), ("1", 1.0), ("", 0.5)]
)
def test_booleans_are_fixed_by_the_schema_not_by_the_file(
    schema: TableSchema, cell: str, expected: float
) -> None:
    assert encode(schema, "fbs", cell) == (expected,)


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("chol", "n/a", "FS-103"),
        ("chol", "1_000", "FS-103"),
        ("chol", "nan", "FS-103"),
        ("chol", "240,5", "FS-103"),
        ("chol", "49.9", "FS-104"),
        ("chol", "9e999", "FS-104"),
        ("fbs", "maybe", "FS-105"),
        ("cp", "Typical", "FS-105"),
        ("cp", "", "FS-106"),
    ],
)
def test_a_cell_that_does_not_fit_is_refused_without_repeating_it(
    schema: TableSchema, column: str, cell: str, code: str
) -> None:
    error = refusal(schema, column, cell)
    assert error.code == code
    assert not cell or cell not in error.reason


HEART = load_schema(Path(__file__).parents[3] / "studies" / "heart" / "schema.toml")


@given(st.text(max_size=20))
def test_a_cell_gives_one_number_for_each_feature_or_a_cell_error(cell: str) -> None:
    assert isinstance(HEART, TableSchema)
    for column in HEART.columns:
        try:
            features = column.encode(cell)
        except CellError:
            continue
        assert len(features) == len(column.features)


@pytest.mark.parametrize(("cell", "number"), [("0", 0), ("1", 1), ("4", 1)])
def test_the_label_rule_gives_class_numbers(
    schema: TableSchema, cell: str, number: int
) -> None:
    assert schema.label.encode(cell) == number


@pytest.mark.parametrize("cell", ["", "5", "sick"])
def test_a_row_without_a_label_of_the_study_is_refused(
    schema: TableSchema, cell: str
) -> None:
    with pytest.raises(CellError) as caught:
        schema.label.encode(cell)
    assert caught.value.code == "FS-107"


def test_class_numbers_follow_the_order_in_the_study(tmp_path: Path) -> None:
    rule = 'positive = "> 0"\nrange = [0, 4]'
    classes = 'classes = ["pneumonia", "normal"]'
    label = read(tmp_path, SCHEMA.replace(rule, classes)).label
    assert [label.encode(name) for name in ("normal", "pneumonia")] == [1, 0]


def test_a_schema_survives_its_canonical_text(schema: TableSchema) -> None:
    text = canonical(schema)
    assert TableSchema.model_validate_json(text) == schema
    assert canonical(TableSchema.model_validate_json(text)) == text


@pytest.mark.parametrize(
    ("old", "new", "line", "key"),
    [
        ("impute = 240", 'impute = "240"', 13, "columns.chol.impute"),
        ("range = [50, 700]", "range = [700, 50]", 11, "columns.chol.range"),
        ('type = "boolean"', 'type = "flag"', 17, "columns.fbs"),
        ('values = ["typical", "none"]', "", 23, "columns.cp.values"),
        ("indicator = true", "indicator = true\ncolour = 1", 15, "columns.chol.colour"),
        ('positive = "> 0"', 'positive = "nearly"', 3, "label"),
        ('values = ["typical", "none"]', 'values = ["a", "a"]', 23, "columns.cp"),
        ("impute = 240\n", "", 8, "columns.chol"),
        ("range = [0, 4]", "range = [0, nan]", 6, "label.range"),
        ('name = "fbs"', 'name = "chol"', 1, "the file as a whole"),
        ("version = 1", "version = 2024-01-01", None, "date"),
        ("version = 1", "version = 2", 1, "version"),
    ],
)
def test_a_wrong_schema_names_the_file_the_line_and_the_key(
    tmp_path: Path, old: str, new: str, line: int | None, key: str
) -> None:
    assert old in SCHEMA
    with pytest.raises(OperatorError) as caught:
        read(tmp_path, SCHEMA.replace(old, new, 1))
    assert caught.value.code == "FS-840"
    assert "schema.toml" in caught.value.detail
    assert key in caught.value.detail
    assert line is None or f"line {line}," in caught.value.detail
