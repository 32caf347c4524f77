"""Makes what was written outlast a power cut."""

import errno
import os
from pathlib import Path
from typing import Final

OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})


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
