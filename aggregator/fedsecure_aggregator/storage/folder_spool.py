"""The spool in the data folder of one aggregator (`spool` says what it promises).

    <data>/lock                          held as long as this aggregator runs
    <data>/incoming/<number>             uploads under way, and shares being sealed
    <data>/rounds/<spec>/key             private sealing key of the round, mode 0600
    <data>/rounds/<spec>/noise           seed of the round's release, mode 0600
    <data>/rounds/<spec>/reports/<name>  header length, header, payload, as received
    <data>/rounds/<spec>/share           the sealed aggregate share

and beside it `jobs` (`storage.jobs`), and what `notes` keeps. Files come into place by
rename after they and their folder are on disk, so each is there whole or not at all. Of
what is read back, keys, seeds and the ledger's head have a checksum, reports their
tags, and shares the digest in their row: a flipped bit is seen. Deleting is unlinking:
snapshots of the disk are not reached.
"""

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from itertools import count
from pathlib import Path
from typing import IO, Final

import structlog

from fedsecure.core.layout import Buffer
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import OperatorError
from fedsecure.storage import locks
from fedsecure.system.durability import (
    DamagedError,
    sync,
    with_checksum,
    without_checksum,
)
from fedsecure.system.private_files import read_private, write_private
from fedsecure_aggregator.storage.disk import disk, force, require_writable
from fedsecure_aggregator.storage.notes import Notes

VOIDED: Final = "its round is void at the next start; look for a failing disk"
MARGIN: Final = 64 * 2**20  # bytes of disk that stay free for the database

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SealedFile:
    """Sealed bytes in a file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @contextmanager
    def reading(self, what: str) -> Iterator[BufferedReader]:
        """Read the file."""
        with disk(what), self.path.open("rb") as file:
            yield file


@dataclass(frozen=True, slots=True)
class FileUpload(SealedFile):
    """A file under way in `incoming`.

    Args:
        file: Open for writing, within `FolderSpool.uploading`.
        below: The folder below which names are.
    """

    file: IO[bytes] = field(repr=False)
    below: Path

    def write(self, data: Buffer) -> object:
        """Add bytes at the end."""
        return self.file.write(data)

    def sync(self) -> None:
        """Wait until the file is on the disk."""
        force(self.file)

    def commit(self, name: str) -> None:
        """Move the file, already on disk, to where it stays."""
        place = self.below / name
        with disk("keep a file"):
            self.path.rename(place)
            sync(place.parent)

    def discard(self) -> None:
        """Delete it, unless it was moved."""
        self.path.unlink(missing_ok=True)


class FolderSpool:
    """The data folder of one aggregator. Made by `open_spool`.

    Args:
        folder: It is this process's, and has what `open_spool` makes in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder)
        self.notes = Notes(folder)
        self._numbers = count()

    def path(self, name: str) -> Path:
        """Return which file has a name."""
        return self.folder / "rounds" / name

    def uploading(self, what: str) -> AbstractContextManager[FileUpload]:
        """Write a new file; unlinked if the block fails."""
        return self.uploading_to(self.folder / "rounds", what)

    @contextmanager
    def uploading_to(self, below: Path, what: str) -> Iterator[FileUpload]:
        """Write a new file that is given its name below a folder."""
        path = self.folder / "incoming" / str(next(self._numbers))
        try:
            with disk(what), path.open("xb") as file:
                yield FileUpload(path, file, below)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def stored(self, name: str) -> SealedFile:
        """Return the file that has a name, or will have it."""
        return SealedFile(self.path(name))

    def reports(self, spec: str) -> list[str]:
        """Return the reporters of whom a report is here, in order."""
        folder = self.path(spec) / "reports"
        return (
            sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        )

    def rounds(self) -> list[str]:
        """Return the rounds of which something is here, in order."""
        with disk("rounds"):
            return sorted(entry.name for entry in (self.folder / "rounds").iterdir())

    def has_round(self, spec: str) -> bool:
        """Tell whether a round has a folder."""
        return self.path(spec).is_dir()

    def save_key(self, spec: str, key: SealingKey) -> None:
        """Keep a new round's private key, and nothing else of it."""
        with disk(f"key of round {spec[:12]}"):
            self.discard_round(spec)  # of a grant that was never committed
            (self.path(spec) / "reports").mkdir(parents=True)
            write_private(self._key_file(spec), with_checksum(key.to_bytes()))
            sync(self.folder / "rounds")

    def load_key(self, spec: str) -> SealingKey:
        """Read a round's private key."""
        return SealingKey.from_bytes(read_secret(self._key_file(spec)))

    def has_key(self, spec: str) -> bool:
        """Tell whether a round's private key is still there, and whole."""
        if not self._key_file(spec).is_file():
            return False
        try:
            self.load_key(spec)
        except DamagedError as error:
            log.error("key damaged", code=error.code, detail=error.detail)
            return False
        return True

    def save_seed(self, spec: str, seed: bytes) -> None:
        """Keep a seed: a crash leaves none of it, or all."""
        with self.uploading("seed of a release") as upload:
            upload.path.chmod(0o600)
            upload.write(with_checksum(seed))
            upload.sync()
        upload.commit(f"{spec}/noise")

    def load_seed(self, spec: str) -> bytes | None:
        """Read a seed; None before one was drawn."""
        file = self._seed_file(spec)
        return read_secret(file) if file.exists() else None

    def scrub(self, spec: str) -> None:
        """Delete a round's secrets and reports.

        Not forced to disk: what a power cut brings back is deleted at the next start.
        """
        with disk(f"round {spec[:12]}"):
            self._key_file(spec).unlink(missing_ok=True)
            self._seed_file(spec).unlink(missing_ok=True)
            remove(self.path(spec) / "reports")

    def discard_round(self, spec: str) -> None:
        """Delete a round's folder."""
        with disk(f"round {spec[:12]}"):
            remove(self.path(spec))

    def free(self) -> int:
        """Return how many bytes are free on the disk."""
        with disk(f"{self.folder}"):
            return shutil.disk_usage(self.folder).free

    def require_space(self, size: int) -> None:
        """Check that an upload has room, and the database some beside it."""
        free = self.free()
        if not free >= size + MARGIN:
            raise OperatorError("FS-523", f"{free} bytes free, {size + MARGIN} needed")

    def require_writable(self) -> None:
        """Check that the folder can be written, by writing to it."""
        require_writable(self.folder)

    def require_sound(self) -> None:
        """Check that this is the folder that was taken, and that it works."""
        if not (self.folder / "lock").is_file():
            raise OperatorError("FS-524", f"{self.folder} is away, or another one")
        require_writable(self.folder)

    def _key_file(self, spec: str) -> Path:
        return self.path(spec) / "key"

    def _seed_file(self, spec: str) -> Path:
        return self.path(spec) / "noise"


@contextmanager
def open_spool(folder: Path) -> Iterator[FolderSpool]:
    """Take the data folder for this process, and sweep uploads that were cut off.

    Raises:
        OperatorError: FS-521 when it cannot be used, FS-522 when another has it.
    """
    try:
        for part in ("", "rounds", "runs", "studies", "jobs"):
            (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = locks.alone(folder / "lock", "FS-522", folder)
    except OSError as error:
        raise OperatorError("FS-521", f"{folder}: {error.strerror}") from error
    with lock:
        shutil.rmtree(folder / "incoming", ignore_errors=True)
        (folder / "incoming").mkdir(mode=0o700)
        yield FolderSpool(folder)


def read_secret(file: Path, remedy: str = VOIDED) -> bytes:
    """Read a file that has a checksum and that nobody else can read.

    Raises:
        OperatorError: FS-541 with the remedy when it is damaged, FS-744, FS-801.
    """
    return without_checksum(read_private(file), file, remedy)


def remove(folder: Path) -> None:
    """Delete a folder with all that is in it, if it is there."""
    # Not `ignore_errors`: a key that stays behind must not go unnoticed.
    if folder.exists():
        shutil.rmtree(folder)
