"""The logistic heart study: one that can be served, and patients to ask about."""

import csv
from pathlib import Path
from typing import Final

import numpy as np

from fedsecure.study.config import load_study
from fedsecure.study.schema.tabular import TableSchema
from fedsecure.study.sites import find_sites
from fedsecure_clients.data.dataset import load, split

STUDIES: Final = Path(__file__).parents[3] / "studies"
FOLDER: Final = STUDIES / "heart-logistic"
PATIENTS: Final = FOLDER / "patients.csv"


def encoded(schema: TableSchema, row: dict[str, str]) -> tuple[float, ...]:
    cells = (column.encode(row[column.name]) for column in schema.columns)
    return tuple(number for cell in cells for number in cell)


def test_no_hospital_trains_on_the_clinic_s_patients() -> None:
    study = load_study(FOLDER)
    assert isinstance(study.features, TableSchema)
    trained_on, held_out = set(), set()
    for path in find_sites(FOLDER).values():
        rows = load(path, study.features)
        training = study.training
        both = split(rows, training.holdout, training.seed)
        for seen, half in zip((trained_on, held_out), both, strict=True):
            seen.update(row.tobytes() for row in half.features)
    with PATIENTS.open(encoding="utf-8") as file:
        patients = [encoded(study.features, row) for row in csv.DictReader(file)]
    keys = {np.array(row, np.float32).tobytes() for row in patients}
    assert len(keys) == len(patients) == 23
    assert keys <= held_out
    assert not keys & trained_on


def test_the_patients_have_a_number_and_no_label() -> None:
    schema = load_study(FOLDER).features
    assert isinstance(schema, TableSchema)
    with PATIENTS.open(encoding="utf-8") as file:
        (header, *_) = csv.reader(file)
    assert header == ["patient", *(column.name for column in schema.columns)]


def test_its_rows_are_those_of_the_heart_study() -> None:
    ours, heart = FOLDER / "schema.toml", STUDIES / "heart" / "schema.toml"
    assert ours.read_bytes() == heart.read_bytes()
    assert find_sites(FOLDER).keys() == find_sites(STUDIES / "heart").keys()
