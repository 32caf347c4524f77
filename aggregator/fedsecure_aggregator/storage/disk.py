"""A disk that fails, in our errors; and files that are whole on it, or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from fedsecure.errors import OperatorError, PeerError
from fedsecure.system.durability import OUT_OF_FILES
from fedsecure.system.private_files import DISK_FULL

ONE_FILE: Final = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EIO, errno.EISDIR, errno.ELOOP}
)
"""Errors that can be about one file alone, when the rest of the disk is sound."""


@contextmanager
def disk(what: str) -> Iterator[None]:
    """Turn the operating system's errors into ours.

    Raises:
        OperatorError: FS-523 when the disk is full, FS-526 when it is read-only,
            FS-536 without a descriptor, FS-524 for any other failure.
    """
    try:
        yield
    except OSError as error:
        code = "FS-526" if error.errno == errno.EROFS else "FS-524"
        code = "FS-523" if error.errno in DISK_FULL else code
        code = "FS-536" if error.errno in OUT_OF_FILES else code
        raise OperatorError(code, f"{what}: {error.strerror}") from error


def is_of_one_file(error: OperatorError) -> bool:
    """Tell whether a failure of `disk` may be about that file and no other.

    Whether the others can be read has to be seen: `Spool.require_sound`.
    """
    cause = error.__cause__
    if isinstance(cause, OSError):
        return cause.errno in ONE_FILE
    return isinstance(cause, PeerError)  # it was read otherwise a second time


@contextmanager
def durable(path: Path) -> Iterator[IO[bytes]]:
    """Write a new file, on disk when the block ends; gone if it fails."""
    try:
        with path.open("xb") as file:
            yield file
            force(file)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def force(file: IO[bytes]) -> None:
    """Wait until what was written to an open file is on the disk.

    Raises:
        OSError: It is not.
    """
    file.flush()
    os.fsync(file.fileno())


def require_writable(folder: Path) -> None:
    """Check that a folder can be written, by writing to it.

    Raises:
        OperatorError: FS-523, FS-524 or FS-526.
    """
    with disk(f"{folder}"), TemporaryFile(dir=folder) as file:
        file.write(b"0")
        file.flush()
