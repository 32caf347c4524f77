"""`fedsecure rounds plot|export`: into files."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fedsecure.cli.rounds.options import (
    Database,
    Json,
    PageNumber,
    PerPage,
    RunName,
    Since,
    Until,
    Verdicts,
)
from fedsecure.errors import OperatorError
from fedsecure.review import formats, records
from fedsecure.review.choosing import Choice, Page, instant
from fedsecure.review.reading import open_round_store


def plot_run(  # noqa: PLR0913 - each is an option of the command
    *,
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
    verdict: Verdicts = None,
    since: Since = None,
    until: Until = None,
    page: PageNumber = 1,
    per_page: PerPage = 1000,
    as_json: Json = False,
) -> None:
    """Draw a run: loss, AUC and clip rate by round, and who was missing.

    Every figure is one of an opened sum; no data owner is named.

    Example: fedsecure rounds plot --output curves.svg
    """
    try:
        # It takes a second to import, which no other command needs.
        from fedsecure.review.plots import figure  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise OperatorError("FS-867", f"there is no {error.name} here") from error

    choice = Choice(verdict, instant(since), instant(until))
    with open_round_store(db) as session:
        chosen = records.find_run(session, run)
        found = records.rounds(session, chosen.run, choice, Page(page, per_page))
    figure.save(output, chosen, found)
    _say_written(output, chosen.run, len(found), as_json)


def export_run(  # noqa: PLR0913 - each is an option of the command
    *,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The file to write: .csv, .json, or .html (a page with plots).",
        ),
    ] = Path("report.html"),
    run: RunName = None,
    db: Database = None,
    verdict: Verdicts = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Write a run's rounds as CSV, JSON, or one HTML page that needs nothing else.

    Example: fedsecure rounds export --run heart-1 --output heart-1.html
    """
    choice = Choice(verdict, instant(since), instant(until))
    with open_round_store(db) as session:
        chosen = records.find_run(session, run)
        found = records.rounds(session, chosen.run, choice)
        digests = {row.spec_digest for row in found}
        everybody = records.participations_of(session, chosen.run)
        people = [one for one in everybody if one.spec_digest in digests]
    match output.suffix.lower():
        case ".csv":
            content = formats.as_csv(found)
        case ".json":
            content = formats.as_json(chosen, found, people)
        case ".html":
            content = _html(chosen, found, people)
        case _:
            detail = f"{output} ends in none of .csv, .json and .html"
            raise OperatorError("FS-649", detail)
    formats.save(output, content)
    _say_written(output, chosen.run, len(found), as_json)


def _html(
    run: records.RunRow,
    found: Any,
    people: Any,
) -> str:
    try:
        from fedsecure.review import html_report  # noqa: PLC0415 - as in `plot`
    except ModuleNotFoundError as error:
        raise OperatorError("FS-867", f"there is no {error.name} here") from error
    return html_report.page(run, found, people)


def _say_written(path: Path, run: str, number: int, as_json: bool) -> None:
    if as_json:
        content = {"file": str(path), "run": run, "rounds": number}
        typer.echo(json.dumps(content, indent=2))
    else:
        typer.echo(f"{path} shows run {run}, {number:,} attempts at rounds")
