"""NPZ files: nothing in them is believed, and what is wrong is named by its place."""

import io
import pickle  # noqa: TID251 - the attack needs it
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fedsecure.errors import OperatorError
from fedsecure.study.schema.arrays import ArraysSchema
from fedsecure_clients.data import arrays, examples
from fedsecure_clients.data.dataset import inspect, load

Arrays = dict[str, NDArray[Any]]


def schema(**features: object) -> ArraysSchema:
    content = {
        "version": 1,
        "kind": "arrays",
        "features": {
            "array": "x",
            "shape": (2, 3),
            "dtype": "float32",
            "range": [-4, 4],
            "scale": {"centre": 1, "spread": 2},
            **features,
        },
        "label": {"array": "y", "classes": ("none", "mild", "severe")},
    }
    return ArraysSchema.model_validate(content)


def named(kind: str) -> ArraysSchema:
    label = schema().label.model_copy(update={"type": kind})
    return schema().model_copy(update={"label": label})


def good() -> Arrays:
    rand = np.random.default_rng(1)
    x = rand.uniform(-4, 4, (5, 2, 3)).astype(np.float32)
    return {"x": x, "y": np.array([2, 0, 1, 0, 2])}


def saved(folder: Path, content: Mapping[str, Any], name: str = "rows.npz") -> Path:
    path = folder / name
    np.savez_compressed(path, **content)
    return path


def refusal(path: Path, wanted: ArraysSchema | None = None) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        load(path, wanted or schema())
    assert str(path) in caught.value.detail or caught.value.code in {"FS-121", "FS-124"}
    return caught.value


def test_rows_become_scaled_features_and_class_numbers(tmp_path: Path) -> None:
    content = good()
    rows = load(saved(tmp_path, content), schema())
    np.testing.assert_allclose(rows.features, (content["x"] - 1) / 2, rtol=1e-6)
    assert rows.features.dtype == np.float32
    assert rows.labels.tolist() == [2, 0, 1, 0, 2]
    assert rows.labels.dtype == np.int32


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a | {"x": np.asfortranarray(a["x"])},
        lambda a: a | {"x": a["x"].astype(">f4")},
        lambda a: a | {"y": a["y"].astype(np.uint8)},
        lambda a: a | {"name": np.array(["Ann", "Bob"])},
        lambda a: dict(reversed(a.items())),
    ],
    ids=["column order", "byte order", "integer", "another array", "order"],
)
def test_how_a_file_was_written_changes_nothing(
    tmp_path: Path, change: Callable[[Arrays], Arrays]
) -> None:
    plain = load(saved(tmp_path, good()), schema())
    other = load(saved(tmp_path, change(good()), "other.npz"), schema())
    assert np.array_equal(plain.features, other.features)
    assert np.array_equal(plain.labels, other.labels)


def test_labels_may_be_the_names_of_the_classes(tmp_path: Path) -> None:
    content = good() | {"y": np.array(["severe", "none", "mild", "none", "severe"])}
    assert load(saved(tmp_path, content), named("name")).labels.tolist() == [
        *(2, 0, 1, 0, 2)
    ]
    content["y"][3] = "moderate"
    error = refusal(saved(tmp_path, content), named("name"))
    assert error.code == "FS-123"
    assert "y[3]: a name that is none of: none, mild, severe" in error.detail


def spoiled(name: str, place: Any, value: Any) -> Callable[[Arrays], Arrays]:
    def spoil(content: Arrays) -> Arrays:
        content[name][place] = value
        return content

    return spoil


@pytest.mark.parametrize(
    ("spoil", "code", "says"),
    [
        (spoiled("x", (3, 1, 2), np.nan), "FS-122", "x[3, 1, 2]: not a number"),
        (spoiled("x", (0, 0, 1), -np.inf), "FS-122", "x[0, 0, 1]: not a number"),
        (spoiled("x", (4, 0, 0), 4.5), "FS-122", "x[4, 0, 0]: a number outside -4 to"),
        (spoiled("x", slice(2, 4), 9), "FS-122", "x[2, 0, 0]: a number outside -4 to"),
        (spoiled("x", slice(2, 4), 9), "FS-122", "(and 11 more)"),
        (spoiled("y", 1, 3), "FS-123", "y[1]: a number outside 0 to 2"),
        (spoiled("y", slice(3, 5), -1), "FS-123", "y[3]: a number outside 0 to 2 (and"),
        (lambda a: {"y": a["y"]}, "FS-120", "lacks x"),
        (lambda a: {"X": a["x"], "y": a["y"]}, "FS-120", "lacks x"),
        (lambda a: a | {"x": a["x"].astype("f8")}, "FS-121", "x is float64, the study"),
        (lambda a: a | {"x": a["x"][..., 0]}, "FS-121", "x has the shape (5, 2), the"),
        (lambda a: a | {"x": np.float32(1)}, "FS-121", "x has the shape ()"),
        (lambda a: a | {"y": a["y"][:, None]}, "FS-121", "y has the shape (5, 1), the"),
        (lambda a: a | {"y": a["y"] * 1.0}, "FS-121", "y is float64, the study needs"),
        (lambda a: a | {"y": a["y"].astype(str)}, "FS-121", "y is <U"),
        (lambda a: a | {"y": a["y"][:4]}, "FS-124", "x has 5 rows, y 4"),
        (lambda a: {k: v[:0] for k, v in a.items()}, "FS-127", "0 examples"),
        (lambda a: {k: v[:1] for k, v in a.items()}, "FS-110", "1 examples"),
    ],
)
def test_what_does_not_fit_is_named_by_array_and_index(
    tmp_path: Path, spoil: Callable[[Arrays], Arrays], code: str, says: str
) -> None:
    error = refusal(saved(tmp_path, spoil(good())))
    assert error.code == code
    assert says in error.detail


def test_an_index_is_that_of_the_file_however_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(saved(tmp_path, good()), schema())
    monkeypatch.setattr(arrays, "BLOCK", 12)
    assert np.array_equal(
        load(saved(tmp_path, good()), schema()).features, whole.features
    )
    content = good()
    content["x"][[2, 4], 1, 1] = np.nan
    assert (
        "x[2, 1, 1]: not a number (and 1 more)"
        in refusal(saved(tmp_path, content)).detail
    )


def test_an_inspection_lists_what_is_wrong_and_what_is_ignored(tmp_path: Path) -> None:
    content = good() | {"names": np.array(["Ann"])}
    content["x"][1, 1, 1] = 5
    content["y"][2] = 7
    found = inspect(saved(tmp_path, content), schema())
    assert [problem.code for problem in found.problems] == ["FS-122", "FS-123"]
    assert (found.rows, found.ignored, found.dataset) == (5, ("names",), None)


class Bomb:
    """Would write a file if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["x", "y"])
def test_python_objects_are_never_unpickled(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "trace"
    content = good() | {name: np.array([Bomb(trace)] * 5, dtype=object)}
    path = saved(tmp_path, content)
    assert refusal(path).code == "FS-121"
    assert not trace.exists()
    path.write_bytes(pickle.dumps(Bomb(trace)))
    assert refusal(path).code == "FS-125"
    assert not trace.exists()


def npy(array: NDArray[Any], extra: bytes = b"") -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue() + extra


def archived(folder: Path, entries: list[tuple[str, bytes]]) -> Path:
    path = folder / "rows.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


X, Y = (npy(array) for array in good().values())


@pytest.mark.parametrize(
    "x",
    [X[:-1], X + b"\0", X[:20], b"", b"\x93NUMPY\x07\x00" + X[8:], b"PK" + X],
    ids=["cut", "longer", "header cut", "empty", "version", "magic"],
)
def test_an_array_of_another_length_or_format_is_refused(
    tmp_path: Path, x: bytes
) -> None:
    path = archived(tmp_path, [("x.npy", x), ("y.npy", Y)])
    assert refusal(path).code == "FS-125"


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = archived(tmp_path, [("x.npy", X), ("y.npy", Y)])
    content = path.read_bytes()
    place = content.index(X[-24:])
    path.write_bytes(content[:place] + b"\1\1\1\1" + content[place + 4 :])
    assert refusal(path).code == "FS-125"
    path.write_bytes(content[: len(content) // 2])
    assert refusal(path).code == "FS-125"


def test_an_array_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        path = archived(tmp_path, [("x.npy", X), ("x.npy", X), ("y.npy", Y)])
    assert refusal(path).code == "FS-120"


def test_a_header_that_promises_too_much_is_refused_before_anything_is_read(
    tmp_path: Path,
) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2, 3)}
    )
    path = archived(tmp_path, [("x.npy", header.getvalue()), ("y.npy", Y)])
    error = refusal(path)
    assert error.code == "FS-140"
    assert f"at most {examples.MAX_BYTES // 2**30}" in error.detail


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda _: None, "FS-100"),
        (lambda path: path.mkdir(), "FS-100"),
        (lambda path: path.write_text("a,b\n1,2\n"), "FS-125"),
    ],
)
def test_what_is_no_archive_is_refused(
    tmp_path: Path, make: Callable[[Path], object], code: str
) -> None:
    path = tmp_path / "rows.npz"
    make(path)
    assert refusal(path).code == code


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n1,2\n", encoding="utf-8")
    assert refusal(path).code == "FS-126"


def test_an_error_never_repeats_a_value(tmp_path: Path) -> None:
    content = good()
    content["x"][0, 0, 0] = 77.125
    path = saved(tmp_path, content)
    assert "77.125" not in str(refusal(path))
    assert "77.125" not in repr(inspect(path, schema()))
