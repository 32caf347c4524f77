"""The command `fedsecure aggregator`: runs one of the two aggregation servers."""

import time
from pathlib import Path
from typing import Annotated, Final

import typer

from fedsecure.terminal import listening
from fedsecure_aggregator.operations.install_service import install_service

# It is also run by itself; the library's tracebacks show every variable, keys too.
app = typer.Typer(
    help="Run one of the two aggregation servers.", pretty_exceptions_enable=False
)
app.command()(install_service)


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
    from fedsecure_aggregator.config import load  # noqa: PLC0415
    from fedsecure_aggregator.operations import server  # noqa: PLC0415

    server.serve(load(config))


Config = Annotated[Path, typer.Option(help="Settings of this aggregator.")]
DEFAULT: Final = Path("aggregator.toml")


@app.command(
    epilog="Example: fedsecure aggregator backup /backups/north-monday.db "
    "--config north/aggregator.toml"
)
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new file.")],
    config: Config = DEFAULT,
) -> None:
    """Write the store as it is now to FILE, an SQLite database; rounds go on.

    Neither keys nor reports are in it. Whoever restores it opens no round that was
    begun before.
    """
    from fedsecure_aggregator.config import load  # noqa: PLC0415
    from fedsecure_aggregator.operations import backup as backups  # noqa: PLC0415

    rows = backups.backup(load(config), file)
    typer.echo(f"{rows:,} rows in {file}")


@app.command(
    epilog="Example: fedsecure aggregator restore /backups/north-monday.db "
    "--config north/aggregator.toml"
)
def restore(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Of `backup`.")
    ] = None,
    *,
    config: Config = DEFAULT,
    as_it_is: Annotated[
        bool,
        typer.Option(
            "--as-it-is",
            help="Instead of FILE: the database was put back by other means.",
        ),
    ] = False,
    forget_opened_sets: Annotated[
        bool,
        typer.Option(
            "--forget-opened-sets",
            help="Go on although nobody knows which sets were opened before.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put a backup in place of the store; stop the aggregator before.

    The next start closes every run that was begun before, and its ledger says so: the
    store may have forgotten what it opened. The model owner starts new runs. The store
    that is replaced is copied into the data folder.
    """
    from fedsecure_aggregator.config import load  # noqa: PLC0415
    from fedsecure_aggregator.operations import restore  # noqa: PLC0415

    if as_it_is is (file is not None):
        raise typer.BadParameter("Give a FILE or --as-it-is")
    settings = load(config)
    membership = settings.membership()
    member = restore.Member(settings.name, membership.versions)
    order = restore.Order(file, time.time(), forget_opened_sets)
    if not yes:
        typer.echo(restore.preview(settings, member, order))
        typer.confirm("Stop all runs and go on with that?", abort=True)
    done = restore.restore(settings, member, order)
    if done.kept is not None:
        typer.echo(f"what was there before: {done.kept}")
    typer.echo(f"{done.rows:,} rows; start the aggregator again")


@app.command(
    epilog="Example: fedsecure aggregator migrate --config north/aggregator.toml"
)
def migrate(config: Config = DEFAULT) -> None:
    """Bring the store of an older fedsecure to this version's form.

    Stop the aggregator before. A store that is changed is first copied into the data
    folder: the version that wrote it can restore that.
    """
    from fedsecure_aggregator.config import load  # noqa: PLC0415
    from fedsecure_aggregator.operations import migration  # noqa: PLC0415

    typer.echo(migration.migrate(load(config)))


@app.command(
    epilog="Example: fedsecure aggregator health --config north/aggregator.toml"
)
def health(
    config: Annotated[
        Path, typer.Option(help="Settings of the aggregator that runs here.")
    ] = Path("aggregator.toml"),
) -> None:
    """Say whether the aggregator of this machine can take reports; 1 if not."""
    from fedsecure_aggregator.config import load  # noqa: PLC0415
    from fedsecure_aggregator.operations.health import require_ready  # noqa: PLC0415

    require_ready(load(config))
    typer.echo("ready")


@app.command(
    epilog="Example: fedsecure aggregator export --config north/aggregator.toml"
)
def export(
    config: Annotated[
        Path, typer.Option(help="Settings of the aggregator that runs here.")
    ] = Path("aggregator.toml"),
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Default: its name and .jsonl."
        ),
    ] = None,
) -> None:
    """Write this aggregator's ledger as a file, for an audit somewhere else.

    It may run on. The file holds what others have signed or seen: no key, no report.
    """
    from fedsecure.audit.page import progress  # noqa: PLC0415
    from fedsecure.audit.stores import exports  # noqa: PLC0415
    from fedsecure.audit.stores.sources import snapshot  # noqa: PLC0415
    from fedsecure_aggregator.config import load  # noqa: PLC0415
    from fedsecure_aggregator.storage.audit import KIND  # noqa: PLC0415

    settings = load(config)
    path = output or Path(f"{settings.name}.jsonl")
    with snapshot(str(settings.store), KIND) as connection, progress() as telling:
        telling.begin(str(path), exports.count(connection, KIND))
        rows = exports.write(connection, KIND, path, telling.step)
    typer.echo(f"{path}: {rows:,} rows")


@app.command(
    epilog="Example: fedsecure aggregator console --config north/aggregator.toml"
)
def console(
    *,
    config: Config = DEFAULT,
    listen: listening.Listen = listening.LISTEN,
    name: listening.Names = None,
    certificate: listening.Certificate = None,
    key: listening.CertificateKey = None,
    login: listening.Login = True,
) -> None:
    """Watch this aggregator's rounds in the browser, until Ctrl-C; it may run on.

    Nothing can be changed there. It prints a link that works once.
    """
    from fedsecure.console.server import Options  # noqa: PLC0415
    from fedsecure.console.start import run  # noqa: PLC0415
    from fedsecure_aggregator.config import load  # noqa: PLC0415
    from fedsecure_aggregator.console.start import parts  # noqa: PLC0415

    chosen = Options(listen, name or (), certificate, key, login)
    run(parts(load(config)), chosen, typer.echo)
