"""The command `fedsecure aggregator`: runs one of the two aggregation servers."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Run one of the two aggregation servers.")


@app.callback(
    invoke_without_command=True,
    epilog="Example: fedsecure aggregator --config north/aggregator.toml",
)
def run(
    context: typer.Context,
    config: Annotated[
        Path,
        typer.Option(help="Settings of this aggregator: key, address, data, policy."),
    ] = Path("aggregator.toml"),
) -> None:
    """Run one of the two aggregation servers until SIGTERM or Ctrl-C.

    Prints one JSON object a line. Stopping is safe at any time, also by a power cut:
    what had a receipt is there after the next start.
    """
    if context.invoked_subcommand is not None:
        return
    # Here, so that `--help` of other commands does not wait for a web server.
    from aggregator import server  # noqa: PLC0415
    from aggregator.config import load  # noqa: PLC0415

    server.serve(load(config))


@app.command(
    epilog="Example: fedsecure aggregator health --config north/aggregator.toml"
)
def health(
    config: Annotated[
        Path, typer.Option(help="Settings of the aggregator that runs here.")
    ] = Path("aggregator.toml"),
) -> None:
    """Say whether the aggregator of this machine can take reports; 1 if not."""
    from aggregator.config import load  # noqa: PLC0415
    from aggregator.health import require_ready  # noqa: PLC0415

    require_ready(load(config))
    typer.echo("ready")
