"""Files that their user alone can read: keys and what opens them."""

import errno
import os
from pathlib import Path
from typing import Final

from fedsecure.errors import OperatorError
from fedsecure.system.durability import sync

DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def write_private(path: Path, content: bytes) -> None:
    """Create a file that only this user can read (0600); never overwrites.

    Guarantee: when this returns, the file is on disk; when it raises, there is none.

    Raises:
        OperatorError: FS-743 when the file exists or cannot be written, FS-523 when
            the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, 0o600)  # the umask may have taken more
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            sync(path.parent)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        code = "FS-523" if error.errno in DISK_FULL else "FS-743"
        raise OperatorError(code, f"{path}: {error.strerror}") from error


class ReadableByOthersError(OperatorError):
    """A private file's mode lets others in: FS-744."""


def read_private(path: Path) -> bytes:
    """Read a private file, refusing one that others can read.

    Raises:
        ReadableByOthersError: FS-744 when the mode lets others in.
        OperatorError: FS-801 when unreadable.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read()
    except OSError as error:
        raise OperatorError("FS-801", f"{path}: {error.strerror}") from error
    if mode & 0o077:
        raise ReadableByOthersError("FS-744", f"{path} has mode {mode & 0o777:04o}")
    return content
