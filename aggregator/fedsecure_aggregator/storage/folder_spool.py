"""Sealed bytes and round keys on disk: what a database must never hold.

    <data>/lock                          held as long as this aggregator runs
    <data>/ledger-head                   how long the ledger was, at the last commit
    <data>/runs/<run>                    every run that was ever granted here (empty)
    <data>/opened-sets                   every set that was ever opened here (`journal`)
    <data>/restored                      its operator put the database back
    <data>/incoming/<number>             uploads under way, and shares being sealed
    <data>/rounds/<spec>/key             private sealing key of the round, mode 0600
    <data>/rounds/<spec>/reports/<name>  header length, header, payload, as received
    <data>/rounds/<spec>/share           the sealed aggregate share

Files come into place by rename after they and their folder are on disk, so each is
there whole or not at all. Of what is read back, keys and the ledger's head have a
checksum, reports their tags, and shares the digest in their row: a flipped bit is seen.
Deleting is unlinking: snapshots of the disk are not reached.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

import structlog
from pydantic import ValidationError

from fedsecure.core.sealing_key import SealingKey
from fedsecure.errors import OperatorError, PeerError
from fedsecure.protocol.statements import LedgerHead, Strict
from fedsecure.storage import locks
from fedsecure.system.durability import (
    OUT_OF_FILES,
    DamagedError,
    sync,
    with_checksum,
    without_checksum,
)
from fedsecure.system.private_files import DISK_FULL, read_private, write_private
from fedsecure_aggregator.storage.journal import Journal

ONE_FILE: Final = frozenset(
    {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EIO, errno.EISDIR, errno.ELOOP}
)
"""Errors that can be about one file alone, when the rest of the disk is sound."""

NOTE_BYTES: Final = 192  # of the ledger's head; padded with spaces
FORGET: Final = (
    "type {}, then `fedsecure aggregator restore --as-it-is`, which closes the runs "
    "under way"
)
RESTORE_AGAIN: Final = "restore the store again"
VOIDED: Final = "its round is void at the next start; look for a failing disk"
SOON: Final = "it is written anew within a minute, or by the next round"

log = structlog.get_logger()
MARGIN: Final = 64 * 2**20  # bytes of disk that stay free for the database


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


@dataclass(slots=True)
class Noted:
    """The head that this process has noted last: what the file ought to say."""

    head: LedgerHead | None = None


class RestoreNote(Strict):
    """What an operator said when the database was put back.

    `at`: seconds since 1970. `sets_forgotten`: what was opened before is not known here
    either, and may not be compared with what is opened from now on.
    """

    at: float
    sets_forgotten: bool

    def require_sets(self, folder: Path) -> None:
        """Check that a list of opened sets was lost knowingly.

        Raises:
            OperatorError: FS-546.
        """
        if not self.sets_forgotten:
            raise OperatorError("FS-546", f"{folder} has no list of opened sets")


@dataclass(frozen=True, slots=True)
class Spool:
    """The data folder of one aggregator. Made by `open_spool`."""

    folder: Path
    numbers: Iterator[int]
    journal: Journal
    noted: Noted = field(default_factory=Noted)

    def round_folder(self, spec: str) -> Path:
        """Return where a round's key, reports and share are."""
        return self.folder / "rounds" / spec

    def report_file(self, spec: str, reporter: str) -> Path:
        """Return where a stored report is."""
        return self.round_folder(spec) / "reports" / reporter

    def share_file(self, spec: str) -> Path:
        """Return where a round's sealed aggregate share is."""
        return self.round_folder(spec) / "share"

    def has_key(self, spec: str) -> bool:
        """Tell whether a round's private key is still there, and whole.

        Raises:
            OperatorError: FS-744, FS-801.
        """
        if not self._key_file(spec).is_file():
            return False
        try:
            self.load_key(spec)
        except DamagedError as error:
            log.error("key damaged", code=error.code, detail=error.detail)
            return False
        return True

    def save_key(self, spec: str, key: SealingKey) -> None:
        """Keep a new round's private key; on disk when this returns.

        Raises:
            OperatorError: FS-523, FS-524, or FS-743.
        """
        with disk(f"key of round {spec[:12]}"):
            self.discard_round(spec)  # of a grant that was never committed
            self.report_file(spec, "-").parent.mkdir(parents=True)
            write_private(self._key_file(spec), with_checksum(key.to_bytes()))
            sync(self.folder / "rounds")

    def load_key(self, spec: str) -> SealingKey:
        """Read a round's private key.

        Raises:
            OperatorError: FS-541 when it is damaged, FS-744, FS-801.
        """
        file = self._key_file(spec)
        return SealingKey.from_bytes(without_checksum(read_private(file), file, VOIDED))

    def incoming(self) -> Path:
        """Return a new name for a file under way."""
        return self.folder / "incoming" / str(next(self.numbers))

    def keep(self, upload: Path, place: Path) -> None:
        """Move a file, already on disk, to where it stays.

        Raises:
            OperatorError: FS-523, FS-524.
        """
        with disk("keep a file"):
            upload.rename(place)
            sync(place.parent)

    def scrub(self, spec: str) -> None:
        """Delete a round's private key and all reports; its share stays.

        Not forced to disk: what a power cut brings back is deleted at the next start.
        """
        with disk(f"round {spec[:12]}"):
            self._key_file(spec).unlink(missing_ok=True)
            _remove(self.round_folder(spec) / "reports")

    def discard_round(self, spec: str) -> None:
        """Delete all that is left of a round.

        Raises:
            OperatorError: FS-524 when something could not be deleted.
        """
        with disk(f"round {spec[:12]}"):
            _remove(self.round_folder(spec))

    def rounds(self) -> list[str]:
        """Return the rounds of which something is here.

        Raises:
            OperatorError: FS-524 when the folder is away.
        """
        return self._names("rounds")

    def reports(self, spec: str) -> list[str]:
        """Return the reporters of whom a report is here."""
        folder = self.round_folder(spec) / "reports"
        return (
            sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        )

    def remember_run(self, run: str) -> None:
        """Note a run outside the database, so that a restore knows it too."""
        note = self.folder / "runs" / run
        if not note.exists():
            with disk(f"run {run}"):
                note.touch()
                sync(note.parent)

    def runs(self) -> list[str]:
        """Return every run that was ever granted here.

        Raises:
            OperatorError: FS-524 when the folder is away.
        """
        return self._names("runs")

    def ledger_head(self) -> LedgerHead | None:
        """Read the head noted last; None in a new folder.

        Raises:
            OperatorError: FS-541 when the note is damaged; FS-524 and its like when
                it cannot be read.
        """
        if not self._note.exists():
            return None
        with disk(str(self._note)):
            written = self._note.read_bytes().rstrip(b" ")
        remedy = FORGET.format(f"rm {self._note}")
        content = without_checksum(written, self._note, remedy)
        try:
            return LedgerHead.model_validate_json(content)
        except ValidationError as error:
            raise DamagedError("FS-541", f"{self._note}: {remedy}") from error

    def note_ledger_head(self, head: LedgerHead) -> None:
        """Note the head after a commit: an older database will be recognised.

        Written in place, within one sector, and not forced to disk: after a power cut
        the note may be an older one, which only recognises less. What the file says is
        not read: this process knows, and writes over what was damaged meanwhile.
        """
        if head == self.noted.head:
            return
        with disk("ledger-head"):
            if not self._is_note():
                self._write_note(head)
            else:
                with self._note.open("r+b") as file:
                    file.write(_note_of(head))
        self.noted.head = head

    def require_note(self) -> None:
        """Check that the next start can read the head that was noted.

        Raises:
            OperatorError: FS-541 when the file is damaged or gone.
        """
        try:
            found = self.ledger_head()
        except OperatorError:
            found = self.ledger_head()  # it may have been read while it was written
        if found is None and self.noted.head is not None:
            raise DamagedError("FS-541", f"{self._note} is gone; {SOON}")

    def mend_note(self) -> None:
        """Write the note anew if it does not say what it ought to.

        Run by the worker's thread alone.
        """
        if self.noted.head is None:
            return
        try:
            whole = self.ledger_head() == self.noted.head
        except DamagedError:
            whole = False
        if not whole:
            log.error("note of the ledger mended", code="FS-541", file=str(self._note))
            with disk("ledger-head"):
                self._write_note(self.noted.head)

    def _is_note(self) -> bool:
        return self._note.is_file() and self._note.stat().st_size == NOTE_BYTES

    def _write_note(self, head: LedgerHead) -> None:
        upload = self.incoming()
        with durable(upload) as file:
            file.write(_note_of(head))
        self.keep(upload, self._note)

    def note_restore(self, note: RestoreNote) -> None:
        """Make the next start take the database for a restored one."""
        upload = self.incoming()
        with disk("restored"), durable(upload) as file:
            file.write(with_checksum(note.model_dump_json().encode()))
        self.keep(upload, self._restored)

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
            sync(self.folder)

    def require_sound(self) -> None:
        """Check that this is the data folder that was taken, and that it works.

        Raises:
            OperatorError: FS-523, FS-524 or FS-526 when it is away or fails as a whole.
        """
        if not (self.folder / "lock").is_file():
            raise OperatorError("FS-524", f"{self.folder} is away, or another one")
        require_writable(self.folder)

    def require_space(self, size: int) -> None:
        """Check, before reading an upload, that there is room for it.

        Raises:
            OperatorError: FS-523 with what is free and what is needed.
        """
        free = self.free()
        if not free >= size + MARGIN:
            raise OperatorError("FS-523", f"{free} bytes free, {size + MARGIN} needed")

    def free(self) -> int:
        """Return how many bytes are free on the disk.

        Raises:
            OperatorError: FS-524 when the folder is gone.
        """
        with disk(f"{self.folder}"):
            return shutil.disk_usage(self.folder).free

    def _names(self, part: str) -> list[str]:
        with disk(part):
            return sorted(entry.name for entry in (self.folder / part).iterdir())

    @property
    def _note(self) -> Path:
        return self.folder / "ledger-head"

    @property
    def _restored(self) -> Path:
        return self.folder / "restored"

    def _key_file(self, spec: str) -> Path:
        return self.round_folder(spec) / "key"


def _note_of(head: LedgerHead) -> bytes:
    return with_checksum(head.model_dump_json().encode()).ljust(NOTE_BYTES)


def require_writable(folder: Path) -> None:
    """Check that a data folder can be written, by writing to it.

    Raises:
        OperatorError: FS-523, FS-524 or FS-526.
    """
    with disk(f"{folder}"), TemporaryFile(dir=folder) as file:
        file.write(b"0")
        file.flush()


@contextmanager
def open_spool(folder: Path) -> Iterator[Spool]:
    """Take the data folder for this process, and sweep uploads that were cut off.

    Raises:
        OperatorError: FS-521 when it cannot be used, FS-522 when another has it.
    """
    try:
        for part in ("", "rounds", "runs"):
            (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = locks.alone(folder / "lock", "FS-522", folder)
    except OSError as error:
        raise OperatorError("FS-521", f"{folder}: {error.strerror}") from error
    with lock:
        shutil.rmtree(folder / "incoming", ignore_errors=True)
        (folder / "incoming").mkdir(mode=0o700)
        yield Spool(folder, count(), Journal(folder))


@contextmanager
def durable(path: Path) -> Iterator[IO[bytes]]:
    """Write a new file, on disk when the block ends; gone if it fails."""
    try:
        with path.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _remove(folder: Path) -> None:
    # Not `ignore_errors`: a key that stays behind must not go unnoticed.
    if folder.exists():
        shutil.rmtree(folder)
