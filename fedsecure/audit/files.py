"""Models and means beside the round store: check (16) of `fedsecure.audit`."""

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from sqlalchemy import text

from fedsecure.audit.findings import Finding, Report
from fedsecure.audit.walk import Walked

_FILES: Final = text("SELECT path, sha256, bytes FROM models ORDER BY path")


def look(
    owner: Walked, folder: Path, report: Report, told: Callable[[int], None]
) -> None:
    """Check every file that the round store names.

    Args:
        owner: The model owner's store, walked: the names are those of its ledger.
        folder: Of the store's files.
        report: Takes what is found.
        told: Hears of each file.
    """
    with owner.engine.connect() as connection:
        for path, sha256, size in connection.execute(_FILES):
            report.look(16)
            told(1)
            wrong = _wrong(folder / path, PurePosixPath(path), sha256, size)
            if wrong:
                report.add(
                    Finding(16, "FS-605", owner.party, str(folder / path), wrong)
                )


def _wrong(file: Path, name: PurePosixPath, sha256: str, size: int) -> str | None:
    if name.is_absolute() or ".." in name.parts:
        return "it is not below the store's folder"
    try:
        if file.stat().st_size != size:
            return f"it has {file.stat().st_size} bytes, recorded {size}"
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    if found != sha256:
        return f"its SHA-256 is {found[:12]}, recorded {sha256[:12]}"
    return None
