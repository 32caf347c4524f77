"""Makes what was written outlast a power cut, and shows what did not."""

import errno
import hashlib
import os
from pathlib import Path
from typing import Final

from fedsecure.errors import OperatorError

OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})


class DamagedError(OperatorError):
    """A small file is not what was written: FS-541."""


def is_out_of_files() -> bool:
    """Tell whether no descriptor is left, for who hears only that an opening failed."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return error.errno in OUT_OF_FILES
    return False


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk.

    Raises:
        OSError: It cannot be opened or written.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def with_checksum(content: bytes) -> bytes:
    """Return what to write so that `without_checksum` sees a flipped bit."""
    return content + b"\n" + hashlib.sha256(content).hexdigest().encode()


def without_checksum(written: bytes, path: Path, remedy: str) -> bytes:
    """Return the content of a small file that was written with its checksum.

    Args:
        written: All of the file.
        path: Of the file.
        remedy: What to type if it is damaged.

    Raises:
        DamagedError: FS-541 with path and remedy.
    """
    content, _, checksum = written.rpartition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != checksum:
        raise DamagedError("FS-541", f"{path}: {remedy}")
    return content
