"""A study of one's own, over folders of images, through real processes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.e2e.federation import Federation, federation
from tests.studies.sites import SITES, copy_study

pytestmark = pytest.mark.e2e

ROUNDS = 2


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """The digits study at four sites, of which two lack classes."""
    root = tmp_path_factory.mktemp("digits")
    study = copy_study("digits", root / "source")
    (root / "federation").mkdir()
    with federation(root / "federation", source=study) as running:
        running.train(ROUNDS)
        yield running


def test_every_site_is_in_every_round_and_the_model_learns(digits: Federation) -> None:
    rows = digits.rows(
        digits.owner_db,
        "SELECT purpose, in_set, accuracy, loss, auc, clip_rate FROM v_round "
        "WHERE state = 'opened' ORDER BY proposed_at",
    )
    assert [row["purpose"] for row in rows] == ["train"] * ROUNDS + ["evaluate"]
    assert {row["in_set"] for row in rows} == {len(SITES)}
    assert {row["auc"] for row in rows} == {None}
    # Every round's metrics are of the model that it started from.
    assert rows[-1]["accuracy"] > rows[0]["accuracy"] + 0.3
    assert rows[-1]["loss"] < rows[0]["loss"] / 2
    assert 0 < rows[0]["clip_rate"] < 1


def test_a_digit_means_the_same_at_all_sites_though_two_lack_some(
    digits: Federation,
) -> None:
    (path,) = (digits.folder.root / "owner" / "models").glob("*/model.keras")
    model = keras.saving.load_model(path)
    images = load_digits()
    pixels = (np.rint(images.images * (255 / 16)) / 255).astype(np.float32)
    guess = model.predict(pixels[..., np.newaxis], verbose=0).argmax(axis=1)
    confusion = np.zeros((10, 10), dtype=np.int64)
    np.add.at(confusion, (images.target, guess), 1)
    assert (confusion.argmax(axis=1) == np.arange(10)).all()
    assert confusion.trace() / confusion.sum() > 0.7


def test_curves_are_drawn_for_a_study_without_an_auc(
    digits: Federation, tmp_path: Path
) -> None:
    picture = tmp_path / "curves.png"
    subprocess.run(
        [
            *(sys.executable, "-m", "fedsecure", "rounds", "plot"),
            *("--db", str(digits.owner_db), "--output", str(picture)),
        ],
        check=True,
        capture_output=True,
    )
    assert picture.stat().st_size > 0
