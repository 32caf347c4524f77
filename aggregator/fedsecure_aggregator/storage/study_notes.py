"""Which studies were ever granted a round here, outside of the database.

    <data>/studies/<SHA-256 of the content>    a study's budget as JSON; null for rounds
                                               without noise

A note is on the disk before the first grant of its study. A database that was put back
may have forgotten what such a study cost, so a restore charges all of it
(`rounds.continuity`). A note is never changed: its name says what it holds.
"""

import hashlib
from collections.abc import Collection
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import TypeAdapter, ValidationError

from fedsecure.system.durability import DamagedError, sync
from fedsecure_aggregator.rules.budgets import StudyBudget
from fedsecure_aggregator.storage.disk import disk, durable

NAME: Final = "studies"

Noted: TypeAlias = StudyBudget | None  # None: rounds without noise

_CONTENT: Final[TypeAdapter[Noted]] = TypeAdapter(StudyBudget | None)


class StudyNotes:
    """The notes of one data folder. Written by the worker's thread alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / NAME
        self._incoming = folder / "incoming"

    def remember(self, study: Noted) -> None:
        """Note a study, so that a restore knows it; on the disk when this returns."""
        content = _CONTENT.dump_json(study)
        note = self._folder / _name(content)
        with disk("a note of a study"):
            if note.exists():
                return
            part = self._incoming / note.name
            with durable(part) as file:
                file.write(content)
            part.rename(note)
            sync(self._folder)

    def lacks(self, studies: Collection[Noted]) -> list[Noted]:
        """Return which of some studies were never noted here."""
        with disk(NAME):
            names = {entry.name for entry in self._folder.iterdir()}
        return [one for one in studies if _name(_CONTENT.dump_json(one)) not in names]

    def read(self) -> set[Noted]:
        """Return every study that was noted.

        Raises:
            OperatorError: FS-541 when a note is damaged; FS-524 and its like when one
                cannot be read.
        """
        with disk(NAME):
            return {self._read(file) for file in sorted(self._folder.iterdir())}

    def _read(self, file: Path) -> Noted:
        content = file.read_bytes()
        try:
            if _name(content) == file.name:
                return _CONTENT.validate_json(content)
        except ValidationError as error:
            raise DamagedError("FS-541", f"{file}: {_REMEDY}") from error
        raise DamagedError("FS-541", f"{file}: {_REMEDY}")


_REMEDY: Final = (
    "put a copy of it back; without one, delete it: only what the database itself "
    "knows of the study is charged then"
)


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
