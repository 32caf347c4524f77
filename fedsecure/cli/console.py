"""`fedsecure console`: runs and rounds in the browser (model owner, auditor)."""

import getpass
from pathlib import Path
from typing import Annotated, Final

import typer

from fedsecure.errors import OperatorError
from fedsecure.terminal.listening import (
    LISTEN,
    Certificate,
    CertificateKey,
    Listen,
    Login,
    Names,
)

OWNER: Final = Path("owner.toml")


def command(  # noqa: PLR0913 - each is an option of the command
    *,
    config: Annotated[
        Path | None,
        typer.Option(help="owner.toml. Default: the one here, if --db is not given."),
    ] = None,
    db: Annotated[
        str | None,
        typer.Option(
            "--db",
            metavar="FILE|URL",
            envvar="FEDSECURE_ROUND_STORE",
            help="Only a round store, without owner.toml: to read.",
        ),
    ] = None,
    aggregator: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|URL|EXPORT", help="For audits: an aggregator's store; both."
        ),
    ] = None,
    federation: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="For audits: federation.toml, and earlier versions."
        ),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where files of models lie, for audits."),
    ] = None,
    listen: Listen = LISTEN,
    name: Names = None,
    certificate: Certificate = None,
    key: CertificateKey = None,
    login: Login = True,
) -> None:
    """Watch and review rounds in the browser, until Ctrl-C.

    With owner.toml, opened rounds can be accepted or rejected; nothing else is ever
    changed. It prints a link that works once.

    Example: fedsecure console --config owner.toml
    """
    try:
        from fedsecure.console.owner.start import OwnerConsole  # noqa: PLC0415
        from fedsecure.console.server import Options  # noqa: PLC0415
        from fedsecure.console.start import run  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise OperatorError("FS-589", f"there is no {error.name} here") from error

    from fedsecure.membership.versions import load_federations  # noqa: PLC0415
    from fedsecure.owner.settings import load_owner_settings  # noqa: PLC0415
    from fedsecure.review.reading import usual_place  # noqa: PLC0415

    if config is None and db is None and OWNER.is_file():
        config = OWNER
    if config is not None:
        settings = load_owner_settings(config)
        place, author = db or settings.database_url, settings.author()
        federation = federation or [settings.federation]
        files = files or settings.folder
    else:
        place, author = db or str(usual_place()), None
    console = OwnerConsole(
        place=place,
        user=getpass.getuser(),
        author=author,
        keys=load_federations(federation) if federation else None,
        aggregators=aggregator or (),
        files=files,
    )
    options = Options(listen, name or (), certificate, key, login)
    run(console.parts(), options, typer.echo)
