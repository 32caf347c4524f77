"""Models and opened means as files, named in the tables by their SHA-256.

NumPy's .npy format, never pickled. A file appears whole or not at all, and is on
the disk before a row names it: write a temporary file, fsync, rename, fsync folder.
"""

import hashlib
import io
import os
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedsecure.errors import OperatorError
from fedsecure.owner.store.records import ModelKind, StoredModel
from fedsecure.system.durability import sync

Array = NDArray[Any]


def save_array(
    folder: Path, name: str, array: Array, kind: ModelKind, digest: str | None = None
) -> StoredModel:
    """Write an array; run by the model owner before the round is finished.

    Args:
        folder: The folder of the store's files.
        name: Path below `folder`, such as `heart-1/model-003.npy`.
        array: Any shape, a plain numeric dtype.
        kind: What it is.
        digest: Of a global model, as specs name it.

    Raises:
        OperatorError: FS-606 when it cannot be written; the old file, if any, stays.
    """
    path = _inside(folder, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sha256, size = _write(path, array)
        sync(path.parent)
    except OSError as error:
        raise OperatorError("FS-606", f"{path}: {error.strerror}") from error
    return StoredModel(PurePosixPath(name).as_posix(), sha256, size, kind, digest)


def load_array(folder: Path, stored: StoredModel) -> Array:
    """Read an array back, if it still is what was recorded.

    Raises:
        OperatorError: FS-605 when the file's digest is another, FS-606 when it
            cannot be read.
    """
    path = _inside(folder, stored.path)
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != stored.sha256:
                raise OperatorError(
                    "FS-605",
                    f"{path} has SHA-256 {found[:12]}, recorded {stored.sha256[:12]}",
                )
            file.seek(0)
            array: Array = np.load(file, allow_pickle=False)
            return array
    except (OSError, ValueError) as error:
        raise OperatorError("FS-606", f"{path}: {error}") from error


def _inside(folder: Path, name: str) -> Path:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or not relative.name:
        raise OperatorError("FS-606", f"{name!r} is not a path below {folder}")
    return folder / relative


def _write(path: Path, array: Array) -> tuple[str, int]:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "w+b") as file:
            np.save(file, array, allow_pickle=False)
            result = _flush_and_hash(file)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return result


def _flush_and_hash(file: io.BufferedRandom) -> tuple[str, int]:
    file.flush()
    os.fsync(file.fileno())
    size = file.tell()
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest(), size
