"""Every version of the federation that this party accepted, one file for each.

    federation.toml                     the one that is accepted now
    federation-versions/DIGEST.toml     each that was ever accepted, this one too
    federation-versions/DIGEST.jws      the model owner's signature over it

Old entries of ledgers, receipts and inclusions are checked with the version that they
name. A file's name is the digest of its content, so one that was changed is noticed.
Nothing here is secret, and nothing is ever deleted. Whatever the umask says, anybody
may look into the folder: in a container another user reads it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from fedsecure.errors import OperatorError
from fedsecure.membership.files import write_public
from fedsecure.membership.handout import ISSUE, as_toml
from fedsecure.protocol.federation_versions import Federations
from fedsecure.protocol.identity import Federation, load_federation

FOLDER: Final = "federation-versions"
SEARCHABLE: Final = 0o755


def keep(federation: Federation, issue: str | None, path: Path) -> None:
    """Put a version into the folder beside federation.toml.

    Args:
        federation: The version.
        issue: The model owner's signature over it, if it is at hand.
        path: Of federation.toml.

    Raises:
        OperatorError: FS-816 when it cannot be written.
    """
    folder = path.with_name(FOLDER)
    _make(folder)
    if issue is not None:
        signature = f"{issue}\n".encode("ascii")
        write_public(folder / f"{federation.digest}.jws", signature)
    write_public(folder / f"{federation.digest}.toml", as_toml(federation).encode())


def keep_present(path: Path, digest: str) -> None:
    """Keep the version that lies at `path`, if it is the one that was accepted.

    Raises:
        OperatorError: FS-816.
    """
    present = _present(path, digest)
    if present is not None:
        keep(present, _issue(path), path)


def read(path: Path) -> Iterator[Federation]:
    """Yield every version in the folder beside federation.toml, in no order.

    Raises:
        OperatorError: FS-760 when a file is not what its name says, FS-801 to FS-803
            when it, or the folder, cannot be read.
    """
    for file in _files(path.with_name(FOLDER)):
        version = load_federation(file)
        if version.digest != file.stem:
            raise OperatorError("FS-760", f"{file} has digest {version.digest[:12]}")
        yield version


def past(path: Path, digest: str) -> list[Federation]:
    """Return the versions that were accepted, in the order of their numbers.

    Args:
        path: Of federation.toml.
        digest: Of the version that was accepted last.

    Raises:
        OperatorError: FS-760, FS-801 to FS-803.
    """
    kept = {version.digest: version for version in read(path)}
    present = _present(path, digest)
    if present is not None:
        kept[digest] = present
    return sorted(kept.values(), key=lambda one: one.number)


def load(path: Path) -> Federations:
    """Return federation.toml with all versions that were accepted before it.

    Raises:
        OperatorError: FS-760, FS-801 to FS-803, FS-636.
    """
    return with_past(load_federation(path), path)


def with_past(federation: Federation, path: Path) -> Federations:
    """Return a version that was accepted with those that were accepted before it.

    A `join` that broke off may have left a newer one in the folder: it does not count.

    Raises:
        OperatorError: FS-760, FS-801 to FS-803, FS-636.
    """
    before = (one for one in read(path) if one.number < federation.number)
    return Federations([federation, *before])


def _make(folder: Path) -> None:
    """Make the folder, for anybody to look into.

    Raises:
        OperatorError: FS-816.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_mode & SEARCHABLE != SEARCHABLE:
            folder.chmod(SEARCHABLE)
    except OSError as error:
        raise OperatorError("FS-816", f"{folder}: {error.strerror}") from error


def _files(folder: Path) -> list[Path]:
    """Return the versions' files; a folder that nobody may list is not an empty one.

    Raises:
        OperatorError: FS-801.
    """
    try:
        return sorted(file for file in folder.iterdir() if file.suffix == ".toml")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise OperatorError("FS-801", f"{folder}: {error.strerror}") from error


def _present(path: Path, digest: str) -> Federation | None:
    """Return the version at `path`, unless it is damaged or not the one accepted."""
    try:
        present = load_federation(path)
    except OperatorError:
        return None
    return present if present.digest == digest else None


def _issue(path: Path) -> str | None:
    try:
        return path.with_name(ISSUE).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def load_federations(paths: Sequence[Path]) -> Federations:
    """Read the versions of federation.toml that an auditor holds.

    Args:
        paths: Of federation.toml; the versions that were accepted before it are found
            in the folder beside it.

    Raises:
        OperatorError: FS-760, FS-801 to FS-803, FS-636.
    """
    return Federations(
        [version for path in paths for version in (load_federation(path), *read(path))]
    )
