"""Turn a data owner's NPZ file into features and labels, by the study's schema alone.

An array's header is looked at before any of its data is read: an array of Python
objects, which would have to be unpickled, is refused by its type.
"""

import math
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from clients.examples import (
    Dataset,
    Features,
    Inspection,
    Labels,
    Problem,
    merged,
    require_memory,
)
from fedsecure.errors import OperatorError
from fedsecure.study.array_schema import ArrayFeatures, ArrayLabel, ArraysSchema
from fedsecure.study.columns import Scale, listed

BLOCK: Final = 2**20  # numbers that are looked at together
SUFFIX: Final = ".npy"  # of an array in the archive
STRANGE: Final = -1  # stands for a label that the study does not know
BROKEN: Final = (
    ValueError,
    EOFError,
    RuntimeError,  # what zipfile says of encryption and unknown compression
    zipfile.BadZipFile,
    zlib.error,
)

Array = NDArray[Any]


def inspect_arrays(path: Path, schema: ArraysSchema) -> Inspection:
    """Read both arrays and list what does not fit; run by a data owner.

    Raises:
        OperatorError: FS-100 unreadable, FS-126 another kind of file, FS-125 not NPZ,
            FS-120 an array is missing, FS-121 another type or shape, FS-124 other
            numbers of rows, FS-140 too large.
    """
    if path.suffix.lower() not in schema.SUFFIXES:
        raise OperatorError("FS-126", f"{path} is not an .npz file")
    with _opened(path) as archive:
        rows = _require_headers(archive, schema)
        features = archive.read(schema.features.array)
        labels = archive.read(schema.label.array).tolist()
    encoded, misfits = _encode_features(features, schema.features)
    numbers, strangers = _encode_labels(labels, schema.label)
    problems = (*misfits, *strangers)
    dataset = Dataset(encoded, numbers, schema.class_names)
    read = {schema.features.array, schema.label.array}
    return Inspection(
        path=path,
        rows=rows,
        problems=problems,
        dataset=None if problems else dataset,
        ignored=tuple(name for name in archive.names if name not in read),
    )


@dataclass(frozen=True, slots=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class _Archive:
    path: Path
    file: zipfile.ZipFile

    @property
    def names(self) -> list[str]:
        entries = self.file.namelist()
        return [entry.removesuffix(SUFFIX) for entry in entries]

    def header(self, name: str) -> _Header:
        """Read what an array is, and none of its data."""
        count = self.names.count(name)
        if count != 1:
            found = "lacks" if count == 0 else f"holds {count} times"
            raise OperatorError("FS-120", f"{self.path} {found} {name}")
        with self.file.open(name + SUFFIX) as entry:
            version = npy.read_magic(entry)
            readers = {
                (1, 0): npy.read_array_header_1_0,
                (2, 0): npy.read_array_header_2_0,
            }
            if version not in readers:
                msg = f"{name} is in version {version} of the format"
                raise ValueError(msg)
            shape, _, dtype = readers[version](entry)
        return _Header(shape, dtype)

    def read(self, name: str) -> Array:
        with self.file.open(name + SUFFIX) as entry:
            array: Array = npy.read_array(entry, allow_pickle=False)
            _require_end(entry, name)
        return array


def _require_end(entry: IO[bytes], name: str) -> None:
    # At the end of an entry, zipfile compares its checksum, too.
    if entry.read(1):
        msg = f"{name} goes on behind its last value"
        raise ValueError(msg)


@contextmanager
def _opened(path: Path) -> Iterator[_Archive]:
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(path) as file:
            warnings.simplefilter("ignore")  # numpy, about headers of Python 2
            yield _Archive(path, file)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OperatorError("FS-100", f"{path}: {reason}") from error
    except BROKEN as error:
        reason = type(error).__name__
        raise OperatorError("FS-125", f"{path}: {reason}") from error


def _require_headers(archive: _Archive, schema: ArraysSchema) -> int:
    """Check types and shapes of both arrays; return the number of rows."""
    features, label = schema.features, schema.label
    given = archive.header(features.array)
    _require_dtype(features.array, given, np.dtype(features.dtype))
    rows = given.shape[0] if given.shape else 0
    _require_shape(features.array, given, (rows, *features.shape))
    require_memory(archive.path, rows, features.shape)
    labels = archive.header(label.array)
    _require_label_type(label, labels)
    if len(labels.shape) == 1 and labels.shape != (rows,):
        raise OperatorError(
            "FS-124",
            f"{features.array} has {rows} rows, {label.array} {labels.shape[0]}",
        )
    _require_shape(label.array, labels, (rows,))
    return rows


def _require_dtype(name: str, given: _Header, wanted: np.dtype[Any]) -> None:
    # The order of bytes is the file's own business.
    if given.dtype.newbyteorder("=") != wanted:
        raise OperatorError(
            "FS-121", f"{name} is {given.dtype}, the study needs {wanted}"
        )


def _require_label_type(label: ArrayLabel, given: _Header) -> None:
    kinds, wanted = ("iu", "integers") if label.type == "number" else ("U", "text")
    if given.dtype.kind not in kinds:
        raise OperatorError(
            "FS-121", f"{label.array} is {given.dtype}, the study needs {wanted}"
        )


def _require_shape(name: str, given: _Header, wanted: tuple[int, ...]) -> None:
    if given.shape != wanted or min(wanted) < 0:
        raise OperatorError(
            "FS-121", f"{name} has the shape {given.shape}, the study needs {wanted}"
        )


def _encode_features(
    values: Array, schema: ArrayFeatures
) -> tuple[Features, list[Problem]]:
    """Return the scaled features, and what is out of range by the first of it."""
    encoded = np.empty(values.shape, dtype=np.float32)
    problems: list[Problem] = []
    step = max(1, BLOCK // math.prod(schema.shape))
    for start in range(0, len(values), step):
        block = values[start : start + step].astype(np.float64)
        problems += _out_of_range(block, start, schema)
        with np.errstate(over="ignore", invalid="ignore"):  # of what is refused
            encoded[start : start + step] = _scaled(block, schema.scale)
    return encoded, list(merged(problems))


def _scaled(block: Array, scale: Scale | None) -> Array:
    if scale is not None:
        block -= scale.centre
        block /= scale.spread
    return block


def _out_of_range(block: Array, start: int, schema: ArrayFeatures) -> Iterator[Problem]:
    low, high = schema.range.low, schema.range.high
    misfits = ~((block >= low) & (block <= high))  # so that NaN is one
    if not misfits.any():
        return
    place = np.unravel_index(int(misfits.argmax()), block.shape)
    finite = np.isfinite(block[place])
    reason = f"a number outside {low:g} to {high:g}" if finite else "not a number"
    indices = ", ".join(map(str, (start + int(place[0]), *map(int, place[1:]))))
    where = f"{schema.array}[{indices}]"
    yield Problem("FS-122", where, reason, int(misfits.sum()))


def _encode_labels(
    values: Sequence[int | str], label: ArrayLabel
) -> tuple[Labels, list[Problem]]:
    """Return the class numbers, and what is none by the first of it."""
    numbers, reason = _class_numbers(label)
    encoded = np.array([numbers.get(value, STRANGE) for value in values], np.int32)
    strange = np.flatnonzero(encoded == STRANGE)
    if not strange.size:
        return encoded, []
    where = f"{label.array}[{strange[0]}]"
    return encoded, [Problem("FS-123", where, reason, strange.size)]


def _class_numbers(label: ArrayLabel) -> tuple[dict[int | str, int], str]:
    """Return the class number of each value that is one, and what others are."""
    count = len(label.classes)
    if label.type == "number":
        return {n: n for n in range(count)}, f"a number outside 0 to {count - 1}"
    known = f"a name that is none of: {listed(label.classes)}"
    return {name: n for n, name in enumerate(label.classes)}, known
