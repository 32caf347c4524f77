"""Checks of this party's own files and machine, the same at every role."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from shlex import quote
from tempfile import TemporaryFile
from typing import Final

from fedsecure.doctor.findings import Check, SkippedError
from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.membership.accepted import Membership, Own, open_membership
from fedsecure.membership.jobs_policy import JobsPolicy
from fedsecure.protocol.node_keys import load_node_key
from fedsecure.protocol.signing_keys import load_signing_key
from fedsecure.storage import database, revisions
from fedsecure.system.private_files import ReadableByOthersError

LEAST_FREE: Final = 2**30  # bytes

Free = Callable[[Path], int]  # bytes free on the disk of a folder


def free_bytes(folder: Path) -> int:
    """Return the free bytes of the disk that a folder is on, or will be on."""
    place = next(one for one in (folder, *folder.parents) if one.exists())
    return shutil.disk_usage(place).free


def key_checks(own: Own, flower_key: Path | None) -> Iterator[Check]:
    """Yield a check for each private key."""

    def signing() -> str:
        load_signing_key(own.key)
        return f"{own.key.name}, readable by this user alone"

    def flower() -> str:
        if flower_key is None:
            raise SkippedError
        load_node_key(flower_key)
        return f"{flower_key.name}, readable by this user alone"

    yield Check("signing key", signing, private_fix(own.key))
    if flower_key is not None:
        yield Check("Flower key", flower, private_fix(flower_key))


def private_fix(path: Path) -> Callable[[FedsecureError], str]:
    """Return what to type when a private file is open to others."""

    def fix(error: FedsecureError) -> str:
        if isinstance(error, ReadableByOthersError):
            return f"chmod 600 {quote(str(path))}"
        return ""

    return fix


def federation_check(own: Own, config: Path) -> Check:
    """Return the check whether federation.toml is what was accepted."""

    def look() -> str:
        federation = open_membership(own).federation
        return f"{federation.name}, version {federation.number}, accepted"

    def fix(error: FedsecureError) -> str:
        if error.problem.own_key:
            return private_fix(own.key)(error)
        return join_again(config)

    return Check("federation", look, fix)


def receivers_check(own: Own, policy: JobsPolicy | None, config: Path) -> Check:
    """Return the check of who may receive what is made of this party's numbers.

    That nobody may is a policy like another: it is told, and fails nothing.

    Args:
        own: This party.
        policy: Its `[policy.jobs]`, where that counts; None: it shares nothing.
        config: Where that stands.
    """

    def look() -> str:
        if policy is None:
            return "no numbers of this party are shared"
        federation = member(own).federation
        for name in sorted(policy.receivers):
            federation.find(name)
        names = ", ".join(sorted(policy.receivers)) or "nobody else"
        return f"{names}; at least {policy.min_owners} parties' numbers are mixed"

    fix = f"correct receivers in {config.name}, section [policy.jobs]"
    return Check("receivers", look, fix)


def join_again(config: Path) -> str:
    """Return what to type with the newest version that was handed over."""
    return f"fedsecure join to-everybody/federation.toml --config {quote(str(config))}"


def member(own: Own) -> Membership:
    """Return this party's membership, for checks that need one.

    Raises:
        SkippedError: It has none; another check says why.
    """
    try:
        return open_membership(own)
    except FedsecureError as error:
        msg = "no federation is accepted here"
        raise SkippedError(msg) from error


def writable(folder: Path, code: str) -> str:
    """Say that a folder can be written, or made; by trying, which leaves nothing.

    Raises:
        OperatorError: `code`, with what the system says.
    """
    try:
        there = folder.exists()
        place = next(one for one in (folder, *folder.parents) if one.exists())
        with TemporaryFile(dir=place) as file:
            file.write(b"0")
            file.flush()
    except OSError as error:
        raise OperatorError(code, f"{folder}: {error.strerror}") from error
    return f"{folder} can be written" if there else f"{folder} is made at the start"


def store_check(name: str, place: str | Path, migrations: Path, code: str) -> Check:
    """Return the check of a database: this version's, and open to this user."""

    def look() -> str:
        url = database.locate(place)
        shown = database.shown(url)
        file = Path(url.database or "")
        if url.get_backend_name() == "sqlite":
            if not file.exists():
                return f"{shown} is made at the start"
            if not os.access(file, os.W_OK):
                raise OperatorError(code, f"{shown}: this user may not write to it")
        with revisions.reading(url, migrations, code) as session:
            database.require_durable(session.connection())
        return f"{shown} is of this version"

    return Check(name, look)


def disk_check(folder: Path, free: Free = free_bytes) -> Check:
    """Return the check of the room for what this party writes."""

    def look() -> str:
        found = free(folder)
        if not found >= LEAST_FREE:
            raise OperatorError(
                "FS-881",
                f"{found / 2**30:.2f} GiB free at {folder}, "
                f"at least {LEAST_FREE / 2**30:g}",
            )
        return f"{found / 2**30:.0f} GiB free"

    return Check("disk", look)
