"""Writes a party's files: each is there whole, as it was or as it is to be."""

import os
import tempfile
from pathlib import Path
from typing import Final

from fedsecure.errors import OperatorError
from fedsecure.system.durability import sync

READABLE: Final = 0o644


def write_public(path: Path, content: bytes) -> None:
    """Write a file that anybody may read; the old one stays until it is whole.

    Raises:
        OperatorError: FS-816 when it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(descriptor, READABLE)
                file.write(content)
                file.flush()
                os.fsync(descriptor)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync(path.parent)
    except OSError as error:
        raise OperatorError("FS-816", f"{path}: {error.strerror}") from error


def replace(new: Path, old: Path) -> None:
    """Put a file in the place of another, on disk when this returns.

    Raises:
        OperatorError: FS-816.
    """
    try:
        sync(new)
        new.replace(old)
        sync(old.parent)
    except OSError as error:
        raise OperatorError("FS-816", f"{old}: {error.strerror}") from error
