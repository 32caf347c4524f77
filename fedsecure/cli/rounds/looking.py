"""`fedsecure rounds list|show|watch`: on the screen."""

import dataclasses
import json
import time
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.live import Live

from fedsecure.cli.rounds.options import (
    Database,
    Json,
    PageNumber,
    PerPage,
    RunName,
    Since,
    Until,
    Verdicts,
    Which,
)
from fedsecure.review import records
from fedsecure.review.choosing import PER_PAGE, Choice, Page, instant
from fedsecure.review.details import read_detail
from fedsecure.review.reading import open_round_store
from fedsecure.review.terminal import live, round_page, run_tables
from fedsecure.terminal.text_tables import screen


def list_rounds(  # noqa: PLR0913 - each is an option of the command
    *,
    run: RunName = None,
    db: Database = None,
    runs: Annotated[
        bool, typer.Option("--runs", help="List the runs, not one run's rounds.")
    ] = False,
    verdict: Verdicts = None,
    since: Since = None,
    until: Until = None,
    page: PageNumber = 1,
    per_page: PerPage = PER_PAGE,
    as_json: Json = False,
) -> None:
    """List the rounds of a run: who was in, the metrics, how each round ended.

    Metrics are of the model that a round started from; those of `final` are
    of the final model. Dates are 2026-03-02 or 2026-03-02T14:00.

    Example: fedsecure rounds list --db owner/rounds.db --verdict accepted
    """
    choice = Choice(verdict, instant(since), instant(until))
    part = Page(page, per_page)
    with open_round_store(db) as session:
        known = records.runs(session)
        chosen = None if runs else records.find_run(session, run)
        found = (
            [] if chosen is None else records.rounds(session, chosen.run, choice, part)
        )
        number = (
            0 if chosen is None else records.count_rounds(session, chosen.run, choice)
        )
    if chosen is None:
        content: dict[str, Any] = {"runs": [dataclasses.asdict(row) for row in known]}
        _show(content, run_tables.run_list(known), as_json)
        return
    content = {
        "run": dataclasses.asdict(chosen),
        "rounds": [dataclasses.asdict(row) for row in found],
    }
    others = [row.run for row in known if row != chosen]
    more = _which_part(part, len(found), number)
    _show(content, run_tables.round_list(chosen, found, others, more), as_json)


def _which_part(part: Page, shown: int, number: int) -> str | None:
    if shown == number:
        return None
    pages_of_it = -(-number // part.size)
    return f"Page {part.number} of {pages_of_it}, {number:,} in all; older: --page"


def show_round(
    which: Which,
    run: RunName = None,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Show one round in full: what was asked, who was missing, who signed.

    ROUND is 3 (its last attempt), 3.1 (its first), final (the evaluation), or
    at least eight digits of the digest of its spec. Signatures are shown, not
    checked: `fedsecure audit verify` does so.

    Example: fedsecure rounds show 3 --run heart-1
    """
    with open_round_store(db) as session:
        detail = read_detail(session, records.find_run(session, run), which)
    _show(detail.as_json(), round_page.round_page(detail), as_json)


def watch_run(
    run: RunName = None,
    db: Database = None,
    seconds: Annotated[
        float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Watch a run until it is over; the training may be another process.

    On a terminal the page renews itself. Else, and with --json, there is one line
    for each round once it is decided.

    Example: fedsecure rounds watch --db owner/rounds.db
    """
    looking = live.looks(db, run, lambda: time.sleep(seconds))
    console = screen()
    if as_json or not console.is_terminal:
        known: set[str] = set()
        for look in looking:
            if as_json:
                _tell_json(look, known)
            else:
                for line in live.lines(look, known):
                    typer.echo(line)
        if not as_json:
            typer.echo(f"{look.run.run}: {look.run.state}")
        return
    with Live(console=console, auto_refresh=False) as shown:
        for look in looking:
            shown.update(live.view(look), refresh=True)


def _tell_json(look: live.Look, known: set[str]) -> None:
    for row in look.rounds:
        if row.state not in live.UNDECIDED and row.spec_digest not in known:
            known.add(row.spec_digest)
            typer.echo(json.dumps(dataclasses.asdict(row), allow_nan=False))


def _show(content: dict[str, Any], view: RenderableType, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(content, indent=2, allow_nan=False))
    else:
        screen().print(view)
