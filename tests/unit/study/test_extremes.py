"""A model that fails on what the schema allows is refused before it travels."""

from pathlib import Path
from typing import Final

import numpy as np
import pytest

from fedsecure.errors import OperatorError
from fedsecure.study.config import load_study
from fedsecure.study.keras.building import build_model
from fedsecure.study.schema.extremes import ends, extremes
from fedsecure.study.schema.features import load_schema
from tests.protocol.federation import refused

STUDY: Final = """\
version = 1
name = "ends"
title = "Ends of a range"
model = "model:build"
schema = "schema.toml"
[training]
rounds = 1
local_epochs = 1
batch_size = 8
seed = 1
holdout = 0.5
[aggregation]
clip = 1.0
[metrics]
loss = [0.0, 4.0]
"""
SCHEMA: Final = """\
version = 1
[label]
column = "num"
positive = "> 0"
[[columns]]
name = "grade"
type = "number"
range = [{low}, {high}]
{more}
"""
MODEL: Final = """\
import keras
from keras import layers
def build():
    model = keras.Sequential([keras.Input((1,)), {first},
        layers.Flatten(), layers.Dense(1, activation="sigmoid")])
    model.compile(optimizer=keras.optimizers.SGD({rate}), loss="binary_crossentropy")
    return model
"""
EMBEDDING: Final = "layers.Embedding(4, 2)"


def study(
    folder: Path,
    low: float,
    high: float,
    *,
    first: str = EMBEDDING,
    more: str = "",
    rate: float = 0.1,
) -> Path:
    (folder / "study.toml").write_text(STUDY)
    text = SCHEMA.format(low=low, high=high, more=more)
    (folder / "schema.toml").write_text(text)
    (folder / "model.py").write_text(MODEL.format(first=first, rate=rate))
    return folder


@pytest.mark.parametrize(("low", "high"), [(-10, 10), (0, 4), (-9, 3)])
def test_an_embedding_over_values_that_it_has_no_entry_for_is_refused(
    tmp_path: Path, low: float, high: float
) -> None:
    with refused("FS-433") as caught:
        build_model(load_study(study(tmp_path, low, high)))
    assert isinstance(caught.value, OperatorError)
    assert "is not in [0, 4)" in caught.value.detail


def test_an_embedding_with_an_entry_for_each_value_is_built(tmp_path: Path) -> None:
    _, data = build_model(load_study(study(tmp_path, 0, 3)))
    assert data.size == 4 * 2 + 2 + 1


def test_what_stands_for_a_missing_value_is_tried_too(tmp_path: Path) -> None:
    more = 'missing = [""]\nimpute = 9'
    with refused("FS-433"):
        build_model(load_study(study(tmp_path, 0, 3, more=more)))


def test_a_model_whose_outputs_are_no_numbers_at_an_end_is_refused(
    tmp_path: Path,
) -> None:
    first = "layers.Rescaling(1e9), layers.LayerNormalization()"
    folder = study(tmp_path, 0, 1e38, first=first)
    with refused("FS-433") as caught:
        build_model(load_study(folder))
    assert "NaN or infinity" in caught.value.detail


@pytest.mark.parametrize("rate", [1e30, -1e12])
def test_a_learning_rate_beyond_all_use_is_named_as_the_models_own(
    tmp_path: Path, rate: float
) -> None:
    with refused("FS-434") as caught:
        build_model(load_study(study(tmp_path, 0, 3, rate=rate)))
    assert f"learning_rate is {rate:g}, beyond 2,147,483,648" in caught.value.detail


def test_the_ends_are_those_that_a_model_sees(tmp_path: Path) -> None:
    path = tmp_path / "schema.toml"
    path.write_text(
        SCHEMA.format(
            low=100,
            high=200,
            more='scale = { centre = 150, spread = 50 }\nmissing = ["?"]\n'
            "impute = 300\nindicator = true\n"
            '[[columns]]\nname = "sex"\ntype = "category"\nvalues = ["f", "m"]\n'
            '[[columns]]\nname = "smokes"\ntype = "boolean"',
        )
    )
    schema = load_schema(path)
    low, high = ends(schema)
    assert low.tolist() == [-1.0, 0.0, 0.0, 0.0, 0.0]
    assert high.tolist() == [3.0, 1.0, 1.0, 1.0, 1.0]
    rows = extremes(schema)
    assert rows.shape == (3 + 2 * 5, *schema.shape)
    assert rows.dtype == np.float32
    for place in range(5):
        assert {low[place], high[place]} <= set(rows[3:, place])


def test_images_and_arrays_have_ends_too(tmp_path: Path) -> None:
    path = tmp_path / "schema.toml"
    path.write_text(
        'kind = "images"\nversion = 1\n[label]\nclasses = ["a", "b"]\n'
        '[image]\nsize = [2, 3]\ncolour = "rgb"\n'
    )
    low, high = ends(load_schema(path))
    assert low.shape == high.shape == (2, 3, 3)
    assert (low.min(), high.max()) == (0.0, 1.0)
    path.write_text(
        'kind = "arrays"\nversion = 1\n[features]\narray = "x"\nshape = [4]\n'
        'dtype = "uint8"\nrange = [0, 255]\nscale = { centre = 0, spread = 255 }\n'
        '[label]\narray = "y"\nclasses = ["a", "b"]\n'
    )
    assert extremes(load_schema(path)).max() == 1.0
