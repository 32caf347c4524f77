"""`fedsecure store`: looking after the model owner's round store."""

from pathlib import Path
from typing import Annotated

import typer

from fedsecure.storage import revisions

app = typer.Typer(
    help="Look after the round store (model owner).", no_args_is_help=True
)


@app.callback()
def store() -> None:
    """Look after the round store."""


@app.command()
def migrate(
    config: Annotated[Path, typer.Option(help="The model owner's owner.toml.")] = Path(
        "owner.toml"
    ),
) -> None:
    """Bring the round store of an older fedsecure to this version's form.

    Make a backup first: there is no way back. Nobody may train meanwhile.

    Example: fedsecure store migrate --config owner.toml
    """
    from fedsecure.owner.settings import load_owner_settings  # noqa: PLC0415
    from fedsecure.owner.store.rounds import MIGRATIONS  # noqa: PLC0415
    from fedsecure.storage import database  # noqa: PLC0415

    place = load_owner_settings(config).database_url
    typer.echo(revisions.migrate(database.locate(place), MIGRATIONS, "FS-604"))
