"""`fedsecure agent`: the command that a data owner runs."""

import json
import logging
import signal
import threading
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console
from rich.table import Table

from clients.config import load_agent_settings
from clients.state import AgentState
from fedsecure.identity import load_federation

app = typer.Typer(help="Run this data owner's agent.", invoke_without_command=True)


@app.callback()
def agent(
    context: typer.Context,
    config: Annotated[Path, typer.Option(help="This data owner's agent.toml.")] = Path(
        "agent.toml"
    ),
) -> None:
    """Join the federation and answer its rounds until stopped (Ctrl-C).

    Example: fedsecure agent --config agent.toml
    """
    if context.invoked_subcommand is None:
        _run(config)


@app.command()
def status(
    config: Annotated[Path, typer.Option(help="This data owner's agent.toml.")] = Path(
        "agent.toml"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what this agent has sent so far, and to whom.

    Example: fedsecure agent status --config agent.toml
    """
    settings = load_agent_settings(config)
    with AgentState(settings.state, load_federation(settings.federation)) as state:
        sent, fates = state.sent(), state.fates()
    if as_json:
        counts = {
            name: {"messages": n, "bytes": size} for name, (n, size) in sent.items()
        }
        answer = {"name": settings.name, "sent": counts, "rounds": fates}
        typer.echo(json.dumps(answer, indent=2))
        return
    table = Table("to", "messages", "bytes", title=f"sent by {settings.name}")
    for name, (count, size) in sent.items():
        table.add_row(name, f"{count:,}", f"{size:,}")
    Console().print(table)
    for fate, number in fates.items():
        Console().print(f"{number} rounds {fate}")


def _run(config: Path) -> None:
    # Flower and the app's framework load here, so that `--help` answers at once.
    from clients.agent import open_agent  # noqa: PLC0415
    from fedsecure.flower.runtime import quiet  # noqa: PLC0415

    quiet()

    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO)
    )
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with open_agent(load_agent_settings(config), stop) as running:
        running.run()
