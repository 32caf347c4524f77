"""`fedsecure aggregator install-service`: a systemd unit for this aggregator."""

from pathlib import Path
from typing import Annotated

import typer

from fedsecure.system.systemd import Service
from fedsecure.terminal.install_service import (
    DEFAULT_FOLDER,
    DEFAULT_USER,
    FolderOption,
    PrintOption,
    UserOption,
    install,
)


def install_service(
    config: Annotated[Path, typer.Option(help="Of this aggregator.")] = Path(
        "aggregator.toml"
    ),
    user: UserOption = DEFAULT_USER,
    folder: FolderOption = DEFAULT_FOLDER,
    only_print: PrintOption = False,
) -> None:
    """Write a systemd unit that runs this aggregator, and say what to type next.

    It runs as a user without rights, writes its data folder and nothing else, and
    starts again after a crash and with the machine.

    Example: sudo fedsecure aggregator install-service --config north/aggregator.toml
    """
    from fedsecure_aggregator.config import load  # noqa: PLC0415 - keeps --help quick

    settings = load(config)
    service = Service(
        kind="aggregator",
        name=settings.name,
        user=user,
        config=config,
        read=[settings.key, settings.tls.certificate, settings.tls.key],
        written=[settings.data],
        memory="1536M",
        tasks=128,
        executable_memory=False,
    )
    install(service, folder, only_print, typer.echo)
