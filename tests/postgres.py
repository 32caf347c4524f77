"""A PostgreSQL server of the tests' own, from the installed programs.

It listens on a Unix socket in a short folder of its own and nowhere else; whoever
reaches that folder is let in. A server refuses to run as root, so root's tests run it
as another user.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import OperationalError

USERS: Final = ("postgres", "nobody")  # who runs it when root runs the tests
NAME: Final = "fedsecure"
SECONDS: Final = 60
MEMORY: Final = "/dev/shm"  # noqa: S108 - names are made up there
MEMORY_BYTES: Final = 4 * 2**30


class MissingError(Exception):
    """There are no server programs on this machine."""


@dataclass
class Cluster:
    """One database server; may be killed and started again."""

    folder: Path
    programs: Path
    account: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        place = URL.create(
            "postgresql", username=NAME, database=database, query={"host": self.socket}
        )
        return place.render_as_string(hide_password=False)

    @property
    def socket(self) -> str:
        return str(self.folder / "s")

    def create(self) -> None:
        """Write the empty server's files; that alone is not forced to disk."""
        (self.folder / "s").mkdir(mode=0o700)
        if self.account:
            for path in (self.folder, self.folder / "s"):
                shutil.chown(path, self.account["user"], self.account["group"])
        self._run(
            *("initdb", "--pgdata", "d", "--username", NAME, "--auth", "trust"),
            *("--no-sync", "--encoding", "UTF8", "--locale", "C"),
        )

    def start(self) -> None:
        """Start the server; it takes connections when this returns."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.socket,
            "fsync": "on",  # one that loses commits is refused
            "max_connections": "200",
            "max_wal_size": "64MB",  # of a log that lies in memory, too
            **self.settings,
        }
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(self.programs / "postgres", "-D", self.folder / "d"),
                    *(f"--{name}={value}" for name, value in settings.items()),
                ],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self.account,
            )
        deadline = time.monotonic() + SECONDS
        while not self._answers():
            printed = (self.folder / "log").read_text()
            assert self._process.poll() is None, printed
            assert time.monotonic() < deadline, printed
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # at once, and its children
            self._process.wait(SECONDS)

    def kill(self) -> None:
        """End the server as a power cut would."""
        process = self._process
        assert process is not None
        children = _children(process.pid)
        process.kill()
        process.wait(SECONDS)
        for child in children:  # they would end by themselves, a little later
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def copy(self) -> None:
        """Keep a replica of it as it is now, which will lack all that follows."""
        self.kill()
        shutil.copytree(self.folder / "d", self.folder / "replica", symlinks=True)
        if self.account:
            for path in [
                self.folder / "replica",
                *(self.folder / "replica").rglob("*"),
            ]:
                shutil.chown(path, self.account["user"], self.account["group"])
        self.start()

    def fail_over(self) -> None:
        """Lose the server, and go on with the replica."""
        self.kill()
        shutil.rmtree(self.folder / "d")
        (self.folder / "replica").rename(self.folder / "d")
        self.start()

    def _answers(self) -> bool:
        engine = create_engine(self.url("postgres"))
        try:
            engine.connect().close()
        except OperationalError:
            return False
        finally:
            engine.dispose()
        return True

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"t{secrets.token_hex(6)}"
        self._tell(f"CREATE DATABASE {name}")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Delete a database, whoever is connected: its 8 MB may lie in memory."""
        self._tell(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def _tell(self, statement: str) -> None:
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.programs / program, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
            text=True,
            check=False,
            **self.account,
        )
        assert done.returncode == 0, f"{program}: {done.stderr}"


@contextmanager
def cluster(**settings: str) -> Iterator[Cluster]:
    """Run a server as long as the block lasts, with some settings of its own.

    Raises:
        MissingError: No server is installed.
    """
    programs = find_programs()
    # Short, for the path of a socket has 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="fs-pg-", dir=_disk()))
    try:
        made = Cluster(folder, programs, _account(), settings)
        made.create()
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder)


def _disk() -> str:
    """Return where its files go: into memory if there is room, for it flushes a lot.

    To the server that is a disk, and what it flushed is there after it was killed.
    """
    with suppress(OSError):
        if shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
            return MEMORY
    return "/tmp"  # noqa: S108


def find_programs() -> Path:
    """Return the folder of `initdb` and `postgres`."""
    found = shutil.which("initdb")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    for program in [*([Path(found)] if found else []), *reversed(debian)]:
        folder = program.resolve().parent
        if all((folder / name).exists() for name in ("initdb", "postgres")):
            return folder
    raise MissingError


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            after_name = stat.read_text().rpartition(")")[2].split()
            if int(after_name[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _account() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    for name in USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise MissingError
