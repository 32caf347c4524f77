"""`fedsecure doctor`: what keeps this party from working, and what to type."""

import json
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from fedsecure.doctor.findings import Check, Finding, State, run
from fedsecure.errors import OperatorError
from fedsecure.membership.own_party import find_config, role_of
from fedsecure.system import toml_file
from fedsecure.terminal.screen import Console
from fedsecure.terminal.text_tables import Column, screen, table

GROUP: Final = "fedsecure.doctors"
COLOURS: Final = {
    State.OK: "green",
    State.FAILS: "bold red",
    State.WAITS: "yellow",
    State.SKIPPED: "dim",
}

COLUMNS: Final[tuple[Column[Finding], ...]] = (
    Column("check", lambda one: Text(one.check)),
    Column("state", lambda one: Text(one.state, COLOURS[one.state])),
    Column("what was seen", lambda one: Text(one.seen), folds=True),
)

Checks = Callable[[Path, Path | None], Iterator[Check]]


def command(
    config: Annotated[
        Path | None,
        typer.Option(help="A party's configuration; default: the one here."),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            help="Data owner: the study's schema.toml, to look into the data."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at everything that this party needs; 1 if something fails.

    Changes nothing, and tells nobody.

    Example: fedsecure doctor --config agent.toml --schema schema.toml
    """
    path = find_config(config, Path())
    looking = run(_checks(path)(path, schema))
    if as_json:
        found = list(looking)
        typer.echo(json.dumps({"checks": [_as_data(one) for one in found]}, indent=2))
    else:
        with Console(stderr=True).status("looking"):
            found = list(looking)
        _show(found)
    if any(one.state is State.FAILS for one in found):
        raise typer.Exit(1)


def _checks(config: Path) -> Checks:
    role = role_of(config, toml_file.read_toml(config))
    points = entry_points(group=GROUP, name=role.value)
    try:
        checks: Checks = next(iter(points)).load()
    except (ImportError, StopIteration) as error:
        raise OperatorError("FS-885", f"{config} is of a {role}: {error}") from error
    return checks


def _as_data(finding: Finding) -> dict[str, str | None]:
    return {
        "check": finding.check,
        "state": finding.state.value,
        "said": finding.seen,
        "code": finding.code,
        "fix": finding.fix or None,
    }


def _show(found: Sequence[Finding]) -> None:
    console = screen()
    console.print(table(COLUMNS, found))
    failing = [one for one in found if one.state is State.FAILS]
    for one in failing:
        console.print(Text.assemble((one.check, "bold"), f" ({one.code}): "), end="")
        console.print(Text(one.fix), soft_wrap=True)
    if not failing:
        console.print("Nothing fails.")
