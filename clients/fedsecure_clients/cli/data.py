"""`fedsecure agent data`: a data owner looks at its own data before it joins."""

import json
from pathlib import Path
from typing import Annotated

import typer

from fedsecure.study.schema.features import load_schema
from fedsecure.terminal.screen import Console
from fedsecure.terminal.text_tables import screen

app = typer.Typer(help="Look at this data owner's own data.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Look at this data owner's own data; nothing leaves this machine."""


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A table, .npz file or image folder.")
    ],
    schema: Annotated[
        Path, typer.Option(help="The study's schema.toml, as it was handed over.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what the study makes of a file: every row and column that does not fit.

    Ends with 1 if something does not. Columns that the study does not know are never
    read; those that look like personal data are named.

    Example: fedsecure agent data check patients.csv --schema schema.toml
    """
    from fedsecure_clients.data import data_report  # noqa: PLC0415 - keeps --help quick

    with Console(stderr=True).status(f"reading {file}"):
        found = data_report.check(file, load_schema(schema))
    if as_json:
        typer.echo(json.dumps(data_report.as_data(found), indent=2))
    else:
        screen().print(data_report.show(found))
    if not found.fits:
        raise typer.Exit(1)
