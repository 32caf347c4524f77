"""Models and means beside the round store: check (16) of `fedsecure.audit`."""

import hashlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final

from sqlalchemy import text

from fedsecure.audit.checks.walk import Walked
from fedsecure.audit.findings import Finding, Report

_FILES: Final = text("SELECT path, sha256, bytes FROM models ORDER BY path")


def look(
    owner: Walked,
    folder: Path,
    report: Report,
    step: Callable[[int], None],
    *,
    meant: bool,
) -> None:
    """Check every file that the round store names.

    Args:
        owner: The model owner's store, walked: the names are those of its ledger.
        folder: Of the store's files.
        report: Takes what is found.
        step: Hears of each file.
        meant: Whether a person said that the files lie there. Else, if nothing of them
            does, the database came without them: that is no contradiction.
    """
    with owner.engine.connect() as connection:
        paths = [row.path for row in connection.execute(_FILES)]
        roots = sorted({PurePosixPath(path).parts[0] for path in paths if path})
        if paths and not any((folder / root).exists() for root in roots):
            _say_none(owner, folder, len(paths), report, meant=meant)
            return
        for path, sha256, size in connection.execute(_FILES):
            report.look(16)
            step(1)
            wrong = _wrong(folder / path, PurePosixPath(path), sha256, size)
            if wrong:
                report.add(
                    Finding(16, "FS-605", owner.party, str(folder / path), wrong)
                )


def _say_none(
    owner: Walked, folder: Path, number: int, report: Report, *, meant: bool
) -> None:
    what = f"none of the {number} recorded files of models is there"
    if meant:
        report.look(16, number)
        report.add(Finding(16, "FS-605", owner.party, str(folder), what))
        return
    report.notes.append(
        f"models: {what} ({folder}), they were not looked at; --files FOLDER names the "
        "folder that they lie in"
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
