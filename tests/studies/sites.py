"""Write the data of the tests' studies: what scikit-learn ships, at four sites.

Every study has a site that is sorted by label, one that lacks the first class, and one
that holds the last class only: numbers that were counted from the classes which are
there would be wrong at both.
"""

import csv
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits, load_wine

FOLDER: Final = Path(__file__).parent
SITES: Final = ("all", "lacks-one", "one-class", "sorted")

Rows = NDArray[np.intp]


def copy_study(name: str, folder: Path) -> Path:
    """Copy one of the tests' studies and write its data; return the copy."""
    shutil.copytree(FOLDER / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data").mkdir()
    WRITERS[name](folder / "data")
    return folder


def shared_out(labels: NDArray[Any], seed: int) -> Mapping[str, Rows]:
    """Return whose each row is; every row is one site's."""
    first, *_, last = np.unique(labels)
    rand = np.random.default_rng(seed)
    owner = rand.choice(["all", "lacks-one", "sorted"], len(labels))
    owner[(labels == first) & (owner == "lacks-one")] = "all"
    owner[(labels == last) & (rand.random(len(labels)) < 0.3)] = "one-class"
    rows = {name: rand.permutation(np.flatnonzero(owner == name)) for name in SITES}
    of_sorted = rows["sorted"]
    order = np.argsort(labels[of_sorted], kind="stable")
    return {**rows, "sorted": of_sorted[order]}


def write_wine(data: Path) -> None:
    """Write CSV files, one of them as Parquet; a column and some cells are made up."""
    wine = load_wine()
    cultivars = ("barolo", "grignolino", "barbera")
    for name, rows in shared_out(wine.target, seed=1).items():
        path = data / f"{name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*wine.feature_names, "organic", "cultivar"])
            for row in rows:
                cells = [*wine.data[row], "yes" if row % 3 else "no"]
                if row % 10 == 0:
                    cells[wine.feature_names.index("flavanoids")] = "n/a"
                writer.writerow([*cells, cultivars[wine.target[row]]])
    pq.write_table(pa_csv.read_csv(data / "all.csv"), data / "all.parquet")
    (data / "all.csv").unlink()


def write_digits(data: Path) -> None:
    """Write a folder of PNG files for each digit that a site has."""
    digits = load_digits()
    for name, rows in shared_out(digits.target, seed=2).items():
        for row in rows:
            path = data / name / str(digits.target[row]) / f"{row:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.rint(digits.images[row] * (255 / 16))
            Image.fromarray(pixels.astype(np.uint8)).save(path)


def write_parity(data: Path) -> None:
    """Write NPZ files with the digits' pixels and whether they are odd."""
    digits = load_digits()
    odd = digits.target % 2
    for name, rows in shared_out(odd, seed=3).items():
        np.savez_compressed(
            data / f"{name}.npz",
            pixels=digits.images[rows].astype(np.uint8),
            parity=np.array(["even", "odd"])[odd[rows]],
        )


WRITERS: Final = {"wine": write_wine, "digits": write_digits, "parity": write_parity}
