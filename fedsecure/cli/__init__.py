"""The command `fedsecure`: one program for all four kinds of people.

Commands of the library are listed here; those of the agent and the aggregator are
found by the entry-point group `fedsecure.commands`, so that an organisation has the
commands of what it installed. Errors are printed as what happened, where, and what
to type next, with their stable code; a traceback only with `--debug`.
"""

import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Final

import click
import typer

from fedsecure.errors import FedsecureError, OperatorError
from fedsecure.terminal.problem import report
from fedsecure.terminal.screen import Console

GROUP: Final = "fedsecure.commands"
MEMBERS: Final = {
    "agent": "fedsecure-clients",
    "predict": "fedsecure-clients",
    "aggregator": "fedsecure-aggregator",
    "bench": "fedsecure-bench",
}
"""Commands of packages that an organisation may not have installed."""
STOPPED: Final = 130  # what shells expect of a command that Ctrl-C ended
# Modules of this package: each has an `app` with commands, or is one `command`.
COMMANDS: Final = (
    *("keygen", "init", "join", "federation", "renew-tls", "doctor"),
    *("train", "study", "statistics", "privacy", "rounds", "audit", "console"),
    *("serve", "job", "store", "demo"),
    "explain",
)
ROOMS: Final = {
    "serve": "jobs",
    "job": "jobs",
}  # commands whose modules lie in a room of this package

app = typer.Typer(
    name="fedsecure",
    help="Federated learning in which nobody ever sees a data owner's update.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fedsecure {version('fedsecure')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version."
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Secure federated learning with two aggregation servers."""


def main() -> None:
    """Run the command line.

    Exits with 1 after an error of ours, 2 for wrong usage, 130 when it was stopped.
    """
    try:
        _mount(sys.argv[1:])
        code = app(standalone_mode=False)
    except FedsecureError as error:
        if "--debug" in sys.argv:
            raise
        report(error)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        code = STOPPED
    if code == STOPPED:
        Console(stderr=True).print("stopped")
    sys.exit(code if isinstance(code, int) else 0)


def _mount(words: Sequence[str] = ()) -> None:
    """Add the command that was typed, or all: the modules of each take a second.

    Raises:
        OperatorError: FS-885 a role's command was typed that is not installed here.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    typed = next((word for word in words if not word.startswith("-")), "")
    known = (*COMMANDS, *points)
    for name in [typed] if typed in known else known:
        if name in COMMANDS:
            _add(name)
        elif not _add_role(points[name]) and typed == name:
            raise _absent(name)
    if typed in MEMBERS and typed not in points:
        raise _absent(typed)


def _absent(name: str) -> OperatorError:
    return OperatorError("FS-885", f"`fedsecure {name}` needs {MEMBERS[name]}")


def _add_role(point: EntryPoint) -> bool:
    """Add a role's command; False if its parts are not installed."""
    with suppress(ImportError):
        loaded = point.load()
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=point.name)
        else:  # one command, and not a group of them
            app.command(point.name)(loaded)
        return True
    return False


def _add(name: str) -> None:
    room = f".{ROOMS[name]}" if name in ROOMS else ""
    module = import_module(f"fedsecure.cli{room}.{name.replace('-', '_')}")
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name)
    else:
        app.command(name)(module.command)
