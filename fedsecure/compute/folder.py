"""What a party keeps of jobs on its disk, so that no step is ever taken twice.

    FOLDER/SPEC/key                       what outputs are sealed to; 0600
    FOLDER/SPEC/spec, job.json            the spec as it was signed, and its handout
    FOLDER/SPEC/NAME.AGGREGATOR.input     a sealed input, until both have it
    FOLDER/SPEC/NAME.receipts             both receipts of an input, once it has arrived

Numbers of queries: `numbers`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fedsecure.compute.handout import Handout
from fedsecure.core.sealing.sealing_key import SealingKey
from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.membership.files import write_public
from fedsecure.protocol.framing import prefix, read_header
from fedsecure.protocol.identity import Federation
from fedsecure.protocol.jobs.statements import JobInput, JobSpec
from fedsecure.protocol.signing import Signed
from fedsecure.protocol.statements import Receipt
from fedsecure.protocol.stored_statements import stored
from fedsecure.system import private_files
from fedsecure.system.crash_points import Point, crash_point

DIGEST: Final = 64  # hex digits: the name of a job's folder
Sealed = Mapping[str, tuple[Signed[JobInput], bytes]]  # by aggregator


@dataclass(frozen=True, slots=True)
class OwnJob:
    """A job that this party proposed; without a handout it was not granted yet."""

    spec: Signed[JobSpec]
    handout: Handout | None

    @property
    def name(self) -> str:
        """What people call it."""
        return self.spec.statement.name


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The jobs that one party proposed.

    Args:
        folder: Its owner's alone.
    """

    folder: Path

    def begin(self, spec: Signed[JobSpec], key: SealingKey | None) -> None:
        """Keep a spec and its key, before it is sent.

        Raises:
            OperatorError: FS-743, FS-816.
        """
        home = self._home(spec.digest)
        if key is not None:
            private_files.write_private(home / "key", key.to_bytes())
        write_public(home / "spec", spec.token.encode())
        crash_point(Point.JOB_RECORDED)

    def save(self, handout: Handout) -> None:
        """Keep a job's handout, once it was granted.

        Raises:
            OperatorError: FS-816.
        """
        handout.write(self._home(handout.digest) / "job.json")

    def key(self, spec: str) -> SealingKey:
        """Return what a job's outputs are sealed to.

        Raises:
            OperatorError: FS-355 when it is not here.
        """
        file = self.folder / spec / "key"
        if not file.is_file():
            raise OperatorError("FS-355", f"{file} is not there")
        return SealingKey.from_bytes(private_files.read_private(file))

    def jobs(self, federation: Federation) -> Iterator[OwnJob]:
        """Yield what was proposed, the newest deadline last.

        A handout of another version of the federation is left out.
        """
        found = []
        for home in self.folder.glob("?" * DIGEST):
            file = home / "spec"
            if file.is_file():
                spec = stored(file.read_text("ascii"), JobSpec)
                found.append(OwnJob(spec, _handout(home / "job.json", federation)))
        yield from sorted(found, key=lambda one: one.spec.statement.deadline)

    def find(self, word: str, federation: Federation) -> OwnJob:
        """Return the newest job of a name, or the one whose digest begins so.

        Raises:
            OperatorError: FS-801.
        """
        for job in reversed([*self.jobs(federation)]):
            if job.name == word or (
                len(word) >= 8 and job.spec.digest.startswith(word)
            ):
                return job
        raise OperatorError("FS-801", f"{self.folder} holds no job {word!r}")

    def forget(self, spec: str) -> None:
        """Delete all that is kept of a job, with its key.

        Raises:
            OperatorError: FS-816.
        """
        try:
            for path in (self.folder / spec).iterdir():
                path.unlink()
            (self.folder / spec).rmdir()
        except OSError as error:
            raise OperatorError("FS-816", f"{error.filename}: {error}") from error

    def _home(self, spec: str) -> Path:
        home = self.folder / spec
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return home


@dataclass(frozen=True, slots=True)
class InputFiles:
    """One input of this party, from when it is sealed until it has arrived."""

    folder: Path
    spec: str
    name: str
    _home: Path = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_home", self.folder / self.spec)

    def store(self, made: Sealed) -> None:
        """Keep both sealed shares; what an interrupted call left alone is replaced.

        Raises:
            OperatorError: FS-743, FS-523.
        """
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in made:  # one alone was never sent
            self._sealed(name).unlink(missing_ok=True)
        for name, (header, payload) in made.items():
            private_files.write_private(
                self._sealed(name), prefix(header.token) + payload
            )

    def stored(self, aggregators: tuple[str, str]) -> bool:
        """Tell whether both sealed shares are kept."""
        return all(self._sealed(name).is_file() for name in aggregators)

    def read(self, aggregator: str) -> tuple[Signed[JobInput], bytes]:
        """Return header and payload for one aggregator.

        Raises:
            OperatorError: FS-801.
        """
        path = self._sealed(aggregator)
        try:
            with path.open("rb") as file:
                return stored(read_header(file), JobInput), file.read()
        except OSError as error:
            raise OperatorError("FS-801", f"{path}: {error.strerror}") from error

    def receive(
        self, header: JobInput, receipts: Mapping[str, Signed[Receipt]]
    ) -> None:
        """Keep both receipts, and no sealed share any more.

        Raises:
            OperatorError: FS-816.
        """
        content = {
            "input_id": header.input_id,
            "plain": header.plain,
            "receipts": {name: one.token for name, one in receipts.items()},
        }
        write_public(self._receipts, json.dumps(content).encode())
        for name in receipts:
            self._sealed(name).unlink(missing_ok=True)

    def receipts(self) -> dict[str, Signed[Receipt]] | None:
        """Return both receipts; None: the input has not arrived yet."""
        kept = self.arrived()
        if kept is None:
            return None
        return {
            name: stored(token, Receipt) for name, token in kept["receipts"].items()
        }

    def arrived(self) -> dict[str, Any] | None:
        """Return what is known of an input that has arrived: its id, and its digest."""
        if not self._receipts.is_file():
            return None
        kept: dict[str, Any] = json.loads(self._receipts.read_bytes())
        return kept

    @property
    def _receipts(self) -> Path:
        return self._home / f"{self.name}.receipts"

    def _sealed(self, aggregator: str) -> Path:
        return self._home / f"{self.name}.{aggregator}.input"


def _handout(path: Path, federation: Federation) -> Handout | None:
    try:
        return Handout.read(path, federation) if path.is_file() else None
    except FedsecureError:
        return None
