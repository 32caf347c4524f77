"""`fedsecure keygen`: a party makes its own keys."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Annotated, Final

import typer

from fedsecure.membership.identity_file import SUFFIX, Identity
from fedsecure.membership.keygen import Wanted, make
from fedsecure.membership.own_party import FILES
from fedsecure.protocol.identity import Role
from fedsecure.terminal.screen import Console


def command(  # noqa: PLR0913 - each is an option of the command
    role: Annotated[Role, typer.Argument(metavar="ROLE", show_choices=True)],
    *,
    name: Annotated[str, typer.Option(help="Of this party: a-z, 0-9 and hyphens.")],
    url: Annotated[
        str | None, typer.Option(help="Aggregator: https://HOST:PORT, as others see.")
    ] = None,
    superlink: Annotated[
        str | None, typer.Option(help="Model owner: HOST:PORT, as agents see it.")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(help="ADDRESS:PORT of this machine; default: all addresses."),
    ] = None,
    data: Annotated[
        str, typer.Option(help="Data owner: its table, .npz file or image folder.")
    ] = "data.csv",
    study: Annotated[str, typer.Option(help="Model owner: the study folder.")] = (
        "study"
    ),
    tls_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST",
            help="Make a CA and a server certificate for this name; may be repeated.",
        ),
    ] = None,
    authority: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="CA (PEM) of the certificate that you bring yourself."
        ),
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the files are put.")] = Path(),
) -> None:
    """Make this party's keys, its identity file and a configuration to start from.

    ROLE is model-owner, aggregator, data-owner, client or dealer. Private keys stay in
    the folder; the identity file is for the model owner. Nothing is overwritten.

    Example: fedsecure keygen data-owner --name basel --data patients.csv
    """
    wanted = Wanted(
        role,
        name,
        url,
        superlink,
        listen,
        data,
        study,
        tuple(tls_host or ()),
        authority,
    )
    identity = make(wanted, folder, datetime.now(UTC))
    _tell(Console(highlight=False, soft_wrap=True), identity, folder)


CALLERS: Final = {
    Role.MODEL_OWNER: "Both aggregators will call you; read these words out to them",
    Role.AGGREGATOR: "All others will call you; read these words out to them",
    Role.DATA_OWNER: "If the model owner calls to check, read these words out",
    Role.CLIENT: "If the model owner calls to check, read these words out",
    Role.DEALER: "All others will call you; read these words out to them",
}
"""Who asks a party for its words."""


def _tell(console: Console, identity: Identity, folder: Path) -> None:
    role, config = identity.role, folder / FILES[identity.role]
    console.print(f"{identity.name} ({role}) has keys of its own now.")
    console.print(f"\n{CALLERS[role]}:")
    console.print(f"  [bold]{identity.words}[/]")
    console.print(f"  ({identity.fingerprint})")
    own = folder / f"{identity.name}{SUFFIX}"
    if role is not Role.MODEL_OWNER:
        console.print(f"\nHand over to the model owner:\n  {own}", markup=False)
    console.print(f"\nLook through your configuration:\n  {config}", markup=False)
    for line in _next(role, config):
        console.print(line, markup=False)


def _next(role: Role, config: Path) -> Iterator[str]:
    """Yield what comes after the keys."""
    here = "" if config.parent == Path() else f" --config {quote(str(config))}"
    if role is Role.MODEL_OWNER:
        yield "\nGet identity files of both aggregators and of every data owner; then:"
        yield f"  fedsecure init FEDERATION-NAME IDENTITY-FILES...{here}"
    else:
        yield "\nOnce the model owner has handed over the federation:"
        yield f"  fedsecure join to-everybody/federation.toml{here}"
