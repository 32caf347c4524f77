"""The spool of jobs in the data folder of one aggregator.

    <data>/incoming/<number>           what is under way
    <data>/jobs/<spec>/key             private sealing key of the job, mode 0600
    <data>/jobs/<spec>/channel         its channel key, mode 0600
    <data>/jobs/<spec>/inputs/<name>   header length, header, payload, as received
    <data>/jobs/<spec>/output          the sealed output share

It belongs to whoever has the data folder (`folder_spool.open_spool`), and keeps what it
holds as rounds are kept.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.system.durability import DamagedError, sync, with_checksum
from fedsecure.system.private_files import write_private
from fedsecure_aggregator.storage.disk import disk
from fedsecure_aggregator.storage.folder_spool import (
    FileUpload,
    FolderSpool,
    SealedFile,
    read_secret,
    remove,
)

VOIDED: Final = "its job is void at the next start; look for a failing disk"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class FolderJobSpool:
    """The folder `jobs` of a data folder.

    Args:
        data: The data folder, which this process has.
    """

    data: FolderSpool

    def path(self, name: str) -> Path:
        """Return which file has a name."""
        return self.data.folder / "jobs" / name

    def uploading(self, what: str) -> AbstractContextManager[FileUpload]:
        """Write a new file; unlinked if the block fails."""
        return self.data.uploading_to(self.path(""), what)

    def stored(self, name: str) -> SealedFile:
        """Return the file that has a name, or will have it."""
        return SealedFile(self.path(name))

    def jobs(self) -> list[str]:
        """Return the jobs of which something is here, in order."""
        with disk("jobs"):
            return sorted(entry.name for entry in self.path("").iterdir())

    def has_job(self, spec: str) -> bool:
        """Tell whether a job has a folder."""
        return self.path(spec).is_dir()

    def save_key(self, spec: str, key: SealingKey) -> None:
        """Keep a new job's private key, and nothing else of it."""
        with disk(f"key of job {spec[:12]}"):
            self.discard(spec)  # of a grant that was never committed
            (self.path(spec) / "inputs").mkdir(parents=True)
            write_private(self._key_file(spec), with_checksum(key.to_bytes()))
            sync(self.path(""))

    def load_key(self, spec: str) -> SealingKey:
        """Read a job's private key."""
        return SealingKey.from_bytes(read_secret(self._key_file(spec), VOIDED))

    def has_key(self, spec: str) -> bool:
        """Tell whether a job's private key is still there, and whole."""
        return _is_whole(self._key_file(spec))

    def save_channel(self, spec: str, key: bytes) -> None:
        """Keep a channel key: a crash leaves none of it, or all."""
        with self.uploading("channel key") as upload:
            upload.path.chmod(0o600)
            upload.write(with_checksum(key))
            upload.sync()
        upload.commit(f"{spec}/channel")

    def load_channel(self, spec: str) -> bytes:
        """Read a job's channel key."""
        return read_secret(self._channel_file(spec), VOIDED)

    def has_channel(self, spec: str) -> bool:
        """Tell whether a job's channel key is there, and whole."""
        return _is_whole(self._channel_file(spec))

    def scrub(self, spec: str) -> None:
        """Delete a job's keys and inputs.

        Not forced to disk: what a power cut brings back is deleted at the next start.
        """
        with disk(f"job {spec[:12]}"):
            self._key_file(spec).unlink(missing_ok=True)
            self._channel_file(spec).unlink(missing_ok=True)
            remove(self.path(spec) / "inputs")

    def discard(self, spec: str) -> None:
        """Delete a job's folder."""
        with disk(f"job {spec[:12]}"):
            remove(self.path(spec))

    def _key_file(self, spec: str) -> Path:
        return self.path(spec) / "key"

    def _channel_file(self, spec: str) -> Path:
        return self.path(spec) / "channel"


def _is_whole(file: Path) -> bool:
    if not file.is_file():
        return False
    try:
        read_secret(file, VOIDED)
    except DamagedError as error:
        log.error("key damaged", code=error.code, detail=error.detail)
        return False
    return True
