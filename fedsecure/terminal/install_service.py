"""`install-service` of aggregator and agent: write the unit, say what comes next."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from fedsecure.membership.files import write_public
from fedsecure.system.systemd import (
    FOLDER,
    Service,
    own_code,
    own_program,
    require_startable,
    require_user,
    unit_text,
)
from fedsecure.terminal.screen import Console

UserOption = Annotated[
    str, typer.Option(metavar="NAME", help="Who runs it; never root.")
]
PrintOption = Annotated[
    bool, typer.Option("--print", help="Print the unit, and install nothing.")
]
FolderOption = Annotated[Path, typer.Option(help="Where systemd looks for units.")]
DEFAULT_USER = "fedsecure"
DEFAULT_FOLDER = FOLDER


@dataclass(frozen=True, slots=True)
class Program:
    """The command that a unit starts, and what it is made of."""

    command: Path
    code: Sequence[Path]


def install(
    service: Service,
    folder: Path,
    only_print: bool,
    echo: Callable[[str], None],
    program: Program | None = None,
) -> None:
    """Write a service's unit, or print it.

    Args:
        service: What is to run.
        folder: Where units lie.
        only_print: Print it, and look at nothing.
        echo: Prints it.
        program: What the unit starts; by default the installation that runs just now.

    Raises:
        OperatorError: FS-816 not writable, FS-817 no such user, FS-818, FS-829 the unit
            could not start.
    """
    program = program or Program(own_program(), own_code())
    text = unit_text(service, program.command)
    if only_print:
        echo(text.rstrip())
        return
    require_user(service.user)
    require_startable(service, program.command, program.code)
    write_public(folder / service.unit, text.encode())
    _tell_rest(service, folder)


def _tell_rest(service: Service, folder: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    home = service.config.absolute().parent
    told = f"{folder / service.unit} is written. Now type, as root:"
    console.print(told, markup=False)
    for path in service.written:
        console.print(f"  mkdir -p -m 0700 {quote(str(path))}", markup=False)
    apart = [path for path in service.written if not path.is_relative_to(home)]
    for path in (home, *apart):
        console.print(f"  chown -R {service.user}: {quote(str(path))}", markup=False)
    console.print("  systemctl daemon-reload")
    console.print(f"  systemctl enable --now {service.unit}")
