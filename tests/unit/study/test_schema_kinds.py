"""Schemas over arrays and images; over tables, see test_schema."""

from pathlib import Path

import pytest

from fedsecure.errors import OperatorError
from fedsecure.study.schema.features import AnySchema, load_schema
from fedsecure.study.strict import canonical
from fedsecure.study.task import Task, parse_task

TABLE = """\
version = 1
[label]
column = "ill"
positive = "> 0"
[[columns]]
name = "age"
type = "number"
range = [0, 120]
"""
ARRAYS = """\
version = 1
kind = "arrays"

[features]
array = "ecg"
shape = [1000, 12]
dtype = "float32"
range = [-10, 10]
scale = { centre = 0, spread = 2 }

[label]
array = "rhythm"
classes = ["sinus", "fibrillation", "other"]
"""
IMAGES = """\
version = 1
kind = "images"

[label]
classes = ["normal", "pneumonia"]

[image]
size = [64, 48]
colour = "rgb"
"""


def read(folder: Path, text: str) -> AnySchema:
    path = folder / "schema.toml"
    path.write_text(text, encoding="utf-8")
    return load_schema(path)


@pytest.mark.parametrize(
    ("text", "kind", "shape", "classes"),
    [
        (TABLE, "table", (1,), ("not ill > 0", "ill > 0")),
        (ARRAYS, "arrays", (1000, 12), ("sinus", "fibrillation", "other")),
        (IMAGES, "images", (64, 48, 3), ("normal", "pneumonia")),
        (
            IMAGES.replace('"rgb"', '"grayscale"'),
            "images",
            (64, 48, 1),
            ("normal", "pneumonia"),
        ),
    ],
)
def test_every_kind_says_what_a_model_takes_and_which_classes_it_tells_apart(
    tmp_path: Path, text: str, kind: str, shape: tuple[int, ...], classes: object
) -> None:
    schema = read(tmp_path, text)
    assert (schema.kind, schema.shape) == (kind, shape)
    assert schema.class_names == classes


@pytest.mark.parametrize("text", [TABLE, ARRAYS, IMAGES])
def test_every_kind_survives_the_way_to_a_data_owner(
    tmp_path: Path, task: Task, text: str
) -> None:
    sent = task.model_copy(update={"features": read(tmp_path, text)})
    arrived = parse_task(sent.text)
    assert arrived == sent
    assert canonical(arrived.features) in sent.text


@pytest.mark.parametrize(
    ("text", "old", "new", "line", "key"),
    [
        (ARRAYS, '"arrays"', '"array"', None, "kind"),
        (ARRAYS, '"arrays"', "3", None, "kind"),
        (ARRAYS, "version = 1", "version = 2", 1, "version"),
        (ARRAYS, "[1000, 12]", "[]", 6, "features.shape"),
        (ARRAYS, "[1000, 12]", "[1000, 0]", 6, "features.shape"),
        (ARRAYS, "[1000, 12]", "[100000, 1000]", 4, "features"),
        (ARRAYS, '"float32"', '"object"', 7, "features.dtype"),
        (ARRAYS, '"float32"', '"complex64"', 7, "features.dtype"),
        (ARRAYS, "[-10, 10]", "[10, -10]", 8, "features.range"),
        (ARRAYS, "[-10, 10]", "[-10, 1e39]", 4, "features"),
        (ARRAYS, '"ecg"', '"../ecg"', 5, "features.array"),
        (ARRAYS, '"ecg"', '"rhythm"', 1, "the file as a whole"),
        (ARRAYS, ', "fibrillation", "other"', "", 11, "label"),
        (ARRAYS, '"fibrillation"', '"sinus"', 11, "label"),
        (ARRAYS, "[label]", 'colour = "rgb"\n[label]', 11, "features.colour"),
        (IMAGES, "[64, 48]", "[64]", 8, "image.size"),
        (IMAGES, "[64, 48]", "[64, 100000]", 8, "image.size"),
        (IMAGES, '"rgb"', '"cmyk"', 9, "image.colour"),
        (IMAGES, '"rgb"', '"rgb"\nresize = "any"', 10, "image.resize"),
        (IMAGES, '"normal"', '"../normal"', 4, "label"),
        (IMAGES, '"normal"', '"."', 4, "label"),
        (IMAGES, '"normal"', '"Pneumonia"', 4, "label"),
        (IMAGES, '"normal"', '"nor\\nmal"', 5, "label.classes"),
        (IMAGES, '"normal"', '"\\u001b[2J"', 5, "label.classes"),
        (TABLE, "[0, 120]", "[0, 1e39]", 5, "columns.age"),
    ],
)
def test_a_wrong_schema_names_the_line_and_the_key(
    tmp_path: Path, text: str, old: str, new: str, line: int | None, key: str
) -> None:
    assert old in text
    with pytest.raises(OperatorError) as caught:
        read(tmp_path, text.replace(old, new, 1))
    assert caught.value.code == "FS-840"
    assert (
        f"schema.toml{f', line {line}' if line else ''}, {key}" in caught.value.detail
    )
