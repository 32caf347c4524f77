"""A study folder that is tried on one machine says which data are whose."""

import shutil
from pathlib import Path

import pytest

from fedsecure.errors import OperatorError
from fedsecure.study.config import Study
from fedsecure.study.sites import find_sites
from tests.unit.study.test_schema_kinds import ARRAYS, IMAGES, TABLE


@pytest.fixture
def folder(heart: Study, tmp_path: Path) -> Path:
    shutil.copy(heart.folder / "study.toml", tmp_path)
    (tmp_path / "data").mkdir()
    return tmp_path


def fill(folder: Path, schema: str, *entries: str) -> Path:
    (folder / "schema.toml").write_text(schema, encoding="utf-8")
    for entry in entries:
        path = folder / "data" / entry
        path.mkdir() if entry.endswith("/") else path.touch()
    return folder


def test_the_heart_study_has_four_sites(heart: Study) -> None:
    sites = find_sites(heart.folder)
    assert list(sites) == ["cleveland", "hungary", "switzerland", "va-long-beach"]
    assert sites["hungary"] == heart.folder / "data" / "hungary.csv"


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        (TABLE, ("north.csv", "south.PARQUET")),
        (ARRAYS, ("north.npz", "south.npz")),
        (IMAGES, ("north/", "south/")),
    ],
)
def test_the_kind_of_the_study_decides_what_is_a_site(
    folder: Path, schema: str, data: tuple[str, str]
) -> None:
    others = {"a.csv", "b.npz", "c/", "README.md", ".hidden.csv", ".git/"} - set(data)
    others -= {"a.csv"} if schema is TABLE else set()
    others -= {"b.npz"} if schema is ARRAYS else set()
    others -= {"c/"} if schema is IMAGES else set()
    sites = find_sites(fill(folder, schema, *data, *others))
    assert list(sites) == ["north", "south"]
    assert [path.name for path in sites.values()] == [d.strip("/") for d in data]


@pytest.mark.parametrize(
    ("entries", "code", "says"),
    [
        (("a.csv",), "FS-873", "1 sites"),
        ((), "FS-873", ".csv or .parquet"),
        (("a.csv", "St Mary.csv"), "FS-844", "'St Mary'"),
        (("a.csv", "a.parquet"), "FS-844", "a.csv are one site"),
    ],
)
def test_sites_without_a_name_of_their_own_are_refused(
    folder: Path, entries: tuple[str, ...], code: str, says: str
) -> None:
    with pytest.raises(OperatorError) as caught:
        find_sites(fill(folder, TABLE, *entries))
    assert caught.value.code == code
    assert says in caught.value.detail


def test_a_study_without_data_is_refused(folder: Path) -> None:
    (folder / "data").rmdir()
    with pytest.raises(OperatorError) as caught:
        find_sites(fill(folder, IMAGES))
    assert caught.value.code == "FS-873"
