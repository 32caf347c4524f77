"""A systemd unit for a program that runs for good: no root, and little else.

Everything on the machine is read-only for it, but the folders it writes. What it need
not see or do is taken away; `systemd-analyze security` says how much is left.
"""

import grp
import pwd
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedsecure.errors import OperatorError

FOLDER: Final = Path("/etc/systemd/system")
HIDDEN: Final = {
    Path("/home"): "ProtectHome",
    Path("/root"): "ProtectHome",
    Path("/run/user"): "ProtectHome",
    Path("/tmp"): "PrivateTmp",  # noqa: S108 - so that nothing lies there
    Path("/var/tmp"): "PrivateTmp",  # noqa: S108
    Path("/dev"): "PrivateDevices",
}
"""What a unit does not see of the machine, and by which of its settings."""

_HARDENED: Final = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
UMask=0077
PrivateTmp=yes
PrivateDevices=yes
ProtectHome=yes
ProtectSystem=strict
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
LockPersonality=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM"""


@dataclass(frozen=True, slots=True)
class Service:
    """What is to run, and what of the machine it gets.

    `written` are the folders that it writes; everything else is read-only, and
    `read` is so even inside of those. `executable_memory`: whether it compiles code
    while it runs.
    """

    kind: str
    name: str
    user: str
    config: Path
    read: Sequence[Path]
    written: Sequence[Path]
    memory: str
    tasks: int
    executable_memory: bool

    @property
    def unit(self) -> str:
        """The name of the unit's file."""
        return f"fedsecure-{self.kind}-{self.name}.service"


def unit_text(service: Service, program: Path) -> str:
    """Return the unit.

    Args:
        service: What is to run.
        program: The command `fedsecure` of the installation that runs it.

    Raises:
        OperatorError: FS-818 for a path that a unit cannot hold.
    """
    return "\n".join(_lines(service, program)) + "\n"


def _lines(service: Service, program: Path) -> Iterator[str]:
    config = service.config.absolute()
    yield "[Unit]"
    yield f"Description=fedsecure {service.kind} {service.name}"
    yield from ("Wants=network-online.target", "After=network-online.target")
    yield from ("", "[Service]", "Type=exec", f"User={service.user}")
    command = f"{quoted(program)} {service.kind} --config {quoted(config)}"
    yield f"ExecStart={command}"
    yield f"WorkingDirectory={unquoted(config.parent)}"
    yield f"EnvironmentFile=-{unquoted(config.with_name(service.name + '.env'))}"
    yield "Environment=PYTHONUNBUFFERED=1 HOME=/tmp"
    yield from ("Restart=on-failure", "RestartSec=5", "TimeoutStopSec=30")
    yield from ("", "# What it may write; all else is read-only.")
    yield from (f"ReadWritePaths={quoted(path)}" for path in service.written)
    yield from (f"ReadOnlyPaths={quoted(path)}" for path in service.read)
    yield from ("", "# What it need not see or do.", _HARDENED)
    yield f"MemoryDenyWriteExecute={'no' if service.executable_memory else 'yes'}"
    yield from ("", "# Limits. Swap would keep keys that were deleted.")
    yield from (f"MemoryMax={service.memory}", "MemorySwapMax=0", "LimitCORE=0")
    yield from (f"TasksMax={service.tasks}", "LimitNOFILE=65536")
    yield from ("", "[Install]", "WantedBy=multi-user.target")


def unquoted(path: Path) -> str:
    """Return a path for a setting that takes exactly one.

    Raises:
        OperatorError: FS-818.
    """
    text = str(path)
    if not text.isprintable() or any(one in text for one in "\"'\\"):
        raise OperatorError("FS-818", f"{text!r}")
    return text.replace("%", "%%")


def quoted(path: Path) -> str:
    """Return a path as one word of a setting that takes several.

    Raises:
        OperatorError: FS-818.
    """
    return f'"{unquoted(path).replace("$", "$$")}"'


def require_user(name: str) -> None:
    """Check that a user is there, and is not root.

    Raises:
        OperatorError: FS-817.
    """
    try:
        found = pwd.getpwnam(name)
    except KeyError as error:
        raise OperatorError("FS-817", f"there is no user {name!r}") from error
    if found.pw_uid == 0:
        raise OperatorError("FS-817", f"{name} is root")


def own_program() -> Path:
    """Return the command `fedsecure` of the installation that runs just now."""
    return Path(sys.executable).parent / "fedsecure"


def own_code() -> Sequence[Path]:
    """Return what the unit's program is made of: interpreter, libraries, this package.

    A virtual environment elsewhere may use a Python of somebody's home, and an editable
    installation code of it.
    """
    return [Path(sys.executable), Path(sys.base_prefix), Path(__file__)]


def require_startable(service: Service, program: Path, code: Sequence[Path]) -> None:
    """Check that a unit will see its files, and that its user may read them.

    Args:
        service: What is to run.
        program: As for `unit_text`.
        code: What the program is made of.

    Raises:
        OperatorError: FS-829 with everything that would keep it from starting.
    """
    found = list(dict.fromkeys(_hindrances(service, program, code)))
    if found:
        raise OperatorError("FS-829", "; ".join(found))


def _hindrances(service: Service, program: Path, code: Sequence[Path]) -> Iterator[str]:
    home = service.config.absolute().parent
    for path in (program, *code, service.config, *service.read, *service.written):
        # What a link leads to counts as well.
        for one in dict.fromkeys((path.absolute(), path.resolve())):
            for root, setting in HIDDEN.items():
                if one.is_relative_to(root):
                    yield f"{one} is below {root}, which the unit's {setting} hides"
    for path in (program, *code, home):
        yield from _closed(path.resolve().parents, service.user)
    for path in service.read:
        if not path.is_relative_to(home):  # the rest of it will be the user's own
            yield from _closed((*path.resolve().parents,), service.user)


def _closed(folders: Iterable[Path], user: str) -> Iterator[str]:
    """Yield the folders that a user may not pass."""
    for folder in folders:
        try:
            found = folder.stat()
        except OSError:
            continue
        if not _may_pass(found.st_mode, found.st_uid, found.st_gid, user):
            mode = stat.S_IMODE(found.st_mode)
            yield f"{user} cannot pass {folder}, mode {mode:04o} (chmod o+x)"


def _may_pass(mode: int, owner: int, group: int, user: str) -> bool:
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return True  # nobody yet: another check says so
    if account.pw_uid == owner:
        return bool(mode & stat.S_IXUSR)
    groups = {one.gr_gid for one in grp.getgrall() if user in one.gr_mem}
    if group in groups | {account.pw_gid}:
        return bool(mode & stat.S_IXGRP)
    return bool(mode & stat.S_IXOTH)
