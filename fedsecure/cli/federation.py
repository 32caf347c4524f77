"""`fedsecure federation`: the model owner makes the next version of a federation."""

from pathlib import Path
from typing import Annotated

import typer

from fedsecure.errors import OperatorError
from fedsecure.membership.handout import Handout
from fedsecure.membership.issuing import Issuer
from fedsecure.membership.own_party import load_own
from fedsecure.protocol.identity import Federation, Role
from fedsecure.terminal.screen import Console

app = typer.Typer(help="Change who takes part (model owner).", no_args_is_help=True)

ConfigOption = Annotated[Path, typer.Option(help="The model owner's owner.toml.")]
IdentityFiles = Annotated[list[Path], typer.Argument(metavar="IDENTITY...")]


@app.command()
def add(identities: IdentityFiles, config: ConfigOption = Path("owner.toml")) -> None:
    """Take in more parties, by their identity files.

    Example: fedsecure federation add chur.identity.toml
    """
    issuer = open_issuer(config)
    tell_handout(issuer, issuer.add(identities))


@app.command()
def retire(
    names: Annotated[list[str], typer.Argument(metavar="NAME...")],
    config: ConfigOption = Path("owner.toml"),
) -> None:
    """Let parties go, by their names.

    Example: fedsecure federation retire chur
    """
    issuer = open_issuer(config)
    tell_handout(issuer, issuer.retire(names))


@app.command()
def rotate(
    identities: IdentityFiles, config: ConfigOption = Path("owner.toml")
) -> None:
    """Take new keys or addresses of parties that stay, by their new identity files.

    Example: fedsecure federation rotate north.identity.toml
    """
    issuer = open_issuer(config)
    tell_handout(issuer, issuer.rotate(identities))


def open_issuer(config: Path) -> Issuer:
    """Read the model owner's configuration.

    Raises:
        OperatorError: FS-801 to FS-803, FS-813 when it is another party's.
    """
    role, own = load_own(config)
    if role is not Role.MODEL_OWNER:
        raise OperatorError("FS-813", f"{config} is of a {role}, not of a model owner")
    return Issuer(own, config.absolute().parent)


def _roster(federation: Federation) -> str:
    counts = [f"{len(federation.data_owners)} data owners"]
    if clients := len(federation.clients):
        counts.append(f"{clients} client{'s' if clients > 1 else ''}")
    if federation.dealer is not None:
        counts.append("a dealer")
    return ", ".join(counts)


def tell_handout(issuer: Issuer, made: Handout) -> None:
    """Say which version was made, and what to do with it."""
    console = Console(highlight=False, soft_wrap=True)
    federation = made.federation
    console.print(
        f"{federation.name}, version {federation.number}: 2 aggregators, "
        f"{_roster(federation)}, digest {federation.digest[:12]}"
    )
    console.print("\nHand over to everybody, all files of:")
    console.print(f"  {issuer.handed_over.parent}", markup=False)
    console.print("\nEverybody, you too, takes it with:")
    console.print("  fedsecure join FOLDER/federation.toml", markup=False)
    if federation.number > 1:
        console.print(
            "\nFinish or void all rounds first: no round outlives its version."
        )
