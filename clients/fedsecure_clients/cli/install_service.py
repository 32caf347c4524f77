"""`fedsecure agent install-service`: a systemd unit for this data owner's agent."""

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
from fedsecure_clients.agent.config import load_agent_settings


def install_service(
    config: Annotated[Path, typer.Option(help="This data owner's agent.toml.")] = Path(
        "agent.toml"
    ),
    user: UserOption = DEFAULT_USER,
    folder: FolderOption = DEFAULT_FOLDER,
    only_print: PrintOption = False,
) -> None:
    """Write a systemd unit that runs this agent, and say what to type next.

    It runs as a user without rights, reads the data and cannot change them, writes
    its state folder and nothing else.

    Example: sudo fedsecure agent install-service --config agent.toml
    """
    settings = load_agent_settings(config)
    service = Service(
        kind="agent",
        name=settings.name,
        user=user,
        config=config,
        read=[settings.data, settings.key, settings.flower_key],
        written=[settings.state],
        memory="80%",
        tasks=512,
        executable_memory=True,
    )
    install(service, folder, only_print, typer.echo)
