"""`fedsecure init`: the model owner collects identity files into a federation."""

from pathlib import Path
from typing import Annotated

import typer

from fedsecure.cli.federation import ConfigOption, open_issuer, tell_handout


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the federation.")],
    identities: Annotated[
        list[Path],
        typer.Argument(
            metavar="IDENTITY...", help="The others' identity files; yours is known."
        ),
    ],
    config: ConfigOption = Path("owner.toml"),
) -> None:
    """Make version 1 of a federation out of identity files, and sign it.

    Example: fedsecure init heart north.identity.toml south.identity.toml
    basel.identity.toml bern.identity.toml
    """
    issuer = open_issuer(config)
    tell_handout(issuer, issuer.start(name, identities))
