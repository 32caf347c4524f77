"""Notes of a data folder, by which it recognises the database that belongs to it.

    <data>/ledger-head   how long the ledger was, at the last commit
    <data>/runs/<run>    every run that was ever granted here (empty)
    <data>/studies/...   every study, with its budget (`study_notes`)
    <data>/opened-sets   every set that was ever opened here (`journal`)
    <data>/restored      its operator put the database back

They are of use only where the database is not: a backup that is put back has none of
them. `rounds.continuity` says what follows from them.
"""

from pathlib import Path
from typing import Final

import structlog
from pydantic import ValidationError

from fedsecure.errors import OperatorError
from fedsecure.protocol.statements import LedgerHead, Strict
from fedsecure.system.durability import (
    DamagedError,
    sync,
    with_checksum,
    without_checksum,
)
from fedsecure_aggregator.storage.disk import disk, durable
from fedsecure_aggregator.storage.journal import Journal
from fedsecure_aggregator.storage.study_notes import StudyNotes

HEAD_BYTES: Final = 192  # of the ledger's head; padded with spaces
FORGET: Final = (
    "type {}, then `fedsecure aggregator restore --as-it-is`, which closes the runs "
    "under way"
)
RESTORE_AGAIN: Final = "restore the store again"
SOON: Final = "it is written anew within a minute, or by the next round"

log = structlog.get_logger()


class RestoreNote(Strict):
    """What an operator said when the database was put back.

    `at`: seconds since 1970. `sets_forgotten`: what was opened before is not known here
    either, and may not be compared with what is opened from now on.
    """

    at: float
    sets_forgotten: bool

    def require_sets(self, place: str) -> None:
        """Check that a list of opened sets was lost knowingly.

        Raises:
            OperatorError: FS-546.
        """
        if not self.sets_forgotten:
            raise OperatorError("FS-546", f"{place} has no list of opened sets")


class Notes:
    """The notes of one data folder. Written by the worker's thread alone."""

    def __init__(self, folder: Path) -> None:
        self.journal = Journal(folder)
        self.studies = StudyNotes(folder)
        self._folder = folder
        self._head_file = folder / "ledger-head"
        self._restored = folder / "restored"
        self._head: LedgerHead | None = None  # what this process has noted last

    def remember_run(self, run: str) -> None:
        """Note a run outside the database, so that a restore knows it too."""
        note = self._folder / "runs" / run
        if not note.exists():
            with disk(f"run {run}"):
                note.touch()
                sync(note.parent)

    def runs(self) -> list[str]:
        """Return every run that was ever granted here.

        Raises:
            OperatorError: FS-524 when the folder is away.
        """
        with disk("runs"):
            return sorted(entry.name for entry in (self._folder / "runs").iterdir())

    def ledger_head(self) -> LedgerHead | None:
        """Read the head noted last; None in a new folder.

        Raises:
            OperatorError: FS-541 when the note is damaged; FS-524 and its like when
                it cannot be read.
        """
        if not self._head_file.exists():
            return None
        with disk(str(self._head_file)):
            written = self._head_file.read_bytes().rstrip(b" ")
        remedy = FORGET.format(f"rm {self._head_file}")
        content = without_checksum(written, self._head_file, remedy)
        try:
            return LedgerHead.model_validate_json(content)
        except ValidationError as error:
            raise DamagedError("FS-541", f"{self._head_file}: {remedy}") from error

    def note_ledger_head(self, head: LedgerHead) -> None:
        """Note the head after a commit: an older database will be recognised.

        Written in place, within one sector, and not forced to disk: after a power cut
        the note may be an older one, which only recognises less. What the file says is
        not read: this process knows, and writes over what was damaged meanwhile.
        """
        if head == self._head:
            return
        with disk("ledger-head"):
            if not self._has_head_file():
                self._write(self._head_file, _as_note(head))
            else:
                with self._head_file.open("r+b") as file:
                    file.write(_as_note(head))
        self._head = head

    def require_ledger_head(self) -> None:
        """Check that the next start can read the head that was noted.

        Raises:
            OperatorError: FS-541 when the file is damaged or gone.
        """
        try:
            found = self.ledger_head()
        except OperatorError:
            found = self.ledger_head()  # it may have been read while it was written
        if found is None and self._head is not None:
            raise DamagedError("FS-541", f"{self._head_file} is gone; {SOON}")

    def mend_ledger_head(self) -> None:
        """Write the note of the head anew if it does not say what it ought to.

        Run by the worker's thread alone.
        """
        if self._head is None:
            return
        try:
            whole = self.ledger_head() == self._head
        except DamagedError:
            whole = False
        if not whole:
            place = str(self._head_file)
            log.error("note of the ledger mended", code="FS-541", file=place)
            with disk("ledger-head"):
                self._write(self._head_file, _as_note(self._head))

    def note_restore(self, note: RestoreNote) -> None:
        """Make the next start take the database for a restored one."""
        with disk("restored"):
            self._write(self._restored, with_checksum(note.model_dump_json().encode()))

    def restore_note(self) -> RestoreNote | None:
        """Read what the operator said of a restore that no start has seen yet.

        Raises:
            OperatorError: FS-541 when it is damaged, FS-524 when it cannot be read.
        """
        if not self._restored.exists():
            return None
        with disk(str(self._restored)):
            written = self._restored.read_bytes()
        content = without_checksum(written, self._restored, RESTORE_AGAIN)
        return RestoreNote.model_validate_json(content)

    def forget_restore(self) -> None:
        """Delete the note, once the ledger says it."""
        with disk("restored"):
            self._restored.unlink(missing_ok=True)
            sync(self._folder)

    def _has_head_file(self) -> bool:
        file = self._head_file
        return file.is_file() and file.stat().st_size == HEAD_BYTES

    def _write(self, note: Path, content: bytes) -> None:
        """Put a note in its place, whole or not at all; on disk when this returns."""
        part = self._folder / "incoming" / note.name
        with durable(part) as file:
            file.write(content)
        with disk("keep a file"):
            part.rename(note)
            sync(note.parent)


def _as_note(head: LedgerHead) -> bytes:
    return with_checksum(head.model_dump_json().encode()).ljust(HEAD_BYTES)
