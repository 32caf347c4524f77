"""Numbers of queries: ascending, and none twice, whatever dies in between.

An aggregator answers each number of a client once. So a number is on disk before it is
used: a mark up to which all numbers count as used, `AHEAD` at a time, so that most
queries wait for no disk. What a process did not use of them is never used.

One process at a time has the turn, from taking a number until it has its answers: else
a lower number could arrive after a higher one, and be refused.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from fedsecure.errors import OperatorError
from fedsecure.membership.files import write_public
from fedsecure.system.durability import DamagedError, with_checksum, without_checksum

AHEAD: Final = 64  # numbers
REMEDY: Final = "delete it; the aggregators say which number comes next"


@dataclass(slots=True)
class _Own:
    """What this process holds of a job's numbers: from `following` up to `mark`."""

    following: int = 1
    mark: int = 0


class Numbers:
    """The numbers of one client's queries, of any jobs.

    Args:
        folder: Where they are kept; made if absent.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._guard = Lock()
        self._own: dict[str, _Own] = {}

    @contextmanager
    def next(self, spec: str) -> Iterator[int]:
        """Have the turn, with a number that was never used, durably.

        Args:
            spec: Of the job.

        Raises:
            DamagedError: FS-541 the file is not what was written.
            OperatorError: FS-816 when the folder cannot be used.
        """
        with self._turn(spec):
            yield self._take(spec)

    def skip(self, spec: str, used: int) -> None:
        """Count all numbers up to one as used, as an aggregator does.

        Raises:
            OperatorError: As `next`.
        """
        with self._turn(spec):
            if used > self._mark(spec):
                self._save(spec, used)
            self._own[spec] = _Own()  # what is left of the old ones may be too low

    def _take(self, spec: str) -> int:
        own, mark = self._own.setdefault(spec, _Own()), self._mark(spec)
        # Another process may have gone on meanwhile: then what is left is too low.
        if own.mark != mark or own.following > own.mark:
            own.following, own.mark = mark + 1, mark + AHEAD
            self._save(spec, own.mark)
        own.following += 1
        return own.following - 1

    def _mark(self, spec: str) -> int:
        path = self._path(spec)
        try:
            content = without_checksum(path.read_bytes(), path, REMEDY)
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise OperatorError("FS-801", f"{path}: {error.strerror}") from error
        if not content.isdigit():
            raise DamagedError("FS-541", f"{path}: {REMEDY}")
        return int(content)

    def _save(self, spec: str, mark: int) -> None:
        write_public(self._path(spec), with_checksum(b"%d" % mark))

    def _path(self, spec: str) -> Path:
        return self._folder / f"{spec}.numbers"

    @contextmanager
    def _turn(self, spec: str) -> Iterator[None]:
        with self._guard, self._locked(self._folder / f"{spec}.lock"):
            yield

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise OperatorError("FS-816", f"{path}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
