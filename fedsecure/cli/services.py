"""`install-service` of aggregator and agent: write the unit, say what comes next."""

from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from fedsecure.membership.files import write_public
from fedsecure.screen import Console
from fedsecure.services import (
    FOLDER,
    Service,
    own_program,
    require_user,
    unit_text,
)

UserOption = Annotated[
    str, typer.Option(metavar="NAME", help="Who runs it; never root.")
]
PrintOption = Annotated[
    bool, typer.Option("--print", help="Print the unit, and install nothing.")
]
FolderOption = Annotated[Path, typer.Option(help="Where systemd looks for units.")]
DEFAULT_USER = "fedsecure"
DEFAULT_FOLDER = FOLDER


def install(
    service: Service, folder: Path, only_print: bool, echo: Callable[[str], None]
) -> None:
    """Write a service's unit, or print it.

    Raises:
        OperatorError: FS-816 not writable, FS-817 no such user, FS-818.
    """
    text = unit_text(service, own_program())
    if only_print:
        echo(text.rstrip())
        return
    require_user(service.user)
    write_public(folder / service.unit, text.encode())
    _tell_rest(service, folder)


def _tell_rest(service: Service, folder: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    home = service.config.absolute().parent
    console.print(f"{folder / service.unit} is written. Now type:", markup=False)
    for path in service.written:
        console.print(f"  mkdir -p -m 0700 {quote(str(path))}", markup=False)
    console.print(f"  chown -R {service.user}: {quote(str(home))}", markup=False)
    console.print("  systemctl daemon-reload")
    console.print(f"  systemctl enable --now {service.unit}")
