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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from fedsecure.errors import OperatorError
from fedsecure.study.schema.arrays import ArrayFeatures, ArrayLabel, ArraysSchema
from fedsecure.study.schema.columns import Scale, listed
from fedsecure_clients.data.examples import (
    MAX_PLACES,
    Dataset,
    Features,
    Inspection,
    Labels,
    Note,
    Problem,
    merged,
    require_memory,
    stop,
)
from fedsecure_clients.data.near_names import lacking

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


def inspect_arrays(path: Path, schema: ArraysSchema, note: Note = stop) -> Inspection:
    """Read both arrays and list what does not fit; run by a data owner.

    Args:
        path: The file.
        schema: What the study makes of it.
        note: Hears what is wrong with an array as a whole (FS-120, FS-121, FS-124).

    Raises:
        OperatorError: FS-100 unreadable, FS-126 another kind of file, FS-125 not NPZ,
            FS-120 an array is missing, FS-121 another type or shape, FS-124 other
            numbers of rows, FS-140 too large.
    """
    if path.suffix.lower() not in schema.SUFFIXES:
        raise OperatorError("FS-126", f"{path} is not an .npz file")
    with _opened(path) as archive:
        read = {schema.features.array, schema.label.array}
        ignored = tuple(name for name in archive.names if name not in read)
        rows = _look_at_headers(archive, schema, note)
        if rows is None:
            return Inspection(path, 0, (), None, ignored=ignored)
        features = archive.read(schema.features.array)
        labels = archive.read(schema.label.array).tolist()
    encoded, misfits = _encode_features(features, schema.features)
    numbers, strangers = _encode_labels(labels, schema.label)
    every = (*misfits, *strangers)
    problems = tuple(merged(every))
    dataset = Dataset(encoded, numbers, schema.class_names)
    return Inspection(
        path=path,
        rows=rows,
        problems=problems,
        dataset=None if problems else dataset,
        every=every[:MAX_PLACES],
        ignored=ignored,
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
            if count == 0:
                why = f"lacks {lacking([name], self.names)}"
            else:
                why = f"holds {count} times {name}"
            raise OperatorError("FS-120", f"{self.path} {why}")
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


def _look_at_headers(archive: _Archive, schema: ArraysSchema, note: Note) -> int | None:
    """Check types and shapes of both arrays; return the number of rows if they fit."""
    found: list[int] = []
    for look in (_features_rows, _label_rows):
        try:
            found.append(look(archive, schema))
        except OperatorError as error:
            note(error)
    if len(found) < 2:
        return None
    rows, labels = found
    if labels != rows:
        names = (
            f"{schema.features.array} has {rows} rows, {schema.label.array} {labels}"
        )
        note(OperatorError("FS-124", names))
        return None
    return rows


def _features_rows(archive: _Archive, schema: ArraysSchema) -> int:
    features = schema.features
    given = archive.header(features.array)
    _require_dtype(features.array, given, np.dtype(features.dtype))
    rows = given.shape[0] if given.shape else 0
    _require_shape(features.array, given, (rows, *features.shape))
    require_memory(archive.path, rows, features.shape)
    return rows


def _label_rows(archive: _Archive, schema: ArraysSchema) -> int:
    given = archive.header(schema.label.array)
    _require_label_type(schema.label, given)
    rows = given.shape[0] if given.shape else 0
    _require_shape(schema.label.array, given, (rows,))
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
    """Return the scaled features, and the places that are out of range.

    The last one that is listed counts for all that follow it.
    """
    encoded = np.empty(values.shape, dtype=np.float32)
    places: list[Problem] = []
    step = max(1, BLOCK // math.prod(schema.shape))
    for start in range(0, len(values), step):
        block = values[start : start + step].astype(np.float64)
        _note_out_of_range(places, block, start, schema)
        with np.errstate(over="ignore", invalid="ignore"):  # of what is refused
            encoded[start : start + step] = _scaled(block, schema.scale)
    return encoded, places


def _scaled(block: Array, scale: Scale | None) -> Array:
    if scale is not None:
        block -= scale.centre
        block /= scale.spread
    return block


def _note_out_of_range(
    places: list[Problem], block: Array, start: int, schema: ArrayFeatures
) -> None:
    low, high = schema.range.low, schema.range.high
    misfits = ~((block >= low) & (block <= high))  # so that NaN is one
    count = int(misfits.sum())
    listed_here = min(count, max(0, MAX_PLACES - len(places)))
    for flat in np.flatnonzero(misfits)[:listed_here]:
        place = np.unravel_index(int(flat), block.shape)
        finite = np.isfinite(block[place])
        reason = f"a number outside {low:g} to {high:g}" if finite else "not a number"
        indices = ", ".join(map(str, (start + int(place[0]), *map(int, place[1:]))))
        places.append(Problem("FS-122", f"{schema.array}[{indices}]", reason))
    _count_more(places, count - listed_here)


def _count_more(places: list[Problem], more: int) -> None:
    if more:
        places[-1] = replace(places[-1], count=places[-1].count + more)


def _encode_labels(
    values: Sequence[int | str], label: ArrayLabel
) -> tuple[Labels, list[Problem]]:
    """Return the class numbers, and the places of what is none."""
    numbers, reason = _class_numbers(label)
    encoded = np.array([numbers.get(value, STRANGE) for value in values], np.int32)
    strange = np.flatnonzero(encoded == STRANGE)
    if not strange.size:
        return encoded, []
    places = [
        Problem("FS-123", f"{label.array}[{place}]", reason)
        for place in strange[:MAX_PLACES]
    ]
    _count_more(places, strange.size - len(places))
    return encoded, places


def _class_numbers(label: ArrayLabel) -> tuple[dict[int | str, int], str]:
    """Return the class number of each value that is one, and what others are."""
    count = len(label.classes)
    if label.type == "number":
        return {n: n for n in range(count)}, f"a number outside 0 to {count - 1}"
    known = f"a name that is none of: {listed(label.classes)}"
    return {name: n for n, name in enumerate(label.classes)}, known
