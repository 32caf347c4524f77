"""Where a console listens and who may come in: the options of both commands."""

from pathlib import Path
from typing import Annotated, Final

import typer

LISTEN: Final = "127.0.0.1:8800"

Listen = Annotated[str, typer.Option(metavar="HOST:PORT", help="Where it listens.")]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name", metavar="HOST", help="A host name that browsers may use; repeatable."
    ),
]
Certificate = Annotated[
    Path | None, typer.Option(metavar="FILE", help="For TLS: a chain, PEM.")
]
CertificateKey = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="For TLS: its key, PEM.")
]
Login = Annotated[
    bool,
    typer.Option(
        "--login/--no-login", help="Whether one has to sign in; off on loopback only."
    ),
]
