"""Which sets were opened, outside of the database, which may forget it.

    <data>/opened-sets   a line for each opened round: hash_i, a space, JSON_i

    hash_i = SHA-256(hash_{i-1} || JSON_i), hash_0 = 32 zero bytes

A line is on the disk before the round's aggregate share leaves, and no backup of the
store holds the file. So a database that was put back to an earlier state does not make
this aggregator forget what it opened since: a new set is compared with these as well.
Any copy of the file may be put back: what it says more only refuses more.

A last line without its end was cut off by a crash. Nothing of that round had left, and
the database knows whether it was opened.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from fedsecure.errors import OperatorError
from fedsecure.protocol.encodings import Digest
from fedsecure.protocol.ledger import GENESIS, chain
from fedsecure.protocol.statements import Strict
from fedsecure.system.durability import sync

NAME: Final = "opened-sets"


class OpenedSet(Strict):
    """One opened round: its model, its set, and how many its members were promised."""

    spec: Digest
    model: Digest
    least: int
    members: tuple[str, ...]


class Journal:
    """The journal of one data folder; read whole at first use.

    Used by the worker's thread alone.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._specs: set[bytes] = set()
        self._last = GENESIS
        self._end = 0  # of what is written in full, bytes
        self._forgotten: list[OpenedSet] = []

    @property
    def exists(self) -> bool:
        """Whether there is one: a new data folder has none."""
        return self._path.exists()

    def has(self, spec: str) -> bool:
        """Tell whether a round stands in it; once it was read."""
        return bytes.fromhex(spec) in self._specs

    def begin(self) -> None:
        """Make an empty one, on the disk when this returns.

        Raises:
            OSError: It cannot be written, or is there already.
        """
        self._path.touch(mode=0o600, exist_ok=False)
        sync(self._path.parent)

    def read(self) -> Iterator[OpenedSet]:
        """Yield every opened set, and find the end of what was written in full.

        Raises:
            OperatorError: FS-549 naming the first line that is not as it was written.
            OSError: It cannot be read.
        """
        self._last, self._end = GENESIS, 0
        self._specs.clear()
        with self._path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):  # cut off by a crash
                    break
                opened = self._checked(number, line)
                self._specs.add(bytes.fromhex(opened.spec))
                self._end += len(line)
                yield opened

    def add(self, opened: OpenedSet) -> None:
        """Write that a set is opened, once; on the disk when this returns.

        Raises:
            OSError: It cannot be written; half a line is overwritten the next time.
        """
        if self.has(opened.spec):
            return
        text = opened.model_dump_json()
        link = chain(self._last, text)
        line = f"{link} {text}\n".encode("ascii")
        descriptor = os.open(self._path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, self._end)
            written = os.pwrite(descriptor, line, self._end)
            if written < len(line):
                os.pwrite(descriptor, line[written:], self._end + written)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._last, self._end = link, self._end + len(line)
        self._specs.add(bytes.fromhex(opened.spec))

    def compare(self, known: Collection[str]) -> list[str]:
        """Note which sets a database has forgotten; return the specs that lack here.

        Args:
            known: Specs of all rounds that were opened, as the database has it.

        Raises:
            OperatorError: FS-549.
            OSError: It cannot be read.
        """
        self._forgotten = [one for one in self.read() if one.spec not in known]
        return [spec for spec in known if not self.has(spec)]

    def forgotten(self, model: str | None) -> dict[frozenset[str], int]:
        """Return sets that were opened, and the database does not know.

        Without a model, all of them. With each stands the largest minimum of the
        rounds that were opened over it.
        """
        sets: dict[frozenset[str], int] = {}
        for one in self._forgotten:
            if model in {None, one.model}:
                members = frozenset(one.members)
                sets[members] = max(one.least, sets.get(members, 0))
        return sets

    def _checked(self, number: int, line: bytes) -> OpenedSet:
        link, _, text = line[:-1].decode("ascii", "replace").partition(" ")
        try:
            if chain(self._last, text) != link:
                raise OperatorError("FS-549", f"{self._path} line {number}")
            self._last = link
            return OpenedSet.model_validate_json(text)
        except (ValidationError, UnicodeEncodeError) as error:
            raise OperatorError("FS-549", f"{self._path} line {number}") from error
