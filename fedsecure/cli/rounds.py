"""`fedsecure rounds`: what happened in the runs of a model owner."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from fedsecure.errors import OperatorError
from fedsecure.review import pages, rows, tables
from fedsecure.review.details import read_detail
from fedsecure.review.reading import open_round_store

app = typer.Typer(
    help="Look at the rounds of a run (model owner, auditor).", no_args_is_help=True
)

Database = Annotated[
    str | None,
    typer.Option(
        "--db",
        metavar="FILE|URL",
        envvar="FEDSECURE_ROUND_STORE",
        help="The round store: an SQLite file or a postgresql:// URL. Default: "
        "rounds.db, or else runs/demo/owner/rounds.db.",
    ),
]
RunName = Annotated[
    str | None, typer.Option("--run", help="The run. Default: the latest.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@app.command("list")
def list_rounds(
    run: RunName = None,
    db: Database = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="List the runs, not one run's rounds.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the rounds of a run: who was in, the metrics, how each round ended.

    Metrics are of the model that a round started from; those of `final` are
    of the final model.

    Example: fedsecure rounds list --db owner/rounds.db
    """
    with open_round_store(db) as session:
        known = rows.runs(session)
        chosen = None if runs else rows.find_run(session, run)
        found = [] if chosen is None else rows.rounds(session, chosen.run)
    width = Console().width
    if chosen is None:
        content: dict[str, Any] = {"runs": [dataclasses.asdict(row) for row in known]}
        _show(content, tables.run_list(known, width), as_json)
    else:
        content = {
            "run": dataclasses.asdict(chosen),
            "rounds": [dataclasses.asdict(row) for row in found],
        }
        others = [row.run for row in known if row != chosen]
        _show(content, tables.round_list(chosen, found, others, width), as_json)


@app.command("show")
def show_round(
    which: Annotated[
        str,
        typer.Argument(
            metavar="ROUND",
            help="3 (last attempt), 3.1 (first attempt), final, or at least eight "
            "digits of the digest of its spec.",
        ),
    ],
    run: RunName = None,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Show one round in full: what was asked, who was missing, who signed.

    ROUND is 3 (its last attempt), 3.1 (its first), final (the evaluation), or
    at least eight digits of the digest of its spec. Signatures are shown, not
    checked.

    Example: fedsecure rounds show 3 --run heart-1
    """
    with open_round_store(db) as session:
        detail = read_detail(session, rows.find_run(session, run), which)
    _show(detail.as_json(), pages.round_page(detail, Console().width), as_json)


@app.command("plot")
def plot_run(
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The picture to write: .png, or .svg for documents.",
        ),
    ] = Path("curves.png"),
    run: RunName = None,
    db: Database = None,
) -> None:
    """Draw a run: loss, AUC and clip rate by round, and who was missing.

    Every figure is one of an opened sum; no data owner is named.

    Example: fedsecure rounds plot --output curves.svg
    """
    try:
        # It takes a second to import, which no other command needs.
        from fedsecure.review import plots  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise OperatorError("FS-867", f"there is no {error.name} here") from error

    with open_round_store(db) as session:
        chosen = rows.find_run(session, run)
        found = rows.rounds(session, chosen.run)
    plots.save(output, chosen, found)
    done = f"{chosen.opened_rounds} of {chosen.planned_rounds} rounds"
    typer.echo(f"{output} shows run {chosen.run}, {done}")


def _show(content: dict[str, Any], view: RenderableType, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(content, indent=2, allow_nan=False))
    else:
        Console().print(view)
