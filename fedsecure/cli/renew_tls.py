"""`fedsecure renew-tls`: a new certificate from a server's own CA."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fedsecure.errors import OperatorError
from fedsecure.membership import own_tls
from fedsecure.membership.own_party import find_config, role_of
from fedsecure.protocol.identity import Role
from fedsecure.system import toml_file

SECTIONS = {Role.AGGREGATOR: "tls", Role.MODEL_OWNER: "superlink"}


def command(
    config: Annotated[
        Path | None,
        typer.Option(help="aggregator.toml or owner.toml; default: the one here."),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option(metavar="HOST", help="Of the server; default: as before."),
    ] = None,
) -> None:
    """Make a new server certificate with the CA that `keygen --tls-host` made.

    Nobody else has to do anything. Restart the server afterwards.

    Example: fedsecure renew-tls --config aggregator.toml
    """
    path = find_config(config, Path())
    section = _tls_section(path)
    folder = path.absolute().parent
    certificate, key = folder / section["certificate"], folder / section["key"]
    own_tls.renew(certificate, key, host or [], datetime.now(UTC))
    typer.echo(f"{certificate} is new; restart the server")


def _tls_section(path: Path) -> dict[str, Any]:
    content = toml_file.read_toml(path)
    section = content.get(SECTIONS.get(role_of(path, content), ""))
    if not isinstance(section, dict) or not {"certificate", "key"} <= section.keys():
        raise OperatorError("FS-813", f"{path} is not of a server")
    return section
