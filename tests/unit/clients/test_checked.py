"""`fedsecure agent data check`: every place that does not fit, and no value of it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from fedsecure.study.schema.features import load_schema
from fedsecure_clients.cli.agent import app
from fedsecure_clients.data.data_report import as_data, check, is_personal
from fedsecure_clients.data.examples import MAX_PLACES
from tests.unit.clients import test_arrays as npz, test_images as pictures

HEART = Path(__file__).parents[3] / "studies" / "heart"
SCHEMA = load_schema(HEART / "schema.toml")
Table = pd.DataFrame


@pytest.fixture
def table() -> Table:
    return pd.read_csv(HEART / "data" / "hungary.csv", dtype=str).fillna("")


def saved(folder: Path, table: Table, kind: str = "csv") -> Path:
    path = folder / f"site.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
    else:
        table.to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_every_cell_that_does_not_fit_is_named_by_row_and_column(
    tmp_path: Path, table: Table, kind: str
) -> None:
    wrong = {
        (4, "age"): "Smith",
        (9, "age"): "999",
        (9, "chol"): "1,5",
        (0, "sex"): "?",
    }
    for (row, column), value in wrong.items():
        table.loc[row, column] = value
    found = check(saved(tmp_path, table, kind), SCHEMA)
    assert [(one.where, one.code) for one in found.places] == [
        ("row 2, column sex", "FS-105"),
        ("row 6, column age", "FS-103"),
        ("row 11, column age", "FS-104"),
        ("row 11, column chol", "FS-103"),
    ]
    assert (found.fits, found.wrong) == (False, 4)
    assert not {"Smith", "999", "1,5"} & set(json.dumps(as_data(found)).split('"'))


def test_missing_columns_and_ragged_rows_do_not_hide_the_rest(
    tmp_path: Path, table: Table
) -> None:
    table.loc[3, "chol"] = "high"
    path = saved(tmp_path, table.drop(columns=["age", "sex"]))
    lines = path.read_text().splitlines()
    lines[7] += ",one cell too many"
    path.write_text("\n".join(lines))
    found = check(path, SCHEMA)
    assert [error.code for error in found.whole] == ["FS-102", "FS-101"]
    assert "age, sex" in found.whole[0].detail
    assert "row 8" in found.whole[1].detail
    assert [one.where for one in found.places] == ["row 5, column chol"]


def test_no_more_than_so_many_places_are_listed_and_all_are_counted(
    tmp_path: Path, table: Table
) -> None:
    many = pd.concat([table] * 6, ignore_index=True)
    many["age"] = "old"
    found = check(saved(tmp_path, many), SCHEMA)
    assert (len(found.places), found.wrong) == (MAX_PLACES, len(many))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_that_the_study_does_not_know_are_named_and_personal_ones_marked(
    tmp_path: Path, table: Table, kind: str
) -> None:
    table = table.assign(PatientName="Smith", date_of_birth="1950", shoe="42")
    found = check(saved(tmp_path, table, kind), SCHEMA)
    assert found.fits
    assert {"PatientName", "date_of_birth", "shoe"} < set(found.ignored)
    personal = as_data(found)["personal"]
    assert personal == {"never_read": ["PatientName", "date_of_birth"], "read": []}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_cells_of_unknown_columns_are_never_read(
    tmp_path: Path, table: Table, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What reading hands on has no cell of them."""
    from fedsecure_clients.data import cells  # noqa: PLC0415

    kept: set[str] = set()
    real = cells.read_blocks

    def watched(*arguments: object) -> object:
        for block in real(*arguments):
            kept.update(block.columns)
            assert "Smith" not in repr(block)
            yield block

    monkeypatch.setattr(cells, "read_blocks", watched)
    check(saved(tmp_path, table.assign(PatientName="Smith"), kind), SCHEMA)
    assert kept == set(SCHEMA.names)


@pytest.mark.parametrize(
    ("column", "personal"),
    [
        ("name", True),
        ("LastName", True),
        ("first_name", True),
        ("e-mail", True),
        ("Geburtsdatum", True),
        ("PatientID", True),
        ("chol", False),
        ("age", False),
        ("num", False),
        ("unnamed", False),
    ],
)
def test_names_that_sound_personal(column: str, personal: bool) -> None:
    assert is_personal(column) is personal


def test_every_value_of_an_array_that_does_not_fit_is_named(tmp_path: Path) -> None:
    content = npz.good()
    content["x"][1, 0, 2] = np.nan
    content["x"][4, 1, 1] = 77.125
    content["y"][[0, 3]] = 9
    found = check(npz.saved(tmp_path, {**content, "notes": np.zeros(3)}), npz.schema())
    assert [(one.where, one.code) for one in found.places] == [
        ("x[1, 0, 2]", "FS-122"),
        ("x[4, 1, 1]", "FS-122"),
        ("y[0]", "FS-123"),
        ("y[3]", "FS-123"),
    ]
    assert found.ignored == ("notes",)
    assert found.wrong == 4


def test_both_arrays_are_looked_at_when_one_is_of_another_type(tmp_path: Path) -> None:
    content = {"x": np.zeros((5, 2, 3), np.int16), "y": np.array(["a"] * 5)}
    found = check(npz.saved(tmp_path, content), npz.schema())
    assert [error.code for error in found.whole] == ["FS-121", "FS-121"]
    assert [
        name for error in found.whole for name in ("x", "y") if error.detail[0] == name
    ] == ["x", "y"]


def test_places_in_arrays_are_bounded_and_counted(tmp_path: Path) -> None:
    content = {"x": np.full((400, 2, 3), 9, np.float32), "y": np.full(400, 7)}
    found = check(npz.saved(tmp_path, content), npz.schema())
    assert len(found.places) == MAX_PLACES
    assert found.wrong == 400 * 6 + 400


def test_every_image_and_stray_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    for seed, name in enumerate(["normal/a.png", "pneumonia/b.png"]):
        pictures.put(tmp_path, name, pictures.picture(seed))
    pictures.put(tmp_path, "normal/large.png", pictures.picture(3, size=(9, 9)))
    (tmp_path / "normal" / "torn.png").write_bytes(b"no image")
    (tmp_path / "normal" / "notes.txt").write_text("no image")
    (tmp_path / "unknown").mkdir()
    (tmp_path / "list.csv").write_text("no image")
    found = check(tmp_path, pictures.schema())
    assert {(one.where, one.code) for one in found.places} == {
        ("normal/large.png", "FS-133"),
        ("normal/torn.png", "FS-131"),
    }
    assert [error.code for error in found.whole] == ["FS-135", "FS-130", "FS-135"]
    assert found.wrong == 5


def test_a_file_with_nothing_to_train_on_does_not_fit(
    tmp_path: Path, table: Table
) -> None:
    found = check(saved(tmp_path, table.head(1)), SCHEMA)
    assert not found.fits
    assert [error.code for error in found.whole] == ["FS-110"]


def test_the_command_says_so_and_ends_with_1(tmp_path: Path, table: Table) -> None:
    good = saved(tmp_path, table.assign(surname="Smith"))
    arguments = ["data", "check", str(good), "--schema", str(HEART / "schema.toml")]
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0
    text = " ".join(ended.stdout.split())
    assert "293 examples, all fit the study" in text
    assert "surname: not in the study, looks like personal data: never read" in text
    table.loc[0, "age"] = "old"
    saved(tmp_path, table)
    ended = CliRunner().invoke(app, [*arguments, "--json"])
    assert ended.exit_code == 1
    assert json.loads(ended.stdout)["problems"] == [
        {
            "code": "FS-103",
            "where": "row 2, column age",
            "reason": "text where a number is expected",
        }
    ]
